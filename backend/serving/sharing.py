"""Free workers of a cluster help to compute the tiles of a job, until another job waits.

The worker that runs the job decides which tiles a helper computes. The server passes their messages on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from atelier_shared.messages import (
    Cancel,
    Cancelled,
    Failed,
    Help,
    HelpBegins,
    HelpEnds,
    Message,
    TileAnswer,
    TileTask,
)

from .jobs import MOST_ATTEMPTS, Helping, Job, Slot


class Sharing:
    """The helpers among the workers `slots`. `call` has the server's loop call a function soon."""

    def __init__(self, slots: Sequence[Slot], call: Callable[[Callable[[], None]], None]) -> None:
        self._slots, self._call = slots, call
        self._numbers = itertools.count(1)

    def begin(self) -> None:
        """Have free workers help the jobs that can be shared, the one with the fewest helpers first."""
        jobs = [slot.job for slot in self._slots if slot.job and _accepts_help(slot.job)]
        for slot in self._slots if jobs else ():
            if slot.is_free:
                helped = [helping.job for helping in self._helpings()]
                self._begin(slot, min(jobs, key=helped.count))

    def end_for(self, waiting: int) -> None:
        """End help until one worker becomes free for each waiting job."""
        ending = sum(slot.helping is not None and slot.helping.is_over for slot in self._slots)
        for helping in self._helpings()[: max(0, waiting - ending)]:
            self._end(helping)

    def end_all(self, job: Job) -> None:
        """End all help with a job, which has ended or begins again."""
        job.is_shared = False
        for helping in self._helpings():
            if helping.job is job:
                self._end(helping)

    def lose(self, slot: Slot) -> None:
        """Note the loss of a worker, with its help."""
        if slot.helping and not slot.helping.is_over:
            slot.helping.job.lost_helpers += 1
            self._end(slot.helping)

    def pass_on(self, job: Job, task: TileTask) -> None:
        """Pass a task of the worker that runs `job` on to its helper."""
        for helping in self._helpings():
            if helping.job is job and helping.number == task.helper:
                helping.tell(replace(task, job=helping.number))

    def _helpings(self) -> list[Helping]:
        return [slot.helping for slot in self._slots if slot.helping and not slot.helping.is_over]

    def _begin(self, slot: Slot, job: Job) -> None:
        helping = slot.helping = Helping(next(self._numbers), job)
        begin = Help(helping.number, job.submit.request)
        helping.tell = slot.start(
            begin, lambda message: self._call(partial(self._relay, slot, helping, message))
        )
        job.tell(HelpBegins(job.submit.job, helping.number))

    def _end(self, helping: Helping) -> None:
        helping.is_over = True
        helping.tell(Cancel(helping.number))
        helping.job.tell(HelpEnds(helping.job.submit.job, helping.number))

    def _relay(self, slot: Slot, helping: Helping, message: Message) -> None:
        """Pass an answer of a helper on to the worker that runs the job."""
        if isinstance(message, Failed | Cancelled):
            self.lose(slot)
            slot.helping = None
        elif isinstance(message, TileAnswer) and not helping.is_over:
            helping.job.tell(replace(message, job=helping.job.submit.job))


def _accepts_help(job: Job) -> bool:
    return job.is_shared and not job.is_unwanted and job.lost_helpers < MOST_ATTEMPTS
