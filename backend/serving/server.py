"""The backend's ZeroMQ side: a ROUTER that takes jobs, runs one at a time, and reports on them.

It sees messages and bytes. What a job computes, and where, is the business of the function it is
given to start one. Sources: docs/protocol.md; the ZeroMQ Guide, chapter 4, for liveness.
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
from dataclasses import dataclass, field

import zmq

from atelier_shared.codec import in_pieces, joined, pack, unpack
from atelier_shared.errors import ProtocolError
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
    Stop,
    Submit,
    Welcome,
)
from atelier_shared.signing import NONCE_BYTES, Seal, backend_proof, is_nonce, unsealed

from ..compat import allocator
from .authentication import AuthenticatedRouter

BEAT_S = 1.0
QUIET_S = 2.0
MAX_CLIENTS = 256
MAX_WAITING = 64

Start = Callable[[Submit, Callable[[Message], None]], Callable[[EndRequest], None]]

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Client:
    """A connection that has said hello. It has proved nothing until a signed message came of it."""

    identity: bytes
    seal: Seal
    proved: bool = False
    gone: bool = False
    unsent: deque[list[Frame]] = field(default_factory=deque)


@dataclass(eq=False)
class Job:
    """A client's wish for a picture."""

    client: Client
    submit: Submit
    tell: Callable[[EndRequest], None] = lambda _: None


