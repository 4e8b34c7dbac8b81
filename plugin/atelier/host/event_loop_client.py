"""The backend as a GLib main loop hears it: jobs are submitted and heard of, and the loop never waits.

A thread connects, which may mean to start the backend, and signs and sends. Of gi it calls nothing
but GLib.idle_add, which is made to be called from threads. What the backend says is read in the main
loop, a megabyte at most at a time. Knows nothing of windows, nor of GIMP.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Literal

from gi.repository import GLib

from atelier_shared import client, launcher
from atelier_shared.client import BackendClient, meaning, silence
from atelier_shared.deferred_translation import N_
from atelier_shared.errors import AtelierError, BackendUnavailable
from atelier_shared.messages import (
    Cancelled,
    Frame,
    Message,
    Picture,
    Progress,
    Queued,
    Refused,
    Region,
    Result,
    Submit,
)
from atelier_shared.request import Request

LARGE_BYTES = 1_000_000
"""A message larger than this has its signature checked in a thread."""

State = Literal["starting", "ready"] | AtelierError
Heard = Callable[[Queued | Progress | Result | AtelierError], None]


class EventLoopClient:
    """Jobs of a program with a main loop. All of it is called from there, and calls back there.

    `state` is "starting" while a connection is made; "ready" once there is one, also when an idle
    backend ended meanwhile, for the next job starts another; or why there is none.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        """`changed` is called after every change of `state`."""
        self.state: State = "starting"
        self._changed = changed
        self._numbers = itertools.count(1)
        self._jobs: dict[int, Heard] = {}
        self._line: _Line | None = None

    def start(self) -> None:
        """Connect, if that is not done yet; the backend is started where none runs."""
        self._open_line()

    def submit(
        self, request: Request, content: Picture, region: Region, styles: Sequence[Picture], heard: Heard
    ) -> int:
        """Ask for `region` of `content` made anew, and return the number of the job.

        `heard` is told what becomes of it: Queued and Progress, and at last, once, a Result or an
        AtelierError. Where there is no connection the job waits for one.
        """
        line = self._open_line()
        job = next(self._numbers)
        self._jobs[job] = heard
        message = Submit(job, request, content, region, tuple(styles))
        line.send(lambda client: client.send(message) if job in self._jobs else None)
        return job

    def cancel(self, job: int) -> None:
        """Drop a job; it ends with JobCancelled, unless it is done before that."""
        self._end_early(job, lambda client: client.cancel(job))

    def finish_early(self, job: int) -> None:
        """End a job early: its Result is the picture so far.

        A job of which nothing is done yet ends with JobCancelled.
        """
        self._end_early(job, lambda client: client.finish_early(job))

    def result_of(
        self,
        request: Request,
        content: Picture,
        region: Region,
        styles: Sequence[Picture],
        heard: Callable[[Queued | Progress], None],
        started: Callable[[int], None] = lambda _job: None,
    ) -> Result:
        """The result of a job, for which a main loop of its own runs meanwhile.

        `started` hears the number of the job, `heard` how far it is. Raises the AtelierError that
        the job ends with where it has no result.
        """
        loop, last = GLib.MainLoop(), list[Result | AtelierError]()

        def hear(message: Queued | Progress | Result | AtelierError) -> None:
            if isinstance(message, Queued | Progress):
                heard(message)
            else:
                last.append(message)
                loop.quit()

        started(self.submit(request, content, region, styles, hear))
        loop.run()
        if isinstance(last[0], AtelierError):
            raise last[0]
        return last[0]

    def close(self) -> None:
        """Hang up; the backend drops the jobs that are not done, which end with JobCancelled."""
        if self._line:
            self._line.end()
            self._line = None
        for job in list(self._jobs):
            self._hear(Cancelled(job))

    def _end_early(self, job: int, act: Callable[[BackendClient], None]) -> None:
        """Have a job end early; what waits for a connection has not come to the backend yet."""
        if self._line and self.state == "ready":
            self._line.send(act)
        else:
            self._hear(Cancelled(job))

    # ── What a connection tells ──────────────────────────────────────────────────────────────────

    def _open_line(self) -> _Line:
        if self._line is None:
            self._line = _Line(lambda: self._set("ready"), self._hear, self._lose)
            self._set("starting")
        return self._line

    def _hear(self, message: Message) -> None:
        said, job = meaning(message), getattr(message, "job", 0)
        if isinstance(message, Refused) and isinstance(said, AtelierError):  # it does not say which job
            self._lose(said)
        elif isinstance(said, Result | AtelierError):
            self._end(job, said)
        elif said and job in self._jobs:
            _soon(self._jobs[job], said)

    def _end(self, job: int, last: Result | AtelierError) -> None:
        if heard := self._jobs.pop(job, None):
            _soon(heard, last)

    def _lose(self, error: AtelierError) -> None:
        missed = bool(self._jobs) or self.state == "starting"
        if self._line:
            self._line.end()
            self._line = None
        for job in list(self._jobs):
            self._end(job, error)
        if missed:
            self._set(error)

    def _set(self, state: State) -> None:
        if state != self.state:
            self.state = state
            _soon(self._changed)


