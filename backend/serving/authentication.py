"""A ROUTER socket on a loopback port that only accepts clients with the password (ZMTP PLAIN).

Every user of the computer can connect to the port. libzmq passes on no message of a connection without
the password, but it does buffer handshake data. So frame size, handshake time and the number of
connections in a handshake are capped; above the cap the oldest is closed.

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
from atelier_shared.errors import BackendUnavailable
from atelier_shared.signing import PLAIN_USERNAME, plain_password

from ..compat import open_files

HANDSHAKE_MS = 5000
REACH_S = 5.0
MAX_UNAUTHENTICATED = 64
"""Fewer if the process may open only few files: at most half of what is free."""
MAX_QUEUED_MESSAGES = 16
ZAP_ENDPOINT, EVENTS_ENDPOINT = "inproc://zeromq.zap.01", "inproc://router-events"


class AuthenticatedRouter:
    """A bound ROUTER and its ZAP handler. A context manager that closes both; one per ZeroMQ context.

    Call `handle_events` whenever one of `event_sockets` is readable.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], key: bytes, port: int = 0) -> None:
        """Bind a loopback port; 0 selects a free one.

        Raises:
            BackendUnavailable: it cannot be bound or reached; the text is the remedy.
        """
        self.router = self._configured(context)
        self._events = context.socket(zmq.PAIR)
        self._events.setsockopt(zmq.RCVHWM, 0)  # unlimited: a bounded queue would block libzmq's I/O thread
        self.router.monitor(EVENTS_ENDPOINT, zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        self._events.connect(EVENTS_ENDPOINT)
        self._zap = context.socket(zmq.REP)
        self._zap.bind(ZAP_ENDPOINT)
        self.event_sockets = (self._zap, self._events)
        try:
            self.router.bind(f"tcp://127.0.0.1:{port}")
            self.port = int(self.router.getsockopt_string(zmq.LAST_ENDPOINT).rsplit(":", 1)[1])
            # A port can be bound while the loopback is down, but not reached.
            socket.create_connection(("127.0.0.1", self.port), REACH_S).close()
        except (zmq.ZMQError, OSError) as error:
            self.close()
            raise BackendUnavailable(_NO_PORT, reason=error.strerror or error) from error
        self._password = plain_password(key, self.port)
        self._unauthenticated: dict[int, None] = {}  # file descriptors, the oldest connection first
        self._max_unauthenticated = min(MAX_UNAUTHENTICATED, open_files.free() // 2)

    @staticmethod
    def _configured(context: zmq.Context[zmq.Socket[bytes]]) -> zmq.Socket[bytes]:
        router = context.socket(zmq.ROUTER)
        router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        router.setsockopt(zmq.PLAIN_SERVER, 1)
        router.setsockopt(zmq.MAXMSGSIZE, PIECE_BYTES)
        router.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        router.setsockopt(zmq.SNDHWM, MAX_QUEUED_MESSAGES)
        router.setsockopt(zmq.RCVHWM, MAX_QUEUED_MESSAGES)
        router.setsockopt(zmq.LINGER, 0)
        return router

    def __enter__(self) -> AuthenticatedRouter:
        """Return the router itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the port and every connection."""
        self.close()

    def close(self) -> None:
        """Close the port and every connection."""
        self.router.disable_monitor()
        for each in (self.router, *self.event_sockets):
            each.close(linger=0)

    def handle_events(self) -> None:
        """Answer password requests, and close the oldest unauthenticated connections above the cap."""
        while self._zap.poll(0):
            self._answer(self._zap.recv_multipart())
        while self._events.poll(0):
            self._record(*self._events.recv_multipart())
        while len(self._unauthenticated) > self._max_unauthenticated:
            self._disconnect(next(iter(self._unauthenticated)))

    def receive(self) -> list[zmq.Frame]:
        """Return the next message. Its sender knows the password."""
        frames: list[zmq.Frame] = self.router.recv_multipart(copy=False)
        self._unauthenticated.pop(int(frames[-1].get(zmq.SRCFD)), None)
        return frames

    def _answer(self, request: list[bytes]) -> None:
        """Answer a ZAP request (RFC 27): accept PLAIN with the right user name and password."""
        version, request_id, _, _, _, mechanism, *credentials = request
        given, required = (
            [mechanism, *credentials],
            [b"PLAIN", PLAIN_USERNAME.encode(), self._password.encode()],
        )
        accepted = hmac.compare_digest(b"\0".join(given), b"\0".join(required))
        status = (b"200", b"OK") if accepted else (b"400", b"wrong password")
        self._zap.send_multipart([version, request_id, *status, b"", b""])

    def _record(self, event: bytes, endpoint: bytes) -> None:
        parsed = parse_monitor_message([event, endpoint])
        self._unauthenticated.pop(parsed["value"], None)
        if parsed["event"] == zmq.EVENT_ACCEPTED:
            self._unauthenticated[parsed["value"]] = None

    def _disconnect(self, descriptor: int) -> None:
        """Shut a connection of libzmq's down by its file descriptor. libzmq then closes it.

        The descriptor may meanwhile belong to something else, so its local address is checked first.
        """
        del self._unauthenticated[descriptor]
        with contextlib.suppress(OSError):  # already closed
            connection = socket.socket(fileno=descriptor)
            try:
                if connection.getsockname()[:2] == ("127.0.0.1", self.port):
                    connection.shutdown(socket.SHUT_RDWR)
            finally:
                connection.detach()


_NO_PORT = (
    "No port of 127.0.0.1 can be used ({reason}). Make sure that the loopback network is up, "
    "or close programs that use many ports."
)
