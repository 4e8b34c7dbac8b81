"""The state of the server: its clients, their jobs, and the workers that run them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from atelier_shared.messages import Frame, Help, Message, Submit
from atelier_shared.signing import Signer

MOST_ATTEMPTS = 3
"""Most lost workers of a job, which has probably ended them; then the job fails. Also the most lost or failed
helpers of a job; then it gets no more."""

Tell = Callable[[Message], None]
Start = Callable[[Submit | Help, Tell], Tell]
"""Starts a job with a receiver for its messages; returns a function for messages to its worker, such as
requests to end it early."""


@dataclass(eq=False)
class Client:
    """A connection after its hello. It is verified once it has sent a correctly signed message."""

    identity: bytes
    signer: Signer
    is_verified: bool = False
    is_gone: bool = False
    unsent: deque[list[Frame]] = field(default_factory=deque)


@dataclass(eq=False)
class Job:
    """A client's submitted request.

    Attributes:
        tell: sends a message to the worker once the job runs.
        place: the place in the queue, as last sent to the client; 0 for a running job.
        is_interrupted: whether a preview was stopped to begin again in the second worker.
        is_unwanted: whether the client has ended it early.
        attempts: the number of workers that were lost while they ran it.
        is_shared: whether other workers can compute tiles of it.
        lost_helpers: the number of helpers that were lost or failed.
    """

    client: Client
    submit: Submit
    tell: Tell = lambda _: None
    place: int = 0
    is_interrupted: bool = False
    is_unwanted: bool = False
    attempts: int = 0
    is_shared: bool = False
    lost_helpers: int = 0

    @property
    def picture_bytes(self) -> int:
        """Memory of the job's pictures."""
        return sum(len(picture.pixels) for picture in self.submit.pictures)


@dataclass(eq=False)
class Helping:
    """The help of a worker with the tiles of another worker's job; `tell` sends a message to the helper."""

    number: int
    job: Job
    tell: Tell = lambda _: None
    is_over: bool = False


@dataclass(eq=False)
class Slot:
    """A worker: its function to start a job, and the job or the help that it runs."""

    start: Start
    job: Job | None = None
    helping: Helping | None = None

    @property
    def is_free(self) -> bool:
        """Whether the worker can begin something."""
        return self.job is None and self.helping is None
