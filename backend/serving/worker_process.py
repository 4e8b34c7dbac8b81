"""The worker process: it runs one job after another and reports over a pipe to the process that began it."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from multiprocessing.context import SpawnProcess

from atelier_shared.deferred_translation import N_
from atelier_shared.errors import JobCancelled, JobFailed, Wrong
from atelier_shared.messages import (
    Beat,
    Cancel,
    Cancelled,
    Failed,
    FinishEarly,
    Help,
    Message,
    Queued,
    Result,
    Submit,
)

from ..compat import allocator, primitive_caches, waiting_threads
from .job_pipe import JobPipe
from .worker_pipe import WorkerPipe

Run = Callable[[Submit | Help, JobPipe], Generator[Message, bool | None, None]]
"""Runs a job: yields Progress messages, then one Result. Send True to ask it to finish early with the
current image. Help for another worker's job has no result, and is ended by JobCancelled."""
Load = Callable[[], Run]

BEAT_S = 0.25
QUIET_S = 2.0
"""Idle time before the process returns freed memory to the system. The delay spares a job
right after another from allocating it again."""
OUT_OF_MEMORY_EXIT = 12
"""Exit code of a process without memory for a job's pictures."""
OUT_OF_MEMORY = N_("There is not enough memory for this picture. Choose a smaller working size.")
READY = Queued(0, 0)
"""Sent once when the worker has loaded. The same message with a job number acknowledges that job."""
MAX_ERROR_CHARACTERS = 500
ENDING_S = 0.5

log = logging.getLogger(__name__)


def started(load: Load) -> tuple[SpawnProcess, socket.socket]:
    """Start a worker process and return it with our end of its pipe.

    Raises:
        OSError: the system has no process or file left for it.
    """
    ours, theirs = socket.socketpair()
    process = multiprocessing.get_context("spawn").Process(target=work, args=(theirs, load), daemon=True)
    with theirs:
        try:
            process.start()
        except OSError:
            ours.close()
            raise
    return process, ours


def end(process: SpawnProcess) -> None:
    """Wait a moment for a process whose pipe is closed, then kill it."""
    process.join(ENDING_S)
    process.kill()
    process.join()


def work(end: socket.socket, load: Load) -> None:
    """Run the jobs arriving through `end`, until the server closes it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in the server's terminal is for the server
    allocator.share_one_arena()
    primitive_caches.limit()
    waiting_threads.sleep()
    pipe = WorkerPipe(end)
    try:
        with _beating(pipe), _without_collection():
            run = load()
        pipe.send(READY)
        while True:
            _run_next_job(pipe, run)
            if not pipe.has_message(within_s=QUIET_S):
                allocator.give_back()
    except ConnectionError:
        return
    except MemoryError:
        log.exception("not enough memory for a job's pictures")
        os._exit(OUT_OF_MEMORY_EXIT)  # without cleaning up, because the server waits for the exit code


@contextmanager
def _without_collection() -> Iterator[None]:
    """Switch garbage collection off while modules are loaded, and exempt them from it afterwards.

    Modules never become garbage. Loading PyTorch takes a tenth less time this way.
    """
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


def _run_next_job(pipe: WorkerPipe, run: Run) -> None:
    """Wait for a job and run it. Its pictures are released on return."""
    message = pipe.receive()
    if isinstance(message, Submit | Help):
        pipe.send(Queued(message.job, 0))  # acknowledges the job
        with _beating(pipe):
            final = _run_job(JobPipe(pipe, message.job), message, run)
        pipe.send(final)


def _run_job(pipe: JobPipe, begin: Submit | Help, run: Run) -> Message:
    """Run one job, send its progress, and return its final message."""
    try:
        with closing(run(begin, pipe)) as messages:
            while True:
                message = messages.send(True if FinishEarly in pipe.end_requests else None)
                if isinstance(message, Result):
                    return message
                pipe.read_waiting()
                if Cancel in pipe.end_requests:
                    return Cancelled(begin.job)
                pipe.send(message)
    except ConnectionError:
        raise
    except JobCancelled:
        return Cancelled(begin.job)
    except Exception as error:
        log.exception("job %d failed", begin.job)
        return _failed(begin.job, error)


def _failed(job: int, error: Exception) -> Failed:
    """Return the message about an exception of a job."""
    if isinstance(error, JobFailed):
        return Failed(job, error.reason, error.template, _texts(error.values))
    if isinstance(error, MemoryError):
        return Failed(job, "out-of-memory", OUT_OF_MEMORY)
    if isinstance(error, Wrong):
        return Failed(job, "bad-request", error.template, _texts(error.values))
    text = {"error": str(error) or type(error).__name__}
    if isinstance(error, ValueError):
        return Failed(job, "bad-request", "{error}", _texts(text))
    return Failed(job, "internal", _INTERNAL, _texts(text))


def _texts(values: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value)[:MAX_ERROR_CHARACTERS] for name, value in values.items()}


_INTERNAL = N_("The filter failed ({error}). See the end of the backend's log for details.")


@contextmanager
def _beating(pipe: WorkerPipe) -> Iterator[None]:
    """Send beats from a thread, to distinguish a long computation from a hung interpreter."""
    done = threading.Event()
    thread = threading.Thread(target=_beat, args=(pipe, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _beat(pipe: WorkerPipe, done: threading.Event) -> None:
    while not done.wait(BEAT_S):
        try:
            pipe.send(Beat())
        except OSError:  # the server is gone, and with it the client of this job
            os._exit(1)
