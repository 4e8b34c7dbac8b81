"""Tests of EventLoopClient, run by GIMP's Python in a GLib main loop, without GIMP.

`test_event_loop_client.py` runs this file with an installation as ATELIER_HOME, and reads the outcomes
of all functions named `case_…`. The client itself starts the backend. The filters of that backend are
those of `echo_filter`, so that it starts at once; REAL_HOME is an installation with the real ones.
"""

from __future__ import annotations

import itertools
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from gi.repository import GLib
from other_home import installation, real_filters
from outcomes import cases_in, write_outcomes
from own_clock import busy_s, moment

from atelier_shared import client as backend_client
from atelier_shared import launcher
from atelier_shared.client import BackendClient
from atelier_shared.deepdream import DeepDream
from atelier_shared.errors import (
    AtelierError,
    BackendSilent,
    BackendUnavailable,
    JobCancelled,
    JobFailed,
)
from atelier_shared.messages import Picture, Progress, Queued, Region, Result
from atelier_shared.requests import Identity
from host.event_loop_client import EventLoopClient

PICTURE, WHOLE = Picture(3, 2, "RGB", "u8", bytes(range(18))), Region(0, 0, 3, 2)
PHOTO, ALL_OF_IT = Picture(64, 64, "RGB", "u8", bytes(range(256)) * 48), Region(0, 0, 64, 64)
POSTER, ALL_OF_POSTER = Picture(1024, 1024, "RGB", "u8", bytes(range(256)) * 12288), Region(0, 0, 1024, 1024)
LARGE, ALL_OF_LARGE = Picture(4000, 3000, "RGBA", "u8", bytes(48_000_000)), Region(0, 0, 4000, 3000)
ENDLESS = DeepDream(seed=1)
"""See echo_filter.ENDLESS; GIMP's Python cannot import that module."""
WITHIN_S = 60.0
IMPATIENT_S = 4.0  # several beats, because a busy machine may delay one
TICK_MS = 5
BLOCKED_S = 0.05 if len(os.sched_getaffinity(0)) > 1 else 0.2
"""With one core, threads that copy and sign a layer displace the loop: 0.09 s were measured."""
TRIES = 6  # other programs may block the loop, too


class Job:
    """A job of a client, and its events."""

    def __init__(self, client: EventLoopClient, request: Any, content: Picture, region: Region) -> None:
        self.events: list[Any] = []
        self.number = client.submit(request, content, region, [], self.events.append)

    @property
    def last(self) -> Any:
        return self.events[-1] if self.events else None

    def wait(self) -> Any:
        """Return the result or the error; check that it is the only one."""
        wait_until(lambda: isinstance(self.last, Result | AtelierError), "the job to end")
        assert not [event for event in self.events[:-1] if isinstance(event, Result | AtelierError)]
        return self.last

    def wait_for_progress(self) -> None:
        wait_until(lambda: isinstance(self.last, Progress), "the job's first progress")


def wait_until(holds: Callable[[], bool], what: str, within_s: float = WITHIN_S) -> None:
    """Run the main loop until a condition holds."""
    context, deadline = GLib.MainContext.default(), time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"Timed out after {within_s:.0f} s waiting for: {what}"
        if not context.iteration(False):
            time.sleep(0.001)


def connected_client() -> EventLoopClient:
    client = EventLoopClient(lambda: None)
    client.start()
    wait_until(lambda: client.state == "ready", "the connection")
    return client


def backend_pid() -> int:
    connection = launcher.read_connection()
    assert connection
    return connection.pid


def end_backend() -> None:
    """Stop the backend if one is running."""
    if backend := launcher.connect_if_running():
        with backend:
            backend.stop_backend()
            backend.wait_until_gone()


def case_a_job_submitted_before_the_backend_runs_is_sent_later() -> None:
    end_backend()
    states: list[Any] = []
    client = EventLoopClient(lambda: states.append(client.state))
    job = Job(client, Identity(), PICTURE, WHOLE)
    assert client.state == "starting"
    result = job.wait()
    assert result.picture == PICTURE
    assert [type(event) for event in job.events] == [Queued, Progress, Result]
    assert states == ["ready"]
    assert Job(client, Identity(), PICTURE, WHOLE).wait().picture == PICTURE


