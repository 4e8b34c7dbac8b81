"""Runs jobs in a process of their own, so that nothing a job does can take the server with it.

`LocalWorker` is the server's side: it starts the process, hands it one job at a time, and turns its
crash or its hanging into a `Failed` message. `work` is the process' side: it runs a generator of
messages, cancels it or makes it finish early when asked, and turns its exceptions into `Failed`.
Neither knows of ZeroMQ, torch, or what a job computes.
"""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess

from atelier_shared.errors import JobFailed, ProtocolError
from atelier_shared.messages import (
    Beat,
    Cancel,
    Cancelled,
    EndRequest,
    Failed,
    FinishEarly,
    Message,
    Progress,
    Queued,
    Result,
    Submit,
)

from ..compat import allocator
from .worker_pipe import WorkerPipe

Run = Callable[[Submit], Generator[Message, bool | None, None]]
"""The messages of a job, a Result at last; True is sent from when on it is wanted of what there is."""
Load = Callable[[], Run]
Report = Callable[[Message], None]

BEAT_S = 0.25
HANG_S = 60.0
RELEASE_S = 120.0
ENDING_S = 0.5
PATIENCE_S = 10.0
"""In which a cancelled job may end by itself; the process of one whose step takes longer is ended."""
QUIET_S = 2.0
"""Without a job, after which the process gives memory back; taking it anew would slow the next one."""
KILLED = -9
"""The exit code of a process that got SIGKILL, as from a system that is out of memory."""
NO_MEMORY = 12
"""The exit code of a process that had no room for a job's pictures."""
READY = Queued(0, 0)
"""The process' first word but for beats: it has loaded, and no job is before the next one. With a job's
number, its first word of that job: it has begun."""
LAST_WORDS = (Result, Failed, Cancelled)
LONGEST_TEXT = 500

log = logging.getLogger(__name__)


# ── The server's side ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Assignment:
    """A job, to whom it is reported, and how it was asked to end early."""

    submit: Submit
    report: Report
    wishes: queue.SimpleQueue[EndRequest]


