"""The backend's message loop: it queues clients' jobs, has workers run them, and relays their messages.

Jobs run in the order of arrival, as many at a time as there are workers. Without a cluster there is one
worker. Workers without a job help the others; see `sharing`. Previews do not wait for the others: a second
worker of this computer makes them while the others are busy.

Sources: docs/protocol.md; the ZeroMQ Guide, chapter 4, for heartbeats.
"""

from __future__ import annotations

import errno
import logging
import queue
import secrets
import socket
import time
from collections import deque
from collections.abc import Callable

import zmq
from zmq.utils import garbage

from atelier_shared.codec import in_pieces, joined, pack, unpack
from atelier_shared.deferred_translation import N_
from atelier_shared.errors import ProtocolError
from atelier_shared.home import install_command
from atelier_shared.messages import (
    PROTOCOL_VERSION,
    Beat,
    Cancel,
    Cancelled,
    EndRequest,
    Failed,
    Frame,
    Hello,
    Message,
    Progress,
    Queued,
    Refused,
    Result,
    Share,
    Stop,
    Submit,
    TileTask,
    Welcome,
)
from atelier_shared.signing import NONCE_BYTES, Signer, backend_proof, is_nonce, unsigned

from ..compat import allocator
from .authentication import AuthenticatedRouter
from .jobs import MOST_ATTEMPTS, Client, Job, Slot, Start
from .sharing import Sharing

BEAT_S = 1.0
QUIET_S = 2.0
MAX_CLIENTS = 256
MAX_WAITING = 64
MAX_WAITING_BYTES = 2**30
"""Limit of the waiting jobs' pictures in memory; a single waiting job may have more."""
log = logging.getLogger(__name__)