def case_the_main_loop_is_never_blocked() -> None:
    """Start the backend and send and receive a large layer, while a timer ticks."""
    longest_s = [longest_iteration()]
    while longest_s[-1] >= BLOCKED_S and len(longest_s) < TRIES:
        longest_s.append(longest_iteration())
    assert longest_s[-1] < BLOCKED_S, f"the longest iterations of the loop in {TRIES} tries: {longest_s} s"


def longest_iteration() -> float:
    """Return the longest iteration of the loop, in seconds, from the backend's start to a large result."""
    end_backend()
    ticks = [moment()]

    def tick() -> bool:
        ticks.append(moment())
        return True

    clock = GLib.timeout_add(TICK_MS, tick)
    client = EventLoopClient(lambda: None)
    result = Job(client, Identity(), LARGE, ALL_OF_LARGE).wait()
    GLib.source_remove(clock)
    assert result.picture == LARGE
    return max(busy_s(earlier, later) for earlier, later in itertools.pairwise(ticks))


def case_a_job_is_cancelled_within_a_step() -> None:
    client = connected_client()
    job, next_one = Job(client, ENDLESS, PHOTO, ALL_OF_IT), Job(client, Identity(), PICTURE, WHOLE)
    job.wait_for_progress()
    assert job.last.preview or job.last.step > 1
    wait_until(lambda: isinstance(next_one.last, Queued), "the other job to be queued")
    assert next_one.last.place == 1
    client.cancel(job.number)
    assert isinstance(job.wait(), JobCancelled)
    assert next_one.wait().picture == PICTURE


def case_a_job_that_finishes_early_returns_the_picture_so_far() -> None:
    dream = DeepDream(network="squeezenet", iterations=500, octaves=4, size=128)
    with real_filters(), closing(connected_client()) as client:
        job = Job(client, dream, PHOTO, ALL_OF_IT)
        job.wait_for_progress()
        client.finish_early(job.number)
        result = job.wait()
    assert (result.picture.width, result.picture.height) == (64, 64)
    assert result.picture.pixels != PHOTO.pixels


def case_a_job_can_be_ended_while_the_backend_starts() -> None:
    end_backend()
    client = EventLoopClient(lambda: None)
    dropped, finished, kept = (Job(client, Identity(), PICTURE, WHOLE) for _ in range(3))
    client.cancel(dropped.number)
    client.finish_early(finished.number)
    assert isinstance(dropped.wait(), JobCancelled)
    assert isinstance(finished.wait(), JobCancelled)
    assert client.state == "starting"
    assert kept.wait().picture == PICTURE
    assert len(dropped.events) == len(finished.events) == 1


def case_a_job_sent_before_ready_is_also_cancelled_in_the_backend() -> None:
    """Block the loop: the client's thread connects and sends the job, but the client is not ready yet."""
    connected_client().close()
    with closing(EventLoopClient(lambda: None)) as client:
        job = Job(client, ENDLESS, POSTER, ALL_OF_POSTER)
        with launcher.connect() as other:
            while is_idle(other):
                pass
        assert client.state == "starting"
        client.cancel(job.number)
        assert isinstance(job.wait(), JobCancelled)
        assert Job(client, Identity(), PICTURE, WHOLE).wait().picture == PICTURE


def is_idle(backend: BackendClient) -> bool:
    """Return whether the backend begins a job at once."""
    first = next(backend.messages(backend.submit(Identity(), PICTURE, WHOLE)))
    return isinstance(first, Queued) and first.place == 0


def case_a_failed_job_ends_with_its_reason() -> None:
    with real_filters(), closing(connected_client()) as client:
        error = Job(client, DeepDream(layers="Mixed_9z", network="squeezenet"), PHOTO, ALL_OF_IT).wait()
        assert isinstance(error, JobFailed)
        assert "Mixed_9z" in str(error)
        assert client.state == "ready"


def case_result_of_runs_a_nested_loop() -> None:
    client = EventLoopClient(lambda: None)
    numbers: list[int] = []
    events: list[Any] = []
    result = client.result_of(Identity(), PICTURE, WHOLE, [], events.append, numbers.append)
    assert result.picture == PICTURE
    assert [type(event) for event in events] == [Queued, Progress]

    def cancel(event: Queued | Progress) -> None:
        """Cancel the job from its own callback, inside the nested loop."""
        if isinstance(event, Progress):
            client.cancel(numbers[-1])

    try:
        client.result_of(ENDLESS, PHOTO, ALL_OF_IT, [], cancel, numbers.append)
    except JobCancelled:
        assert len(set(numbers)) == 2
    else:
        raise AssertionError("the job was not cancelled")


