"""The jobs of one call: one at a time, or as many as the workers of a cluster run.

A task is a generator: it yields jobs, receives their results, and returns a value. All tasks run in this
thread, over one connection: its end, for example after Ctrl+C, cancels all jobs.
"""

from __future__ import annotations

import select
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Generic, NamedTuple, TypeVar

from atelier_shared import launcher
from atelier_shared.client import BackendClient, job_event
from atelier_shared.errors import AtelierError
from atelier_shared.messages import Picture, PreviousFrame, Progress, Queued, Region, Result
from atelier_shared.request import Request

MOST_WAITING = 2
"""Jobs of this call that wait in the queue, so that a worker that becomes free gets the next one at once."""
MOST_FINISHED = 16
"""Results in memory, behind an unfinished one."""

Value = TypeVar("Value")
Event = Queued | Progress | Result


def _ignore(_event: Event) -> None:
    """Report nothing."""


class NewJob(NamedTuple):
    """A request with its pictures, and a receiver for the messages about it."""

    request: Request
    content: Picture
    region: Region
    pictures: Sequence[Picture] = ()
    previous: PreviousFrame | None = None
    report: Callable[[Event], None] = _ignore


Task = Generator[NewJob, Result, Value]


def has_cluster() -> bool:
    """Return whether the running backend is the scheduler of a cluster."""
    connection = launcher.read_connection()
    return connection is not None and connection.is_scheduler


def run(task: Task[Value]) -> Value:
    """Run the jobs of a task one after another, and return its value.

    Raises:
        AtelierError: from the task, after a job or the connection to the backend has failed.
    """
    step: Callable[[], NewJob] = partial(next, task)
    while True:
        try:
            job = step()
        except StopIteration as end:
            value: Value = end.value
            return value
        try:
            step = partial(task.send, run_job(job))
        except AtelierError as error:
            step = partial(task.throw, error)


def run_job(job: NewJob) -> Result:
    """Run a job in the backend. Ctrl+C closes the connection, and so cancels it."""
    with launcher.connect() as client:
        number = client.submit(*job[:4], previous=job.previous)
        for event in client.messages(number):
            job.report(event)
    assert isinstance(event, Result)
    return event


def in_order(
    tasks: Iterable[Task[Value]], on_progress: Callable[[float], None] = lambda _: None
) -> Iterator[Value]:
    """Run the jobs of many tasks at the same time in a cluster; yield the values in the order of the tasks.

    `on_progress` is called with the number of finished jobs and parts of jobs.

    Raises:
        AtelierError: from a task, or the scheduler is gone.
    """
    remaining = iter(tasks)
    with launcher.connect() as client:
        board = _Board[Value](client, on_progress)
        while True:
            while board.has_room() and (task := next(remaining, None)):
                board.begin(task)
            if not board.values:
                return
            is_next_ready = board.values[0].done()
            board.read(waits=not is_next_ready)
            if is_next_ready:
                yield board.values.popleft().result()


class _Board(Generic[Value]):
    """The tasks with a job, by its number, and the values of all unfinished tasks and those after them."""

    def __init__(self, client: BackendClient, on_progress: Callable[[float], None]) -> None:
        self._client, self._on_progress = client, on_progress
        self._running: dict[int, tuple[Task[Value], NewJob, Future[Value]]] = {}
        self._waiting: set[int] = set()
        self._parts: dict[int, float] = {}
        self._finished_jobs = 0
        self.values: deque[Future[Value]] = deque()

    def has_room(self) -> bool:
        """Return whether another task can begin."""
        finished = len(self.values) - len(self._running)
        return len(self._waiting) < MOST_WAITING and finished < MOST_FINISHED

    def begin(self, task: Task[Value]) -> None:
        """Submit the first job of a task."""
        value: Future[Value] = Future()
        self.values.append(value)
        self._go_on(task, partial(next, task), value)

    def read(self, *, waits: bool) -> None:
        """Handle all messages from the scheduler so far; with `waits`, at least one."""
        while waits or select.select([self._client.fileno()], [], [], 0)[0]:
            message = self._client.receive()
            event, number = job_event(message), getattr(message, "job", None)
            if isinstance(event, AtelierError) and number is None:
                raise event
            if event and number in self._running:
                self._handle(number, event)
                waits = False

    def _handle(self, number: int, event: Event | AtelierError) -> None:
        task, job, value = self._running[number]
        if isinstance(event, Queued):
            (self._waiting.add if event.place else self._waiting.discard)(number)
        elif isinstance(event, Progress):
            self._parts[number] = event.step / event.total
        else:
            del self._running[number]
            self._parts.pop(number, None)
            self._waiting.discard(number)
            self._finished_jobs += 1
        if isinstance(event, AtelierError):
            self._go_on(task, partial(task.throw, event), value)
        else:
            job.report(event)
            if isinstance(event, Result):
                self._go_on(task, partial(task.send, event), value)
        self._on_progress(self._finished_jobs + sum(self._parts.values()))

    def _go_on(self, task: Task[Value], step: Callable[[], NewJob], value: Future[Value]) -> None:
        """Have a task make its next step, and submit its next job."""
        try:
            job = step()
        except StopIteration as end:
            value.set_result(end.value)
        except AtelierError as error:
            value.set_exception(error)
        else:
            number = self._client.submit(*job[:4], previous=job.previous)
            self._running[number] = (task, job, value)
            self._waiting.add(number)