class LocalWorker:
    """A process that runs one job after another with what `load`, called in it first, returns.

    It is warm from the beginning, kept between jobs, ended after `release_s` without one, which
    frees the memory of its device, and started anew for the next. `load` must be a function of a
    module. One thread does all that concerns the process, so that nobody else ever waits for it.
    """

    def __init__(
        self,
        load: Load,
        *,
        release_s: float = RELEASE_S,
        hang_s: float = HANG_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._load, self._release_s, self._hang_s, self._patience_s = load, release_s, hang_s, patience_s
        self._assignments: queue.Queue[Assignment | None] = queue.Queue()
        self._closed = threading.Event()
        self._process: SpawnProcess | None = None
        self._channel: WorkerPipe | None = self._spawn()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def start(self, submit: Submit, report: Report) -> Callable[[EndRequest], None]:
        """Begin a job and return the function that takes the wish to end it early; it never waits.

        `report` is called from another thread with every Progress and at last with a Result, a
        Failed or a Cancelled. Jobs started meanwhile run one after the other.
        """
        assignment = Assignment(submit, report, queue.SimpleQueue())
        self._assignments.put(assignment)
        return assignment.wishes.put

    def close(self) -> None:
        """End the process, whatever it is at; a job that runs is reported as failed."""
        self._closed.set()
        self._assignments.put(None)
        while self._keeper.is_alive():
            if self._process:
                self._process.kill()
            self._keeper.join(ENDING_S)

    def _keep(self) -> None:
        """Run what is assigned until closed."""
        while not self._closed.is_set():
            try:
                assignment = self._assignments.get(timeout=self._release_s)
            except queue.Empty:
                self._end_process()
                assignment = self._assignments.get()
            if assignment:
                assignment.report(self._attend(assignment))
            del assignment  # and with it its pictures, which would wait for the next one
        self._end_process()

    def _spawn(self) -> WorkerPipe:
        ours, theirs = socket.socketpair()
        spawn = multiprocessing.get_context("spawn")
        process = spawn.Process(target=work, args=(theirs, self._load), daemon=True)
        with theirs:
            process.start()
        self._process, self._is_ready = process, False  # only now: `close` may want to kill it
        return WorkerPipe(ours)

    def _end_process(self) -> int | None:
        """End the process, gently where it listens, and return its exit code."""
        if self._process is None:
            return None
        if self._channel:
            self._channel.close()
            self._channel = None
            self._process.join(ENDING_S)
            self._process.kill()
            self._process.join()
        return self._process.exitcode

    def _attend(self, assignment: Assignment) -> Message:
        """Hand a job to the process, pass on its progress, and return its last word or its obituary."""
        job = assignment.submit.job
        try:
            last = self._see_through(assignment)
        except TimeoutError:
            self._end_process()
            return Failed(job, "worker-hung", _HUNG.format(seconds=self._hang_s))
        except (OSError, ProtocolError, MemoryError) as error:
            code = self._end_process()
            log.exception("the worker's process was ended with %s in the middle of a job", code)
            if isinstance(error, MemoryError) or code == NO_MEMORY:
                return Failed(job, "out-of-memory", _NO_MEMORY)
            return Failed(job, "worker-died", _KILLED if code == KILLED else _CRASHED)
        if isinstance(last, Failed) and last.reason == "internal":
            self._end_process()  # who knows what state it is in
        return last

    def _begin(self, submit: Submit) -> WorkerPipe:
        """Have the process begin a job; a fresh one if that has died before."""
        try:
            return self._hand_over(submit)
        except ConnectionError:
            if self._closed.is_set() or self._end_process() == NO_MEMORY:
                raise
            log.exception("the worker's process died before it began a job; another one does it")
            return self._hand_over(submit)

    def _hand_over(self, submit: Submit) -> WorkerPipe:
        """Give a job to the process, which says when it begins; raises as WorkerPipe does."""
        if self._channel is None or self._process is None or not self._process.is_alive():
            self._end_process()
            self._channel = self._spawn()
        while not self._is_ready:  # it reads nothing before
            self._is_ready = self._channel.receive(timeout_s=self._hang_s) == READY
        self._channel.send(submit, timeout_s=self._hang_s)
        self._channel.receive(timeout_s=self._hang_s)
        return self._channel

    def _see_through(self, assignment: Assignment) -> Message:
        """Have a job done, pass on its progress and the wishes for it, and return its last word."""
        channel = self._begin(assignment.submit)
        told, until_s = set[type[EndRequest]](), math.inf
        while time.monotonic() < until_s:
            message = channel.receive(timeout_s=self._hang_s)
            if isinstance(message, LAST_WORDS):
                return message
            if isinstance(message, Progress):
                assignment.report(message)
            while not assignment.wishes.empty():
                wish = assignment.wishes.get()
                if type(wish) not in told:
                    channel.send(wish, timeout_s=self._hang_s)
                    told.add(type(wish))
                    if isinstance(wish, Cancel):
                        until_s = time.monotonic() + self._patience_s
        self._end_process()
        return Cancelled(assignment.submit.job)


_HUNG = (
    "The computation gave no sign of life for {seconds:.0f} seconds and was ended; "
    "try again, with a smaller working size if it happens again."
)
_KILLED = (
    "The system ended the computation, most likely because memory ran out; "
    "choose a smaller working size or close other programs, and try again."
)
_NO_MEMORY = "There is not enough memory for this picture: choose a smaller working size."
_CRASHED = "The computation crashed; try again, and run 'atelier doctor' if it happens again."


# ── The process' side ────────────────────────────────────────────────────────────────────────────


def work(end: socket.socket, load: Load) -> None:
    """Run the jobs that come through the channel, until the server closes it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl+C in the server's terminal is the server's
    allocator.share_one_arena()
    channel = WorkerPipe(end)
    try:
        with _beating(channel):
            run = load()
        channel.send(READY)
        while True:
            _attend_to_next(channel, run)
            if not channel.waiting(within_s=QUIET_S):
                allocator.give_back()
    except ConnectionError:
        return
    except MemoryError:
        log.exception("there is no room for a job's pictures")
        os._exit(NO_MEMORY)  # at once, for the server waits


def _attend_to_next(channel: WorkerPipe, run: Run) -> None:
    """Wait for a job and run it; nothing is held of it afterwards."""
    message = channel.receive()
    if isinstance(message, Submit):
        channel.send(Queued(message.job, 0))  # it begins
        with _beating(channel):
            last = _run_job(channel, message, run)
        channel.send(last)


def _run_job(channel: WorkerPipe, submit: Submit, run: Run) -> Message:
    """Run one job, send its progress, and return its last word."""
    try:
        with closing(run(submit)) as messages:
            wishes: set[type[EndRequest]] = set()
            while True:
                message = messages.send(True if FinishEarly in wishes else None)
                if isinstance(message, Result):
                    return message
                wishes |= _wishes(channel, submit.job)
                if Cancel in wishes:
                    return Cancelled(submit.job)
                channel.send(message)
    except ConnectionError:
        raise
    except Exception as error:
        log.exception("job %d failed", submit.job)
        return Failed(submit.job, *_reason(error))


def _wishes(channel: WorkerPipe, job: int) -> set[type[EndRequest]]:
    """How a job was asked to end early, since this was last looked at."""
    wishes: set[type[EndRequest]] = set()
    while channel.waiting():
        message = channel.receive()
        if isinstance(message, EndRequest) and message.job == job:
            wishes.add(type(message))
    return wishes


def _reason(error: Exception) -> tuple[str, str]:
    """A word for programs and a sentence for people, for what a job raised."""
    said = str(error)[:LONGEST_TEXT]
    if isinstance(error, JobFailed):
        return error.reason, said
    if isinstance(error, MemoryError):
        return "out-of-memory", _NO_MEMORY
    if isinstance(error, ValueError):
        return "bad-request", said
    return "internal", f"The filter failed ({said}): the end of the backend's log has the details."


@contextmanager
def _beating(channel: WorkerPipe) -> Iterator[None]:
    """Send beats from a thread: an interpreter that still runs is told from one that hangs."""
    done = threading.Event()
    thread = threading.Thread(target=_beat, args=(channel, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _beat(channel: WorkerPipe, done: threading.Event) -> None:
    while not done.wait(BEAT_S):
        try:
            channel.send(Beat())
        except OSError:  # the server is gone, and nobody waits for this job
            os._exit(1)
