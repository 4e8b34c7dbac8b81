"""What is checked of the link to the backend: in a main loop of GLib's, by GIMP's Python, without GIMP.

`test_backend_link.py` starts it with ATELIER_HOME an installation, and reads the outcomes of all
functions named `case_…`. It is the link that starts the backend.
"""

from __future__ import annotations

import itertools
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gi.repository import GLib
from outcomes import cases_in, write_outcomes
from own_clock import own_time_s

from atelier_shared import client, launcher
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
LARGE, ALL_OF_LARGE = Picture(4000, 3000, "RGBA", "u8", bytes(48_000_000)), Region(0, 0, 4000, 3000)
ENDLESS = DeepDream(network="squeezenet", iterations=500, octaves=4, size=128)
WITHIN_S = 60.0
IMPATIENT_S = 4.0  # a few beats, of which a busy machine may delay one
TICK_MS, BLOCKED_S = 5, 0.05
TRIES = 6  # what else the machine does may hold a loop up, too


class Job:
    """A job of a link, and what is said of it."""

    def __init__(self, link: EventLoopClient, request: Any, content: Picture, region: Region) -> None:
        self.said: list[Any] = []
        self.number = link.submit(request, content, region, [], self.said.append)

    @property
    def last(self) -> Any:
        return self.said[-1] if self.said else None

    def wait(self) -> Any:
        """What it ends with."""
        wait_until(lambda: isinstance(self.last, Result | AtelierError), "the job ends")
        assert not [said for said in self.said[:-1] if isinstance(said, Result | AtelierError)]
        return self.last

    def wait_for_progress(self) -> None:
        wait_until(lambda: isinstance(self.last, Progress), "the job is at work")


def wait_until(holds: Callable[[], bool], what: str, within_s: float = WITHIN_S) -> None:
    """Run the main loop until something holds."""
    context, deadline = GLib.MainContext.default(), time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"It was waited {within_s:.0f} s in vain that {what}."
        if not context.iteration(False):
            time.sleep(0.001)


def ready_link() -> EventLoopClient:
    link = EventLoopClient(lambda: None)
    link.start()
    wait_until(lambda: link.state == "ready", "the link is ready")
    return link


def backend_pid() -> int:
    connection = launcher.read_connection()
    assert connection
    return connection.pid


def end_backend() -> None:
    """Have no backend run."""
    if client := launcher.connect_if_running():
        with client:
            client.stop_backend()
            client.wait_until_gone()


def case_a_job_submitted_before_the_backend_runs_waits_for_it() -> None:
    end_backend()
    states: list[Any] = []
    link = EventLoopClient(lambda: states.append(link.state))
    job = Job(link, Identity(), PICTURE, WHOLE)
    assert link.state == "starting"
    result = job.wait()
    assert result.picture == PICTURE
    assert [type(said) for said in job.said] == [Queued, Result]
    assert states == ["ready"]
    assert Job(link, Identity(), PICTURE, WHOLE).wait().picture == PICTURE


def case_the_main_loop_is_never_held_up() -> None:
    """Neither by a first job, the start of the backend, nor a large layer on its way there and back."""
    longest_s = [longest_turn()]
    while longest_s[-1] >= BLOCKED_S and len(longest_s) < TRIES:
        longest_s.append(longest_turn())
    assert longest_s[-1] < BLOCKED_S, f"the longest turns of the loop in {TRIES} tries: {longest_s} s"


def longest_turn() -> float:
    """Seconds of the longest turn of the loop from before the backend starts to the end of a large job."""
    end_backend()
    ticks = [own_time_s()]

    def tick() -> bool:
        ticks.append(own_time_s())
        return True

    clock = GLib.timeout_add(TICK_MS, tick)
    link = EventLoopClient(lambda: None)
    result = Job(link, Identity(), LARGE, ALL_OF_LARGE).wait()
    GLib.source_remove(clock)
    assert result.picture == LARGE
    return max(later - earlier for earlier, later in itertools.pairwise(ticks))


def case_a_job_is_cancelled_within_a_step() -> None:
    link = ready_link()
    job, next_one = Job(link, ENDLESS, PHOTO, ALL_OF_IT), Job(link, Identity(), PICTURE, WHOLE)
    job.wait_for_progress()
    assert job.last.preview or job.last.step > 1
    wait_until(lambda: isinstance(next_one.last, Queued), "the other one waits")
    assert next_one.last.place == 1
    link.cancel(job.number)
    assert isinstance(job.wait(), JobCancelled)
    assert next_one.wait().picture == PICTURE


def case_a_job_is_finished_with_what_there_is() -> None:
    link = ready_link()
    job = Job(link, ENDLESS, PHOTO, ALL_OF_IT)
    job.wait_for_progress()
    link.finish_early(job.number)
    result = job.wait()
    assert (result.picture.width, result.picture.height) == (64, 64)
    assert result.picture.pixels != PHOTO.pixels


def case_a_job_is_cancelled_while_the_backend_starts() -> None:
    end_backend()
    link = EventLoopClient(lambda: None)
    dropped, done, kept = (Job(link, Identity(), PICTURE, WHOLE) for _ in range(3))
    link.cancel(dropped.number)
    link.finish_early(done.number)
    assert isinstance(dropped.wait(), JobCancelled)
    assert isinstance(done.wait(), JobCancelled)
    assert link.state == "starting"
    assert kept.wait().picture == PICTURE
    assert len(dropped.said) == len(done.said) == 1


