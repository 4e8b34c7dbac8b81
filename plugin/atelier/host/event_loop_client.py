"""A client of the backend for programs with a GLib main loop: submits jobs, and never blocks the loop.

A thread connects (and starts the backend if necessary), signs and sends. It calls no function of gi
except GLib.idle_add, which is thread-safe. The main loop reads the backend's messages, at most a
megabyte at a time.
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
from atelier_shared.client import BackendClient, job_event, silence_error
from atelier_shared.deferred_translation import N_
from atelier_shared.errors import AtelierError, BackendUnavailable, ProtocolError
from atelier_shared.messages import (
    Cancelled,
    Failed,
    Frame,
    Message,
    Picture,
    PreviousFrame,
    Progress,
    Queued,
    Refused,
    Region,
    Result,
    Submit,
)
from atelier_shared.request import Request

LARGE_BYTES = 1_000_000
"""A message larger than this has its signature checked in a thread of its own."""

State = Literal["starting", "ready"] | AtelierError
JobEvent = Queued | Progress | Result | AtelierError
Callback = Callable[[JobEvent], None]
Action = Callable[[BackendClient], None]


class EventLoopClient:
    """The jobs of a program with a main loop; all calls and callbacks are made in the loop's thread.

    `state` is "starting" until there is a connection, then "ready", or the error of a failed or lost
    connection. It stays "ready" if an idle backend exits, because the next job starts another one.
    """

    def __init__(self, state_changed: Callable[[], None]) -> None:
        """Do not connect yet; `state_changed` is called after every change of `state`."""
        self.state: State = "starting"
        self._state_changed = state_changed
        self._numbers = itertools.count(1)
        self._callbacks: dict[int, Callback] = {}
        self._connection: _Connection | None = None

    def start(self) -> None:
        """Begin to connect, unless already done; start the backend if none is running."""
        self._ensure_connection()

    def submit(
        self,
        request: Request,
        content: Picture,
        region: Region,
        styles: Sequence[Picture],
        callback: Callback,
        *,
        is_preview: bool = False,
        previous: PreviousFrame | None = None,
    ) -> int:
        """Submit a job for `region` of `content`, and return the number of the job.

        The job is sent once connected. `callback` receives Queued and Progress messages,
        and finally one Result or AtelierError. `previous`: the frame of an animation before this one.
        """
        connection = self._ensure_connection()
        job = next(self._numbers)
        self._callbacks[job] = callback
        message = Submit(job, request, content, region, tuple(styles), is_preview, previous)
        connection.enqueue(lambda backend: backend.send(message) if job in self._callbacks else None)
        return job

    def cancel(self, job: int) -> None:
        """Cancel a job; it ends with JobCancelled, or with a Result already on its way."""
        self._end_early(job, lambda backend: backend.cancel(job))

    def finish_early(self, job: int) -> None:
        """End a job early, with the picture so far as its Result.

        A job not yet started ends with JobCancelled; one-pass methods continue to the end.
        """
        self._end_early(job, lambda backend: backend.finish_early(job))

    def result_of(
        self,
        request: Request,
        content: Picture,
        region: Region,
        styles: Sequence[Picture],
        on_progress: Callable[[Queued | Progress], None],
        on_submit: Callable[[int], None] = lambda _job: None,
        previous: PreviousFrame | None = None,
    ) -> Result:
        """Submit a job, and run a nested main loop until its result is there.

        `on_submit` receives the number of the job. Raises the AtelierError of a job without a result.
        """
        loop, outcomes = GLib.MainLoop(), list[Result | AtelierError]()

        def callback(event: JobEvent) -> None:
            if isinstance(event, Queued | Progress):
                on_progress(event)
            else:
                outcomes.append(event)
                loop.quit()

        on_submit(self.submit(request, content, region, styles, callback, previous=previous))
        loop.run()
        (outcome,) = outcomes
        if isinstance(outcome, AtelierError):
            raise outcome
        return outcome

    def close(self) -> None:
        """Disconnect; unfinished jobs end with JobCancelled, and the backend drops them."""
        self._disconnect()
        for job in list(self._callbacks):
            self._receive(Cancelled(job))

    def _end_early(self, job: int, action: Action) -> None:
        """End a job by a message; before "ready" it ends at once.

        The thread may be connected, and have sent the job, a moment before "ready". So the job is also
        cancelled in the backend, which ignores the number of a job that it does not have.
        """
        if self._connection and self.state == "ready":
            self._connection.enqueue(action)
            return
        if self._connection:
            self._connection.enqueue(lambda backend: backend.cancel(job))
        self._receive(Cancelled(job))

    # ── The connection ───────────────────────────────────────────────────────────────────────────

    def _ensure_connection(self) -> _Connection:
        if self._connection is None:
            self._connection = _Connection(lambda: self._set_state("ready"), self._receive, self._fail)
            self._set_state("starting")
        return self._connection

    def _disconnect(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def _receive(self, message: Message) -> None:
        match message:
            case Refused():  # a message without the number of a job
                self._fail(ProtocolError(message.sentence))
            case Queued() | Progress() | Result() | Failed() | Cancelled():
                if event := job_event(message):
                    self._notify(message.job, event)

    def _notify(self, job: int, event: JobEvent) -> None:
        """Call back for a job; a Result or an error ends the job."""
        ends = isinstance(event, Result | AtelierError)
        if callback := self._callbacks.pop(job, None) if ends else self._callbacks.get(job):
            _call_when_idle(callback, event)

    def _fail(self, error: AtelierError) -> None:
        """End the connection and all jobs with an error.

        The state stays "ready" if there are no jobs: an idle backend exits by design.
        """
        matters = bool(self._callbacks) or self.state == "starting"
        self._disconnect()
        for job in list(self._callbacks):
            self._notify(job, error)
        if matters:
            self._set_state(error)

    def _set_state(self, state: State) -> None:
        if state != self.state:
            self.state = state
            _call_when_idle(self._state_changed)


class _Connection:
    """One connection to the backend, with a thread for sending.

    `on_ready` is called once it is made, `on_message` with every message, and `on_error` when it is
    lost. None of them is called after `close`.
    """

    def __init__(
        self,
        on_ready: Callable[[], None],
        on_message: Callable[[Message], None],
        on_error: Callable[[AtelierError], None],
    ) -> None:
        self._on_ready, self._on_message, self._on_error = on_ready, on_message, on_error
        self._outbox: SimpleQueue[Action | None] = SimpleQueue()
        self._read_watch = self._silence_timer = 0
        self._silent_s = 0
        self._closed = False
        threading.Thread(target=self._connect_and_send, daemon=True).start()

    def enqueue(self, action: Action) -> None:
        """Call `action` in the thread, after the earlier contents of the outbox."""
        self._outbox.put(action)

    def close(self) -> None:
        """Close the connection after the last message in the outbox is sent."""
        self._closed = True
        for source in filter(None, (self._read_watch, self._silence_timer)):
            GLib.source_remove(source)
        self._outbox.put(None)

    # ── In the thread ────────────────────────────────────────────────────────────────────────────

    def _connect_and_send(self) -> None:
        """Connect, then send the contents of the outbox until `close`."""
        try:
            backend = launcher.connect()
        except AtelierError as error:
            self._call_in_loop(self._on_error, error)
            return
        except BaseException as error:
            self._call_in_loop(self._on_error, BackendUnavailable(_CANNOT_CONNECT, error=error))
            raise
        with backend:
            self._call_in_loop(self._start_reading, backend)
            for action in iter(self._outbox.get, None):
                try:
                    action(backend)
                except AtelierError as error:
                    self._call_in_loop(self._on_error, error)

    def _call_in_loop(self, function: Callable[..., None], *arguments: object) -> None:
        """Call a function in the main loop, unless the connection is closed by then."""
        _call_when_idle(lambda: None if self._closed else function(*arguments))

    # ── In the main loop ─────────────────────────────────────────────────────────────────────────

    def _start_reading(self, backend: BackendClient) -> None:
        self._backend = backend
        self._silence_timer = GLib.timeout_add_seconds(1, self._count_silence)
        self._watch_socket()
        self._on_ready()

    def _watch_socket(self) -> None:
        """Read whenever the socket has data and the loop has nothing to draw."""
        new = GLib.IOChannel.win32_new_socket if os.name == "nt" else GLib.IOChannel.unix_new
        flags = GLib.IOCondition
        events = flags.IN | flags.HUP | flags.ERR | flags.NVAL
        channel = new(self._backend.fileno())
        self._read_watch = GLib.io_add_watch(channel, GLib.PRIORITY_DEFAULT_IDLE, events, self._read)

    def _count_silence(self) -> bool:
        """Count seconds without data; time while the loop is blocked does not count."""
        self._silent_s += 1
        if self._silent_s > client.SILENCE_S:
            self._on_error(silence_error())
        return not self._closed

    def _read(self, *_event: object) -> bool:
        try:
            signed = self._backend.read()
            self._silent_s = 0
            if signed and sum(map(len, signed)) > LARGE_BYTES:
                self._read_watch = 0
                threading.Thread(target=self._open_large, args=(signed,), daemon=True).start()
                return False
            if signed:
                self._on_message(self._backend.decode(signed))
        except AtelierError as error:
            self._on_error(error)
        return not self._closed

    def _open_large(self, signed: Sequence[Frame]) -> None:
        """Check the signature of a large message, in a separate thread; reading pauses meanwhile."""
        try:
            message = self._backend.decode(signed)
        except AtelierError as error:
            self._call_in_loop(self._on_error, error)
            return
        self._call_in_loop(self._receive_large, message)

    def _receive_large(self, message: Message) -> None:
        self._silent_s = 0
        self._watch_socket()
        self._on_message(message)


def _call_when_idle(function: Callable[..., None], *arguments: object) -> None:
    """Call a function once the main loop has nothing more urgent to do, in the order of such calls."""

    def once() -> bool:
        function(*arguments)
        return False

    GLib.idle_add(once)


_CANNOT_CONNECT = N_("Atelier's backend could not be started ({error}). Run 'atelier doctor' for advice.")