class _Line:
    """One connection, from its making to its loss.

    `ready` is called once it is made, `said` with every message, and `lost` with the error that
    ended it; nothing of that after `end`.
    """

    def __init__(
        self,
        ready: Callable[[], None],
        said: Callable[[Message], None],
        lost: Callable[[AtelierError], None],
    ) -> None:
        self._ready, self._said, self._lost = ready, said, lost
        self._outbox: SimpleQueue[Callable[[BackendClient], None] | None] = SimpleQueue()
        self._ear = self._clock = 0
        self._silent_s = 0
        self._ended = False
        threading.Thread(target=self._talk, daemon=True).start()

    def send(self, act: Callable[[BackendClient], None]) -> None:
        """Have the thread say something, after all that it has to say already."""
        self._outbox.put(act)

    def end(self) -> None:
        """Hang up once all is said."""
        self._ended = True
        for source in filter(None, (self._ear, self._clock)):
            GLib.source_remove(source)
        self._outbox.put(None)

    # ── In the thread ────────────────────────────────────────────────────────────────────────────

    def _talk(self) -> None:
        """Connect, and say what is to be said until `end`: before that, the loop watches the socket."""
        try:
            client = launcher.connect()
        except AtelierError as error:
            self._tell(self._lost, error)
            return
        except BaseException as error:
            self._tell(self._lost, BackendUnavailable(_CANNOT_CONNECT, error=error))
            raise
        with client:
            self._tell(self._listen, client)
            for act in iter(self._outbox.get, None):
                try:
                    act(client)
                except AtelierError as error:
                    self._tell(self._lost, error)

    def _tell(self, act: Callable[..., None], *what: object) -> None:
        """Have the main loop do something, unless it has hung up."""
        _soon(lambda: None if self._ended else act(*what))

    # ── In the main loop ─────────────────────────────────────────────────────────────────────────

    def _listen(self, client: BackendClient) -> None:
        self._client = client
        self._clock = GLib.timeout_add_seconds(1, self._tick)
        self._watch()
        self._ready()

    def _watch(self) -> None:
        """Read when there is something to read and nothing to draw."""
        new = GLib.IOChannel.win32_new_socket if os.name == "nt" else GLib.IOChannel.unix_new
        flags = GLib.IOCondition
        events = flags.IN | flags.HUP | flags.ERR | flags.NVAL
        channel = new(self._client.fileno())
        self._ear = GLib.io_add_watch(channel, GLib.PRIORITY_DEFAULT_IDLE, events, self._read)

    def _tick(self) -> bool:
        """Count the seconds of silence in turns of the loop: one that was held up has heard nothing."""
        self._silent_s += 1
        if self._silent_s > client.SILENCE_S:
            self._lost(silence())
        return not self._ended

    def _read(self, *_event: object) -> bool:
        try:
            sealed = self._client.read()
            self._silent_s = 0
            if sealed and sum(map(len, sealed)) > LARGE_BYTES:
                self._ear = 0
                threading.Thread(target=self._open_apart, args=(sealed,), daemon=True).start()
                return False
            if sealed:
                self._said(self._client.opened(sealed))
        except AtelierError as error:
            self._lost(error)
        return not self._ended

    def _open_apart(self, sealed: Sequence[Frame]) -> None:
        """In a thread of its own: check a large message; nothing else is read before it is heard."""
        try:
            message = self._client.opened(sealed)
        except AtelierError as error:
            self._tell(self._lost, error)
            return
        self._tell(self._hear_apart, message)

    def _hear_apart(self, message: Message) -> None:
        self._silent_s = 0
        self._watch()
        self._said(message)


def _soon(act: Callable[..., None], *what: object) -> None:
    """Have the main loop do something once it has nothing more urgent to do; in the order of the calls."""

    def once() -> bool:
        act(*what)
        return False

    GLib.idle_add(once)


_CANNOT_CONNECT = N_("Atelier's backend could not be started ({error}): 'atelier doctor' says what to do.")
