"""The messages of one job in the worker's pipe: requests to stop it, and messages about tiles."""

from __future__ import annotations

from collections import deque

from atelier_shared.errors import JobCancelled
from atelier_shared.messages import Cancel, EndRequest, HelpBegins, HelpEnds, Message, TileAnswer, TileTask

from .worker_pipe import WorkerPipe

BETWEEN_WORKERS = (HelpBegins, HelpEnds, TileTask, TileAnswer)


class JobPipe:
    """The messages of one job. `end_requests` has the kinds of requests to end it early."""

    def __init__(self, pipe: WorkerPipe, job: int) -> None:
        self.job = job
        self.end_requests: set[type[EndRequest]] = set()
        self._pipe = pipe
        self._received: deque[Message] = deque()

    def send(self, message: Message) -> None:
        """Send a message. Raises OSError if the other process is gone."""
        self._pipe.send(message)

    def read_waiting(self) -> None:
        """Read the messages that have arrived."""
        while self._pipe.has_message():
            self._sort(self._pipe.receive())

    def receive(self, *, wait: bool) -> Message | None:
        """Return the next message of another worker; None if there is none and `wait` is false.

        Raises:
            JobCancelled: the job is to be dropped.
            OSError: the other process is gone.
        """
        self.read_waiting()
        while wait and not self._received and Cancel not in self.end_requests:
            self._sort(self._pipe.receive())
        if Cancel in self.end_requests:
            raise JobCancelled("The job was cancelled.")
        return self._received.popleft() if self._received else None

    def _sort(self, message: Message) -> None:
        if getattr(message, "job", None) != self.job:
            return
        if isinstance(message, EndRequest):
            self.end_requests.add(type(message))
        elif isinstance(message, BETWEEN_WORKERS):
            self._received.append(message)