def case_a_failed_job_says_why() -> None:
    link = ready_link()
    error = Job(link, DeepDream(layers="Mixed_9z", network="squeezenet"), PHOTO, ALL_OF_IT).wait()
    assert isinstance(error, JobFailed)
    assert "Mixed_9z" in str(error)
    assert link.state == "ready"


def case_a_result_is_waited_for_in_a_loop_of_its_own() -> None:
    link = EventLoopClient(lambda: None)
    numbers: list[int] = []
    heard: list[Any] = []
    result = link.result_of(Identity(), PICTURE, WHOLE, [], heard.append, numbers.append)
    assert result.picture == PICTURE
    assert [type(said) for said in heard] == [Queued]

    def cancel(said: Queued | Progress) -> None:
        """From within what is heard, and by way of another loop within that one."""
        if isinstance(said, Progress):
            link.cancel(numbers[-1])

    try:
        link.result_of(ENDLESS, PHOTO, ALL_OF_IT, [], cancel, numbers.append)
    except JobCancelled:
        assert len(set(numbers)) == 2
    else:
        raise AssertionError("it was not cancelled")


def case_a_result_can_be_waited_for_where_another_one_is_heard() -> None:
    link = ready_link()
    inner: list[Result] = []

    def hear(_said: object) -> None:
        if not inner:
            inner.append(link.result_of(Identity(), PICTURE, WHOLE, [], lambda _: None))

    link.submit(Identity(), PICTURE, WHOLE, [], hear)
    wait_until(lambda: bool(inner), "the inner job is done")


def case_a_killed_backend_is_told_and_the_next_job_starts_another() -> None:
    link = ready_link()
    job, killed = Job(link, ENDLESS, PHOTO, ALL_OF_IT), backend_pid()
    job.wait_for_progress()
    os.kill(killed, signal.SIGKILL)
    assert isinstance(job.wait(), BackendSilent)
    assert link.state is job.last
    assert Job(link, Identity(), PICTURE, WHOLE).wait().picture == PICTURE
    assert link.state == "ready"
    assert backend_pid() != killed


def case_a_backend_that_ends_while_nothing_is_asked_is_no_error() -> None:
    states: list[Any] = []
    link = EventLoopClient(lambda: states.append(link.state))
    assert Job(link, Identity(), PICTURE, WHOLE).wait().picture == PICTURE
    end_backend()
    wait_until(lambda: link._line is None, "the link has heard of it")
    assert states == ["ready"]
    assert Job(link, Identity(), PICTURE, WHOLE).wait().picture == PICTURE
    assert states == ["ready", "starting", "ready"]


def case_a_backend_that_falls_silent_is_told() -> None:
    link = ready_link()
    with silence_after(IMPATIENT_S):
        job = Job(link, ENDLESS, PHOTO, ALL_OF_IT)
        job.wait_for_progress()
        os.kill(backend_pid(), signal.SIGSTOP)
        try:
            error = job.wait()
        finally:
            os.kill(backend_pid(), signal.SIGCONT)
    assert isinstance(error, BackendSilent)
    assert "said nothing for 4 seconds" in str(error)


def case_beats_keep_an_idle_link() -> None:
    link = ready_link()
    with silence_after(IMPATIENT_S):
        line, until = link._line, time.monotonic() + 2 * IMPATIENT_S
        wait_until(lambda: time.monotonic() > until, "some time passes")
        assert link._line is line


def case_a_closed_link_ends_its_jobs_and_hears_no_more() -> None:
    link = ready_link()
    job = Job(link, ENDLESS, PHOTO, ALL_OF_IT)
    job.wait_for_progress()
    link.close()
    assert isinstance(job.wait(), JobCancelled)
    with launcher.connect() as client:  # which drops what a client that is gone had asked for
        *_, last = client.messages(client.submit(Identity(), PICTURE, WHOLE))
    assert isinstance(last, Result)


def case_where_no_backend_can_be_started_every_try_says_so() -> None:
    with another_home():
        link = EventLoopClient(lambda: None)
        for _ in range(2):
            job = Job(link, Identity(), PICTURE, WHOLE)
            assert link.state == "starting"
            error = job.wait()
            assert isinstance(error, BackendUnavailable)
            assert "is not installed" in str(error)
            assert str(link.state) == str(error)


def case_what_nobody_foresaw_is_told_too() -> None:
    with another_home() as home:
        (home / "venv").symlink_to(Path(os.environ["VENV"]))
        (home / "backend.log").mkdir()
        link = EventLoopClient(lambda: None)
        error = Job(link, Identity(), PICTURE, WHOLE).wait()
        assert isinstance(error, BackendUnavailable)
        assert "backend.log" in str(error)


@contextmanager
def another_home() -> Iterator[Path]:
    """An empty folder in the place of the installation."""
    own = os.environ["ATELIER_HOME"]
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"ATELIER_HOME": folder, "VENV": f"{own}/venv"}
        try:
            yield Path(folder)
        finally:
            os.environ["ATELIER_HOME"] = own


@contextmanager
def silence_after(seconds: float) -> Iterator[None]:
    """Be less patient than usual."""
    usual = client.SILENCE_S
    client.SILENCE_S = seconds
    try:
        yield
    finally:
        client.SILENCE_S = usual


def main() -> None:
    """Try everything."""
    write_outcomes(cases_in(globals()))


if __name__ == "__main__":
    main()