def case_result_of_works_inside_the_callback_of_another_job() -> None:
    client = connected_client()
    inner: list[Result] = []

    def callback(_event: object) -> None:
        if not inner:
            inner.append(client.result_of(Identity(), PICTURE, WHOLE, [], lambda _: None))

    client.submit(Identity(), PICTURE, WHOLE, [], callback)
    wait_until(lambda: bool(inner), "the inner job's result")


def case_a_killed_backend_is_reported_and_the_next_job_starts_another() -> None:
    client = connected_client()
    job, killed = Job(client, ENDLESS, PHOTO, ALL_OF_IT), backend_pid()
    job.wait_for_progress()
    os.kill(killed, signal.SIGKILL)
    assert isinstance(job.wait(), BackendSilent)
    assert client.state is job.last
    assert Job(client, Identity(), PICTURE, WHOLE).wait().picture == PICTURE
    assert client.state == "ready"
    assert backend_pid() != killed


def case_the_exit_of_an_idle_backend_is_no_error() -> None:
    states: list[Any] = []
    client = EventLoopClient(lambda: states.append(client.state))
    assert Job(client, Identity(), PICTURE, WHOLE).wait().picture == PICTURE
    end_backend()
    wait_until(lambda: client._connection is None, "the end of the connection")
    assert states == ["ready"]
    assert Job(client, Identity(), PICTURE, WHOLE).wait().picture == PICTURE
    assert states == ["ready", "starting", "ready"]


def case_a_silent_backend_is_reported() -> None:
    client = connected_client()
    with silence_after(IMPATIENT_S):
        job = Job(client, ENDLESS, PHOTO, ALL_OF_IT)
        job.wait_for_progress()
        os.kill(backend_pid(), signal.SIGSTOP)
        try:
            error = job.wait()
        finally:
            os.kill(backend_pid(), signal.SIGCONT)
    assert isinstance(error, BackendSilent)
    assert "not responded for 4 seconds" in str(error)


def case_beats_keep_an_idle_connection() -> None:
    client = connected_client()
    with silence_after(IMPATIENT_S):
        connection, until = client._connection, time.monotonic() + 2 * IMPATIENT_S
        wait_until(lambda: time.monotonic() > until, "some time to pass")
        assert client._connection is connection


def case_closing_the_client_ends_its_jobs() -> None:
    client = connected_client()
    job = Job(client, ENDLESS, PHOTO, ALL_OF_IT)
    job.wait_for_progress()
    client.close()
    assert isinstance(job.wait(), JobCancelled)
    with launcher.connect() as other:  # its job starts, because the backend drops the closed client's job
        *_, last = other.messages(other.submit(Identity(), PICTURE, WHOLE))
    assert isinstance(last, Result)


def case_every_job_without_an_installation_ends_with_the_same_error() -> None:
    with another_home():
        client = EventLoopClient(lambda: None)
        for _ in range(2):
            job = Job(client, Identity(), PICTURE, WHOLE)
            assert client.state == "starting"
            error = job.wait()
            assert isinstance(error, BackendUnavailable)
            assert "is not installed" in str(error)
            assert str(client.state) == str(error)


def case_an_unexpected_error_at_the_start_is_reported() -> None:
    with another_home() as home:
        (home / "venv").symlink_to(Path(os.environ["VENV"]))
        (home / "backend.log").mkdir()
        client = EventLoopClient(lambda: None)
        error = Job(client, Identity(), PICTURE, WHOLE).wait()
        assert isinstance(error, BackendUnavailable)
        assert "backend.log" in str(error)


@contextmanager
def another_home() -> Iterator[Path]:
    """Use an empty folder as the installation."""
    with tempfile.TemporaryDirectory() as folder, installation(folder) as own:
        os.environ["VENV"] = f"{own}/venv"
        yield Path(folder)


@contextmanager
def silence_after(seconds: float) -> Iterator[None]:
    """Shorten the time after which a backend counts as silent."""
    usual = backend_client.SILENCE_S
    backend_client.SILENCE_S = seconds
    try:
        yield
    finally:
        backend_client.SILENCE_S = usual


def main() -> None:
    """Run all cases."""
    write_outcomes(cases_in(globals()))


if __name__ == "__main__":
    main()
