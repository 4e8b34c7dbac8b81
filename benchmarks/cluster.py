"""The efficiency of a cluster on this computer, and the rate at which its scheduler is saturated.

    python benchmarks/cluster.py [--frames 24] [--width 1000] [--models ~/.atelier/models]

Frames of 3:2 in 8-bit RGB go through a real scheduler over TLS, in a process of its own, to worker
processes and back, first with one worker, then with two. A frame takes 0.25 s: the filter sleeps, so that
the processor does not limit the result. With --models, frames are also painted by *light*, on one thread
for each worker. Efficiency is the time with one worker, divided by twice the time with two. The last lines
are measured with a filter that returns its content at once: the scheduler's work for a frame and for a step,
and so the number of workers for which it suffices; and the command line's own work for a frame.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import SpawnProcess
from pathlib import Path

import numpy as np
import psutil
import zmq
from PIL import Image

from atelier_shared import launcher
from atelier_shared.home import SCHEDULER_CERTIFICATE_FILE, WORKER_CERTIFICATE_FILE
from atelier_shared.messages import (
    Beat,
    Help,
    Message,
    Picture,
    PreviousFrame,
    Progress,
    Region,
    Result,
    Submit,
)
from atelier_shared.request import Request
from atelier_shared.requests import Identity
from atelier_shared.style_transfer import StyleTransfer
from backend.__main__ import load_filters
from backend.cluster import certificates, scheduler, worker
from backend.cluster.address import Address
from backend.command.parallel import NewJob, Task, in_order
from backend.jobs import separate_frames
from backend.jobs.picture_arrays import as_array, as_picture
from backend.serving.authentication import AuthenticatedRouter
from backend.serving.job_pipe import JobPipe
from backend.serving.published_connection import published
from backend.serving.server import Server
from backend.serving.worker import LocalWorker
from backend.serving.worker_pipe import with_sizes
from backend.serving.worker_process import BEAT_S, Load, Run

PHOTO = Path(__file__).parents[1] / "samples" / "chelsea.jpg"
STYLE = PHOTO.with_name("starry_night.jpg")
FRAME_S = 0.25
SMALL_PX, STEPS = 12, 1000
BEATS_A_SECOND = 1 / BEAT_S
"""A beat is no more work than a step, which also goes to the client."""
HERE = "127.0.0.1"
SPAWN = multiprocessing.get_context("spawn")


def load_sleeping(seconds: float, steps: int = 4) -> Run:
    return partial(sleep, seconds=seconds, steps=steps)


def sleep(
    submit: Submit | Help, _pipe: JobPipe, seconds: float, steps: int
) -> Generator[Message, bool | None, None]:
    """Take a time without the processor, in some steps, and return the content."""
    assert isinstance(submit, Submit)
    for step in range(steps):
        time.sleep(seconds / steps)
        yield Progress(submit.job, step + 1, steps)
    yield Result(submit.job, submit.content)


# ── A cluster ────────────────────────────────────────────────────────────────────────────────────


def serve(home: Path, port: Pipe) -> None:
    """Run a scheduler; send its port, and then the changes of the number of its workers."""
    key, tls = secrets.token_bytes(32), certificates.scheduler_context(home / SCHEDULER_CERTIFICATE_FILE)
    second = LocalWorker(partial(load_sleeping, 0), starts_at_once=False)
    with zmq.Context() as context, AuthenticatedRouter(context, key) as router:
        server = Server(router, key, None, second.start, idle_s=3600)

        def join(start: object) -> None:
            server.join(start)  # type: ignore[arg-type]
            port.send(1)

        connection = launcher.Connection(router.port, os.getpid(), key.hex(), is_scheduler=True)
        with (
            scheduler.listening(Address(HERE, 0), tls, join, server.leave) as bound,
            published(connection, on_lost=server.stop),
        ):
            port.send(bound)
            server.serve()


@contextlib.contextmanager
def cluster(workers: int, load: Load) -> Iterator[psutil.Process]:
    """Run a scheduler and workers on this computer; yield the scheduler's process."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ["ATELIER_HOME"] = folder
        certificates.make(home)
        ours, theirs = SPAWN.Pipe()
        processes = [start(serve, home, theirs)]
        try:
            port = ours.recv()
            processes += [start(run_worker, port, home, load) for _ in range(workers)]
            for _ in range(workers):
                ours.recv()
            yield psutil.Process(processes[0].pid)
        finally:
            for process in reversed(processes):
                process.terminate()
                process.join()


def start(function: object, *arguments: object) -> SpawnProcess:
    process = SPAWN.Process(target=function, args=arguments)  # type: ignore[arg-type]
    process.start()
    return process


def run_worker(port: int, home: Path, load: Load) -> None:
    worker.run(Address(HERE, port), certificates.worker_context(home / WORKER_CERTIFICATE_FILE), load)


