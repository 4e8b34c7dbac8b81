"""The backend's door: a ROUTER on a loopback port, and who may say a word to it.

Every user of the computer can connect to the port. libzmq asks each for a password, and hears no
message of one who does not know it. It does hear what belongs to the asking, and would wait and make
room for that: so a piece of it is small, the time for it short, and of those who have not yet come
through only so many are there at once, the latest. Knows nothing of what is said behind the door.

Sources: ZeroMQ RFC 24, *ZMTP PLAIN*; RFC 27, *ZAP*; zmq_socket_monitor(3).
"""

from __future__ import annotations

import contextlib
import hmac
import socket
from types import TracebackType

import zmq
from zmq.utils.monitor import parse_monitor_message

from atelier_shared.codec import PIECE_BYTES
from atelier_shared.signing import GATE_NAME, gate_password

HANDSHAKE_MS = 5000
MAX_STRANGERS = 64
UNSENT_MESSAGES = 16
ZAP_ENDPOINT, EVENTS_ENDPOINT = "inproc://zeromq.zap.01", "inproc://gate-events"


class AuthenticatedRouter:
    """A bound ROUTER that is closed with this context manager; one in a ZeroMQ context.

    `attend` must be called whenever one of `sockets` has something to be read.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], key: bytes, port: int = 0) -> None:
        """Bind a loopback port, one that is free if `port` is 0."""
        self.router = self._opened(context)
        self._events = context.socket(zmq.PAIR)
        self._events.setsockopt(zmq.RCVHWM, 0)  # at none would libzmq's own thread wait for us
        self.router.monitor(EVENTS_ENDPOINT, zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        self._events.connect(EVENTS_ENDPOINT)
        self._asked = context.socket(zmq.REP)
        self._asked.bind(ZAP_ENDPOINT)
        self.router.bind(f"tcp://127.0.0.1:{port}")
        self.port = int(self.router.getsockopt_string(zmq.LAST_ENDPOINT).rsplit(":", 1)[1])
        self._password = gate_password(key, self.port)
        self._strangers: dict[int, None] = {}
        self.sockets = (self._asked, self._events)

    @staticmethod
    def _opened(context: zmq.Context[zmq.Socket[bytes]]) -> zmq.Socket[bytes]:
        router = context.socket(zmq.ROUTER)
        router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        router.setsockopt(zmq.PLAIN_SERVER, 1)
        router.setsockopt(zmq.MAXMSGSIZE, PIECE_BYTES)
        router.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        router.setsockopt(zmq.SNDHWM, UNSENT_MESSAGES)
        router.setsockopt(zmq.RCVHWM, UNSENT_MESSAGES)
        router.setsockopt(zmq.LINGER, 0)
        return router

    def __enter__(self) -> AuthenticatedRouter:
        """The gate itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the port and every connection."""
        self.router.disable_monitor()
        for each in (self.router, *self.sockets):
            each.close(linger=0)

    def attend(self) -> None:
        """Answer those who ask to be let in, and cut the oldest strangers where there are too many."""
        while self._asked.poll(0):
            self._answer(self._asked.recv_multipart())
        while self._events.poll(0):
            self._note(*self._events.recv_multipart())
        while len(self._strangers) > MAX_STRANGERS:
            self._cut(next(iter(self._strangers)))

    def receive(self) -> list[zmq.Frame]:
        """The next message, which comes of one who knows the key."""
        frames: list[zmq.Frame] = self.router.recv_multipart(copy=False)
        self._strangers.pop(int(frames[-1].get(zmq.SRCFD)), None)
        return frames

    def _answer(self, asked: list[bytes]) -> None:
        """RFC 27: a request and its reply."""
        version, request, _, _, _, mechanism, *credentials = asked
        theirs, ours = [mechanism, *credentials], [b"PLAIN", GATE_NAME.encode(), self._password.encode()]
        may = hmac.compare_digest(b"\0".join(theirs), b"\0".join(ours))
        status = (b"200", b"OK") if may else (b"400", b"another password")
        self._asked.send_multipart([version, request, *status, b"", b""])

    def _note(self, event: bytes, endpoint: bytes) -> None:
        said = parse_monitor_message([event, endpoint])
        self._strangers.pop(said["value"], None)
        if said["event"] == zmq.EVENT_ACCEPTED:
            self._strangers[said["value"]] = None

    def _cut(self, descriptor: int) -> None:
        """End a connection that libzmq holds, by its descriptor; libzmq closes it then."""
        del self._strangers[descriptor]
        with contextlib.suppress(OSError):  # it has ended by itself
            stranger = socket.socket(fileno=descriptor)
            try:
                if stranger.getsockname()[:2] == ("127.0.0.1", self.port):
                    stranger.shutdown(socket.SHUT_RDWR)
            finally:
                stranger.detach()
