"""Control of the worker process, which is separate because a job may crash.

`LocalWorker` starts the process, hands it one job at a time, and turns a crash or a hang into a
`Failed` message.
"""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess

from atelier_shared.deferred_translation import N_
from atelier_shared.errors import ProtocolError
from atelier_shared.messages import (
    Cancel,
    Cancelled,
    Failed,
    Help,
    Message,
    Progress,
    Result,
    Submit,
)

from . import worker_process
from .jobs import Tell
from .worker_pipe import WorkerPipe
from .worker_process import ENDING_S, OUT_OF_MEMORY, OUT_OF_MEMORY_EXIT, READY, Load

HANG_S = 60.0
"""Time without any message, beats every 0.25 s included, after which the process counts as hung."""
RELEASE_S = 120.0
PATIENCE_S = 10.0
"""A job sees a cancellation only between steps; after this time the process is killed."""
KILLED_EXIT = -9
"""Exit code after SIGKILL, for example from Linux's out-of-memory killer."""
FINAL_MESSAGES = (Result, Failed, Cancelled)


class NotStarted(Exception):
    """The system refused to start the process; the text is its reason."""


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Assignment:
    """A job, the receiver of its messages, and the messages to its worker."""

    submit: Submit | Help
    report: Tell
    messages: queue.SimpleQueue[Message]


class LocalWorker:
    """A process for jobs.

    It calls `load` once, then runs one job after another with the function returned. The process starts
    at once, or with the first job, and is kept between jobs. After RELEASE_S without a job it is ended to
    free its device's memory, and the next job starts another. `load` must be a function of a module,
    because the process imports it by name. A thread runs the jobs, so `start` never blocks.
    """

    def __init__(self, load: Load, *, starts_at_once: bool = True) -> None:
        self._load = load
        self._assignments: queue.Queue[Assignment | None] = queue.Queue()
        self._closed = threading.Event()
        self._process: SpawnProcess | None = None
        self._pipe: WorkerPipe | None = None
        try:
            self._pipe = self._spawn() if starts_at_once else None
        except NotStarted as error:
            log.warning("the worker process could not be started yet: %s", error)
        self._thread = threading.Thread(target=self._run_assignments, daemon=True)
        self._thread.start()

    def start(self, submit: Submit | Help, report: Tell) -> Tell:
        """Start a job and return a function for messages to its worker. Never blocks.

        `report` is called from another thread with each Progress, and finally with a Result, a
        Failed or a Cancelled. Further jobs wait their turn.
        """
        assignment = Assignment(submit, report, queue.SimpleQueue())
        self._assignments.put(assignment)
        return assignment.messages.put

    def close(self) -> None:
        """Kill the process. A running job is reported as failed; waiting jobs are dropped silently."""
        self._closed.set()
        self._assignments.put(None)
        while self._thread.is_alive():
            if process := self._process:
                process.kill()
            self._thread.join(ENDING_S)

    def _run_assignments(self) -> None:
        """Run the assigned jobs until closed."""
        while not self._closed.is_set():
            try:
                assignment = self._assignments.get(timeout=RELEASE_S)
            except queue.Empty:
                self._end_process()
                assignment = self._assignments.get()
            if assignment:
                assignment.report(self._run(assignment))
            del assignment  # otherwise its pictures stay in memory until the next job
        self._end_process()

    # ── The process ──────────────────────────────────────────────────────────────────────────────

    def _spawn(self) -> WorkerPipe:
        """Start the process and return its pipe.

        Raises:
            NotStarted: the system has no process or file left for it.
        """
        try:
            process, pipe = worker_process.started(self._load)
        except OSError as error:
            raise NotStarted(error.strerror) from error
        self._process, self._is_ready = process, False  # only now: `close` can kill only a started process
        return WorkerPipe(pipe)

    def _end_process(self) -> int | None:
        """Close the pipe, kill the process if it is still running, and return its exit code."""
        if self._process is None:
            return None
        if self._pipe:
            self._pipe.close()
            self._pipe = None
            worker_process.end(self._process)
        return self._process.exitcode

    # ── A job ────────────────────────────────────────────────────────────────────────────────────

    def _run(self, assignment: Assignment) -> Message:
        """Run a job in the process and return its final message, or a Failed if the process died."""
        job = assignment.submit.job
        try:
            final = self._relay(assignment)
        except TimeoutError:
            self._end_process()
            return Failed(job, "worker-hung", _HUNG, {"seconds": f"{HANG_S:.0f}"})
        except NotStarted as error:
            log.exception("the worker process could not be started")
            return Failed(job, "worker-died", _NOT_STARTED, {"reason": str(error)})
        except MemoryError:
            self._end_process()
            log.exception("the server has not enough memory for the messages of a job")
            return Failed(job, "out-of-memory", OUT_OF_MEMORY)
        except (OSError, ProtocolError):
            code = self._end_process()
            log.exception("the worker process ended during a job, exit code %s", code)
            if code == OUT_OF_MEMORY_EXIT:
                return Failed(job, "out-of-memory", OUT_OF_MEMORY)
            return Failed(job, "worker-died", _KILLED if code == KILLED_EXIT else _CRASHED)
        if isinstance(final, Failed) and final.reason == "internal":
            self._end_process()  # its state is unknown after an unexpected exception
        return final

    def _relay(self, assignment: Assignment) -> Message:
        """Relay progress to the server and early-end requests to the process; return the final message."""
        pipe = self._begin(assignment.submit)
        sent, until_s = set[type[Message]](), math.inf
        while time.monotonic() < until_s:
            message = pipe.receive(timeout_s=HANG_S)
            if isinstance(message, FINAL_MESSAGES):
                return message
            if isinstance(message, Progress):
                assignment.report(message)
            while not assignment.messages.empty():
                request = assignment.messages.get()
                if type(request) not in sent:
                    pipe.send(request, timeout_s=HANG_S)
                    sent.add(type(request))
                    if isinstance(request, Cancel):
                        until_s = time.monotonic() + PATIENCE_S
        self._end_process()
        return Cancelled(assignment.submit.job)

    def _begin(self, submit: Submit | Help) -> WorkerPipe:
        """Hand a job to the process. Retry once with a new process if it died before the job began."""
        try:
            return self._hand_over(submit)
        except ConnectionError:
            if self._closed.is_set() or self._end_process() == OUT_OF_MEMORY_EXIT:
                raise
            log.exception("the worker process died before the job began; retrying in a new process")
            return self._hand_over(submit)

    def _hand_over(self, submit: Submit | Help) -> WorkerPipe:
        """Send a job to the process and wait for its acknowledgement. Raises as WorkerPipe does."""
        if self._pipe is None or self._process is None or not self._process.is_alive():
            self._end_process()
            self._pipe = self._spawn()
        while not self._is_ready:  # the process reads nothing until READY
            self._is_ready = self._pipe.receive(timeout_s=HANG_S) == READY
        self._pipe.send(submit, timeout_s=HANG_S)
        self._pipe.receive(timeout_s=HANG_S)
        return self._pipe


_HUNG = N_(
    "The computation did not respond for {seconds} seconds and was stopped. "
    "Try again; if it happens again, choose a smaller working size."
)
_NOT_STARTED = N_(
    "The system could not start the computation ({reason}). Close other programs, then try again."
)
_KILLED = N_(
    "The system stopped the computation, most likely because memory ran out. "
    "Choose a smaller working size or close other programs, then try again."
)
_CRASHED = N_("The computation crashed. Try again; if it happens again, run 'atelier doctor'.")