class Server:
    """Serves those who come through a gate until it is told to stop or nobody has come for long."""

    def __init__(self, gate: AuthenticatedRouter, key: bytes, start: Start, *, idle_s: float) -> None:
        self._gate, self._key, self._start, self._idle_s = gate, key, start, idle_s
        self._router = gate.router
        self._clients: dict[bytes, Client] = {}
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None
        self._reports: queue.SimpleQueue[tuple[Job, Message]] = queue.SimpleQueue()
        self._bell, self._button = socket.socketpair()
        self._stopped = self._tidied = False
        self._active_at = time.monotonic()

    def serve(self) -> None:
        """Serve until stopped or idle; once."""
        with self._bell, self._button:
            self._serve()

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self._bell, zmq.POLLIN)
        for visitors in self._gate.sockets:
            poller.register(visitors, zmq.POLLIN)
        beat_at = 0.0
        while not self._stopped and not self._is_idle():
            waiting = dict(poller.poll(int(BEAT_S * 1000)))
            self._gate.attend()
            if self._router in waiting:
                self._receive()
            if self._bell.fileno() in waiting:
                self._pass_on_reports()
            if time.monotonic() >= beat_at:
                self._beat()
                self._tidy_up()
                beat_at = time.monotonic() + BEAT_S
            self._forget_the_gone()
            self._run_next()

    def _tidy_up(self) -> None:
        """Once it is quiet, give back the room that pictures had."""
        is_quiet = not self._running and time.monotonic() - self._active_at > QUIET_S
        if is_quiet and not self._tidied:
            allocator.give_back()
        self._tidied = is_quiet

    def _is_idle(self) -> bool:
        if self._running:
            self._active_at = time.monotonic()
        return time.monotonic() - self._active_at > self._idle_s

    # ── What clients say ─────────────────────────────────────────────────────────────────────────

    def _receive(self) -> None:
        identity, *pieces = (frame.buffer for frame in self._gate.receive())
        client = self._clients.get(bytes(identity))
        try:
            sealed = joined(pieces)
            if not sealed:
                raise ProtocolError("An empty message came over the wire.")
            if len(sealed[0]) == 0:
                self._greet(bytes(identity), unpack(sealed[1:]))
            elif client is None:
                raise ProtocolError("A signed message came over the wire before any greeting.")
            else:
                frames = client.seal.open(sealed)
                client.proved = True
                self._obey(client, unpack(frames))
        except ProtocolError as error:
            log.warning("refused a message: %.200s", error)
            self._refuse(bytes(identity), client, str(error))

    def _greet(self, identity: bytes, hello: Message) -> None:
        """Answer the first message of a connection with our nonce and the proof that we know the key."""
        if not isinstance(hello, Hello) or not is_nonce(hello.nonce) or identity in self._clients:
            raise ProtocolError("A first message came over the wire that is no greeting.")
        if hello.version != PROTOCOL_VERSION:
            raise ProtocolError(
                f"The plug-in speaks version {hello.version} of Atelier's protocol and the backend version "
                f"{PROTOCOL_VERSION}: run 'python3 install.py' again, then restart GIMP."
            )
        self._make_room()
        self._active_at = time.monotonic()
        nonce = secrets.token_hex(NONCE_BYTES)
        self._clients[identity] = Client(identity, Seal(self._key, hello.nonce, nonce, backend=True))
        proof = backend_proof(self._key, hello.nonce, nonce)
        self._send_frames(identity, unsealed(pack(Welcome(PROTOCOL_VERSION, nonce, proof))))

    def _make_room(self) -> None:
        """Forget the oldest connection that has proved nothing, once there are too many."""
        if len(self._clients) < MAX_CLIENTS:
            return
        strangers = (identity for identity, client in self._clients.items() if not client.proved)
        oldest = next(strangers, None)
        if oldest is None:
            raise ProtocolError(f"{MAX_CLIENTS} clients are connected already: close one and try again.")
        del self._clients[oldest]

    def _obey(self, client: Client, message: Message) -> None:
        self._active_at = time.monotonic()
        if isinstance(message, Submit):
            self._enqueue(Job(client, message))
        elif isinstance(message, EndRequest):
            for job in self._jobs_of(client):
                if job.submit.job == message.job:
                    self._end(job, message)
        elif isinstance(message, Stop):
            self._stopped = True
        else:
            raise ProtocolError(f"A {message.type} message is not for a client to send.")

    def _enqueue(self, job: Job) -> None:
        number = job.submit.job
        if any(other.submit.job == number for other in self._jobs_of(job.client)):
            raise ProtocolError(f"There is a job {number} of this client already.")
        if len(self._waiting) >= MAX_WAITING:
            self._send(
                job.client, Failed(number, "busy", f"{MAX_WAITING} jobs wait already; try again later.")
            )
            return
        self._waiting.append(job)
        if self._running:
            self._send(job.client, Queued(number, len(self._waiting)))

    # ── Jobs ─────────────────────────────────────────────────────────────────────────────────────

    def _jobs_of(self, client: Client) -> list[Job]:
        jobs = [*self._waiting, *([self._running] if self._running else [])]
        return [job for job in jobs if job.client is client]

    def _run_next(self) -> None:
        if self._running or not self._waiting:
            return
        job = self._running = self._waiting.popleft()
        self._send(job.client, Queued(job.submit.job, 0))
        self._tell_places()
        job.tell = self._start(job.submit, lambda message: self._report(job, message))

    def _tell_places(self) -> None:
        for place, job in enumerate(self._waiting, start=1):
            self._send(job.client, Queued(job.submit.job, place))

    def _report(self, job: Job, message: Message) -> None:
        """Take what a job has to say; called from any thread."""
        self._reports.put((job, message))
        try:
            self._button.send(b"!")
        except OSError:
            log.info("job %d outlived the server", job.submit.job)

    def _pass_on_reports(self) -> None:
        self._bell.recv(4096)
        while not self._reports.empty():
            job, message = self._reports.get()
            self._send(job.client, message)
            if isinstance(message, Result | Failed | Cancelled):
                self._running = None
                self._active_at = time.monotonic()

    def _end(self, job: Job, wish: EndRequest) -> None:
        """End a job early: what runs is told how, and what still waits is dropped."""
        if job is self._running:
            job.tell(wish)
        else:
            self._waiting.remove(job)
            self._send(job.client, Cancelled(job.submit.job))
            self._tell_places()

    def _forget_the_gone(self) -> None:
        """Drop the clients that sending found gone, and their jobs with them."""
        for client in [client for client in self._clients.values() if client.gone]:
            del self._clients[client.identity]
            for job in self._jobs_of(client):
                self._end(job, Cancel(job.submit.job))

    # ── What clients are told ────────────────────────────────────────────────────────────────────

    def _beat(self) -> None:
        for client in self._clients.values():
            self._send(client, Beat())
            self._flush(client)

    def _send(self, client: Client, message: Message) -> None:
        """Tell a client something; what it may miss is left out while it is slow to listen."""
        if client.gone or (client.unsent and isinstance(message, Beat | Progress)):
            return
        client.unsent.append(client.seal.close(pack(message)))
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
                client.gone = True
                return
            client.unsent.popleft()

    def _refuse(self, identity: bytes, client: Client | None, sentence: str) -> None:
        refused = Refused(PROTOCOL_VERSION, sentence)
        if client and client.proved:
            self._send(client, refused)
        else:
            self._send_frames(identity, unsealed(pack(refused)))

    def _send_frames(self, identity: bytes, frames: list[Frame]) -> None:
        try:
            self._router.send_multipart([identity, *in_pieces(frames)], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            log.info("a client was gone before it could be answered: %s", error)