# ── Measurements ─────────────────────────────────────────────────────────────────────────────────


def frame(width: int) -> Picture:
    with Image.open(PHOTO) as photo:
        values = np.asarray(photo.convert("RGB").resize((width, width * 2 // 3)))
    return as_picture(values, "RGB", "u8")


def whole(picture: Picture) -> Region:
    return Region(0, 0, picture.width, picture.height)


def one(job: NewJob) -> Task[Picture]:
    result = yield job
    return result.picture


def seconds_for(job: NewJob, count: int) -> float:
    """Return the seconds for frames. One frame for each worker goes first and loads its networks."""
    list(in_order(one(job) for _ in range(4)))
    begun_s = time.perf_counter()
    done = sum(1 for _ in in_order(one(job) for _ in range(count)))
    assert done == count
    return time.perf_counter() - begun_s


def efficiency(name: str, job: NewJob, load: Load, count: int) -> None:
    seconds = {}
    for workers in (1, 2):
        with cluster(workers, load):
            seconds[workers] = seconds_for(job, count)
    share = seconds[1] / (2 * seconds[2])
    print(
        f"{name}: {count} frames, {seconds[1]:.2f} s with one worker, {seconds[2]:.2f} s with two: "
        f"efficiency {share:.2f}"
    )


def capacity(content: Picture, count: int) -> None:
    """Print the bytes of a frame and of a step, the scheduler's work for them, and what it suffices for."""
    sizes = [sum(map(len, with_sizes(each))) for each in (submit(content), Result(1, content))]
    step_bytes, beat_bytes = (sum(map(len, with_sizes(each))) for each in (Progress(1, 1, STEPS), Beat()))
    print("bytes: {} to a worker and {} back, {} a step, {} a beat".format(*sizes, step_bytes, beat_bytes))
    frame_s = busy_seconds(content, 0, count)
    small_s = busy_seconds(frame(SMALL_PX), 0, count)
    step_s = (busy_seconds(frame(SMALL_PX), STEPS, 8) - small_s) / STEPS
    times = [f"{1e3 * seconds:.2f} ms" for seconds in (frame_s, small_s, step_s)]
    print("scheduler: {} of a core a frame, {} without its pixels, {} a step".format(*times))
    for name, seconds, steps in (("light", FRAME_S, 1), ("fine", 10.0, 40)):
        share = (frame_s + steps * step_s) / seconds + BEATS_A_SECOND * step_s
        few = (small_s + steps * step_s) / seconds + BEATS_A_SECOND * step_s
        print(
            f"{name}, {seconds} s and {steps} steps: a core of the scheduler for {1 / share:.0f} workers, "
            f"{1 / few:.0f} without pixels; 1000 workers: {sum(sizes) * 8e-6 * 1000 / seconds:.0f} Mbit/s"
        )


def submit(content: Picture) -> Submit:
    return Submit(1, Identity(), content, whole(content))


def busy_seconds(content: Picture, steps: int, count: int) -> float:
    """Return the processor time of a scheduler for a frame; its workers need none."""
    job = NewJob(Identity(), content, whole(content))
    with cluster(2, partial(load_sleeping, 0, steps)) as process:
        list(in_order(one(job) for _ in range(4)))
        before = process.cpu_times()
        list(in_order(one(job) for _ in range(count)))
        after = process.cpu_times()
    return (after.user + after.system - before.user - before.system) / count


def command_line(content: Picture) -> None:
    """Print the time of the command line's own work for a frame of an animation."""
    request = StyleTransfer(method="light")
    frames = [content, as_picture(np.roll(as_array(content), 2, axis=1), "RGB", "u8")]
    before = PreviousFrame(frames[0], frames[0])
    cut_s = seconds_of(lambda: separate_frames.is_cut(request, *frames))
    blend_s = seconds_of(
        lambda: separate_frames.follow(request, frames[1], frames[1], whole(content), before)
    )
    print(f"command line: {cut_s:.2f} s to find out about a cut, {blend_s:.2f} s for a blend")


def seconds_of(call: Callable[[], object]) -> float:
    """Return the least seconds of several calls."""
    times = []
    for _ in range(5):
        begun_s = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun_s)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--width", type=int, default=1000)
    parser.add_argument("--models", type=Path)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    content = frame(options.width)
    job = NewJob(Identity(), content, whole(content))
    efficiency(f"sleeping {FRAME_S} s", job, partial(load_sleeping, FRAME_S), options.frames)
    if options.models:
        with Image.open(STYLE) as image:
            style = as_picture(np.asarray(image.convert("RGB")), "RGB", "u8")
        request: Request = StyleTransfer(method="light", device="cpu", coherence=0)
        painted = NewJob(request, content, whole(content), [style])
        efficiency("light", painted, partial(load_filters, options.models.expanduser()), options.frames)
    capacity(content, 4 * options.frames)
    command_line(content)


if __name__ == "__main__":
    main()