class Server:
    """The message loop. It runs until a client stops it, or no job has arrived for `idle_s`.

    `start` starts a job in the main worker, `start_preview` in the second one. Without a main worker, jobs
    wait for workers that `join`.
    """

    def __init__(
        self,
        connections: AuthenticatedRouter,
        key: bytes,
        start: Start | None,
        start_preview: Start,
        *,
        idle_s: float,
    ) -> None:
        self._connections, self._key, self._idle_s = connections, key, idle_s
        self._main, self._second = [Slot(start)] if start else [], Slot(start_preview)
        self._router = connections.router
        self._clients: dict[bytes, Client] = {}
        self._waiting: deque[Job] = deque()
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._sharing = Sharing(self._main, self._call)
        self._stopped = self._memory_returned = False
        self._active_at = time.monotonic()

    def serve(self) -> None:
        """Serve until stopped or idle. Can be called once."""
        if not garbage.gc.is_alive():  # pyzmq's thread for sent pictures
            garbage.gc.start()  # only now, because libzmq aborts if there is too little memory for it
        with self._wake_reader, self._wake_writer:
            self._serve()

    def stop(self) -> None:
        """End `serve` soon. Can be called from any thread."""
        self._stopped = True
        self._wake()

    def join(self, start: Start) -> None:
        """Add a worker, given by its function to start a job. Can be called from any thread."""
        self._call(lambda: self._main.append(Slot(start)))

    def leave(self, start: Start, had_begun: bool) -> None:
        """Remove a worker. Another one begins its job again. Can be called from any thread.

        `had_begun`: whether the worker had begun the job. If so, the job may have caused the loss.
        """
        self._call(lambda: self._remove(start, had_begun))

    def _serve(self) -> None:
        poller = zmq.Poller()
        for each in (self._router, self._wake_reader, *self._connections.event_sockets):
            poller.register(each, zmq.POLLIN)
        beat_at = 0.0
        while not self._stopped and not self._is_idle():
            readable = dict(poller.poll(int(BEAT_S * 1000)))
            self._connections.handle_events()
            if self._router in readable:
                self._receive()
            if self._wake_reader.fileno() in readable:
                self._run_calls()
            if time.monotonic() >= beat_at:
                self._beat()
                self._return_memory()
                beat_at = time.monotonic() + BEAT_S
            self._drop_gone_clients()
            self._run_next()

    def _return_memory(self) -> None:
        """Return the pictures' memory to the system, once, after QUIET_S without a job."""
        is_quiet = not self._running() and time.monotonic() - self._active_at > QUIET_S
        if is_quiet and not self._memory_returned:
            allocator.give_back()
        self._memory_returned = is_quiet

    def _is_idle(self) -> bool:
        if self._running():
            self._active_at = time.monotonic()
        return time.monotonic() - self._active_at > self._idle_s

    # ── Messages from clients ────────────────────────────────────────────────────────────────────

    def _receive(self) -> None:
        identity, *pieces = (frame.buffer for frame in self._connections.receive())
        client = self._clients.get(bytes(identity))
        try:
            frames = joined(pieces)
            if not frames:
                raise ProtocolError("Received an empty message.")
            if len(frames[0]) == 0:
                self._welcome(bytes(identity), unpack(frames[1:]))
            elif client is None:
                raise ProtocolError("Received a signed message before the hello.")
            else:
                verified = client.signer.verify(frames)
                client.is_verified = True
                self._handle(client, unpack(verified))
        except ProtocolError as error:
            log.warning("refused a message: %.200s", error)
            self._refuse(bytes(identity), client, str(error))
        except MemoryError:
            log.exception("not enough memory for a message")
            self._refuse(bytes(identity), client, _TOO_LARGE)

    def _welcome(self, identity: bytes, hello: Message) -> None:
        """Answer a connection's hello with a fresh nonce and the proof that the backend knows the key."""
        if not isinstance(hello, Hello) or not is_nonce(hello.nonce) or identity in self._clients:
            raise ProtocolError("Received an unsigned message that is not a valid first hello.")
        if hello.version != PROTOCOL_VERSION:
            raise ProtocolError(
                f"The plug-in uses version {hello.version} of Atelier's protocol, the backend version "
                f"{PROTOCOL_VERSION}. Run '{install_command()}' again, then restart GIMP."
            )
        nonce = secrets.token_hex(NONCE_BYTES)
        client = Client(identity, Signer(self._key, hello.nonce, nonce, backend=True))
        proof = backend_proof(self._key, hello.nonce, nonce)
        self._send_frames(identity, unsigned(pack(Welcome(PROTOCOL_VERSION, nonce, proof))))
        if self._has_room():
            self._clients[identity] = client
            self._active_at = time.monotonic()
        else:  # signed, because clients ignore unsigned messages
            self._send(client, Refused(PROTOCOL_VERSION, _TOO_MANY_CLIENTS))

    def _has_room(self) -> bool:
        """Return whether another client is admitted; the oldest unverified one may have to make room."""
        if len(self._clients) < MAX_CLIENTS:
            return True
        unverified = [identity for identity, client in self._clients.items() if not client.is_verified]
        for identity in unverified[:1]:
            del self._clients[identity]
        return bool(unverified)

    def _handle(self, client: Client, message: Message) -> None:
        self._active_at = time.monotonic()
        if isinstance(message, Submit):
            self._enqueue(Job(client, message))
        elif isinstance(message, EndRequest):
            for job in self._jobs_of(client):
                if job.submit.job == message.job:
                    self._end_early(job, message)
        elif isinstance(message, Stop):
            self._stopped = True
        else:
            raise ProtocolError(f"Received a {message.type} message, which clients must not send.")

    def _enqueue(self, job: Job) -> None:
        number = job.submit.job
        if any(other.submit.job == number for other in self._jobs_of(job.client)):
            raise ProtocolError(f"This client already has a job {number}.")
        if problem := self._lack_of_room(job):
            self._send(job.client, problem)
            return
        self._waiting.append(job)
        self._run_next()

    def _lack_of_room(self, job: Job) -> Failed | None:
        """Return why another job cannot wait; None if it can."""
        number = job.submit.job
        if len(self._waiting) >= MAX_WAITING:
            return Failed(number, "busy", _TOO_MANY_JOBS, {"count": str(MAX_WAITING)})
        waiting_bytes = sum(other.picture_bytes for other in self._waiting)
        if self._waiting and waiting_bytes + job.picture_bytes > MAX_WAITING_BYTES:
            return Failed(number, "busy", _TOO_LARGE_JOBS)
        return None

    # ── Jobs ─────────────────────────────────────────────────────────────────────────────────────

    @property
    def _slots(self) -> list[Slot]:
        return [*self._main, self._second]

    def _running(self) -> list[Job]:
        return [slot.job for slot in self._slots if slot.job]

    def _jobs_of(self, client: Client) -> list[Job]:
        return [job for job in (*self._waiting, *self._running()) if job.client is client]

    def _waiting_jobs(self, *, previews: bool) -> list[Job]:
        return [job for job in self._waiting if job.submit.is_preview == previews]

    def _run_next(self) -> None:
        """Start waiting jobs where a worker is free, make room for a run, and send the others' places."""
        for slot in self._slots:
            runs = [] if slot is self._second else self._waiting_jobs(previews=False)
            next_jobs = runs or self._waiting_jobs(previews=True)
            if slot.is_free and next_jobs:
                self._begin(next_jobs[0], slot)
        if runs := self._waiting_jobs(previews=False):
            self._interrupt_preview()
            self._sharing.end_for(len(runs))
        else:
            self._sharing.begin()
        self._send_places()

    def _begin(self, job: Job, slot: Slot) -> None:
        self._waiting.remove(job)
        slot.job, job.place = job, 0
        self._send(job.client, Queued(job.submit.job, 0))
        job.tell = slot.start(job.submit, lambda message: self._report(job, message))

    def _interrupt_preview(self) -> None:
        """Stop a preview in a main worker, because a run waits. It begins again in the second one."""
        previews = [slot.job for slot in self._main if slot.job and slot.job.submit.is_preview]
        if previews and not any(job.is_interrupted for job in previews):
            previews[0].is_interrupted = True
            previews[0].tell(Cancel(previews[0].submit.job))

    def _send_places(self) -> None:
        """Send every waiting job its new place among the jobs of its kind."""
        for previews in (False, True):
            for place, job in enumerate(self._waiting_jobs(previews=previews), start=1):
                if place != job.place:
                    job.place = place
                    self._send(job.client, Queued(job.submit.job, place))

    def _report(self, job: Job, message: Message) -> None:
        """Pass a message of a job to the loop. Called from any thread."""
        self._call(lambda: self._relay(job, message))

    def _call(self, call: Callable[[], None]) -> None:
        """Have the loop call a function soon. Called from any thread."""
        self._calls.put(call)
        self._wake()

    def _wake(self) -> None:
        try:
            self._wake_writer.send(b"!")
        except OSError as error:
            log.info("the server has already ended: %s", error)

    def _run_calls(self) -> None:
        self._wake_reader.recv(4096)
        while not self._calls.empty():
            self._calls.get()()

    def _relay(self, job: Job, message: Message) -> None:
        """Pass a message of a running job on to its client, or to a helper."""
        if isinstance(message, Result | Failed | Cancelled):
            (slot,) = (slot for slot in self._slots if slot.job is job)
            slot.job = None
            self._sharing.end_all(job)
            self._active_at = time.monotonic()
        if isinstance(message, Share):
            job.is_shared = True
        elif isinstance(message, TileTask):
            self._sharing.pass_on(job, message)
        elif isinstance(message, Cancelled) and job.is_interrupted and not job.is_unwanted:
            self._begin_again(job)
        else:
            self._send(job.client, message)

    def _begin_again(self, job: Job) -> None:
        job.is_interrupted = False
        self._waiting.appendleft(job)

    def _remove(self, start: Start, had_begun: bool) -> None:
        """Remove a lost worker. Its job waits again, before all others, unless it has lost several."""
        (slot,) = (slot for slot in self._main if slot.start == start)
        self._main.remove(slot)
        self._sharing.lose(slot)
        job = slot.job
        if job is None:
            return
        self._sharing.end_all(job)
        self._active_at = time.monotonic()
        job.attempts += had_begun
        if job.is_unwanted:
            self._send(job.client, Cancelled(job.submit.job))
        elif job.attempts >= MOST_ATTEMPTS:
            self._send(job.client, Failed(job.submit.job, "worker-died", _LOST, {"count": str(job.attempts)}))
        else:
            self._begin_again(job)

    def _end_early(self, job: Job, request: EndRequest) -> None:
        """Pass an end request on to a running job; drop a waiting job."""
        if job in self._running():
            job.is_unwanted = True
            job.tell(request)
        else:
            self._waiting.remove(job)
            self._send(job.client, Cancelled(job.submit.job))

    def _drop_gone_clients(self) -> None:
        """Forget clients that can no longer be reached, and cancel their jobs."""
        for client in [client for client in self._clients.values() if client.is_gone]:
            del self._clients[client.identity]
            for job in self._jobs_of(client):
                self._end_early(job, Cancel(job.submit.job))

    # ── Messages to clients ──────────────────────────────────────────────────────────────────────

    def _beat(self) -> None:
        for client in self._clients.values():
            self._send(client, Beat())
            self._flush(client)

    def _send(self, client: Client, message: Message) -> None:
        """Send a message. Beats and progress are left out while earlier messages are unsent."""
        if client.is_gone or (client.unsent and isinstance(message, Beat | Progress)):
            return
        client.unsent.append(client.signer.sign(pack(message)))
        self._flush(client)

    def _flush(self, client: Client) -> None:
        while client.unsent:
            try:
                pieces = in_pieces(client.unsent[0])
                self._router.send_multipart([client.identity, *pieces], zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            except zmq.ZMQError as error:
                if error.errno != errno.EHOSTUNREACH:
                    raise
                client.unsent.clear()
                client.is_gone = True
                return
            client.unsent.popleft()

    def _refuse(self, identity: bytes, client: Client | None, sentence: str) -> None:
        refused = Refused(PROTOCOL_VERSION, sentence)
        if client and client.is_verified:
            self._send(client, refused)
        else:
            self._send_frames(identity, unsigned(pack(refused)))

    def _send_frames(self, identity: bytes, frames: list[Frame]) -> None:
        try:
            self._router.send_multipart([identity, *in_pieces(frames)], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            log.info("a client was gone before the answer: %s", error)


_TOO_MANY_CLIENTS = N_(
    "Too many programs are already connected to Atelier's backend. Close one and try again."
)
_TOO_LARGE = N_(
    "There is not enough memory for this picture. Close other programs, or choose a smaller layer."
)
_LOST = N_(
    "{count} workers stopped while they computed this picture. Probably it needs too much memory: choose a "
    "smaller working size."
)
_TOO_MANY_JOBS = N_("{count} jobs are already waiting. Try again later.")
_TOO_LARGE_JOBS = N_("The pictures of the waiting jobs take up too much memory already. Try again later.")
