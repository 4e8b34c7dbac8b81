"""A ZeroMQ DEALER socket in the standard library: ZMTP 3.1, PLAIN mechanism, one peer, connecting side.

GIMP's Python may not be able to load a compiled library, so the plug-in contains this instead of libzmq.

Sources: ZeroMQ RFC 37, *ZMTP 3.1* (rfc.zeromq.org/spec/37): greeting, PING and PONG, frames;
RFC 24, *ZMTP PLAIN* (rfc.zeromq.org/spec/24): HELLO, WELCOME, INITIATE, READY, ERROR.
"""

from __future__ import annotations

import contextlib
import io
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence

Frame = bytes | bytearray | memoryview

MORE, LONG, COMMAND = 1, 2, 4
GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x01" + b"PLAIN".ljust(20, b"\0") + b"\0" + bytes(31)
READ_BYTES = 1 << 20
PONG_S = 5.0


class ZmtpError(ConnectionError):
    """An error of the peer: not ZMTP 3, a violation of it, or a message beyond our limits."""


class Dealer:
    """A connected DEALER for whole messages, each a list of frames.

    One thread may send while another one receives. Both must have returned before `close`.
    """

    def __init__(
        self,
        host: str,
        port: int,
        username: str,
        password: str,
        *,
        timeout_s: float,
        max_frame_bytes: int = 2**31,
        max_message_bytes: int = 2**32,
        max_frames: int = 64,
    ) -> None:
        """Connect and perform the handshake; user name and password have at most 255 bytes.

        Raises:
            ZmtpError: the peer does not speak ZMTP 3 with PLAIN, or refused the password.
            TimeoutError: the peer did not answer in time.
            OSError: the port is closed.
        """
        self._max_frame_bytes = max_frame_bytes
        self.max_message_bytes = max_message_bytes
        self._max_frames = max_frames
        self._messages: deque[list[bytes]] = deque()
        self._ready = False
        self._parser = self._parse()
        self._expected, self._part, self._buffer = next(self._parser), io.BytesIO(), bytearray(READ_BYTES)
        self._sending = threading.Lock()
        self._socket = socket.create_connection((host, port), timeout_s)
        self._incoming = self._socket.dup()  # the same connection, with a timeout of its own
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._shake_hands(username, password, time.monotonic() + timeout_s)
        except BaseException:
            self.close()
            raise

    def _shake_hands(self, username: str, password: str, deadline: float) -> None:
        self._socket.sendall(GREETING)
        self._send_command(b"HELLO", _short(username.encode()) + _short(password.encode()))
        self._read_until(lambda: self._ready, deadline)

    def fileno(self) -> int:
        """Return the socket's file descriptor, for an event loop."""
        return self._incoming.fileno()

    def close(self) -> None:
        """Close the connection. Messages already sent are still delivered."""
        self._incoming.close()
        self._socket.close()

    def send(self, frames: Sequence[Frame], *, timeout_s: float) -> None:
        """Send one message.

        Raises:
            TimeoutError: the peer did not read it in time. The connection is closed, because part of
                the message may have been sent.
            OSError: the connection is lost.
        """
        with self._sending:
            self._socket.settimeout(timeout_s)
            for frame in frames[:-1]:
                self._send_frame(MORE, frame)
            self._send_frame(0, frames[-1])

    def receive(self, *, timeout_s: float) -> list[bytes]:
        """Return the next message. With a `timeout_s` of 0, read only data that has already arrived.

        Raises:
            TimeoutError: the message is incomplete. The data so far is kept for the next call.
            ZmtpError: the peer closed the connection or violated the protocol.
            OSError: the connection is lost.
        """
        self._read_until(lambda: bool(self._messages), time.monotonic() + timeout_s)
        return self._messages.popleft()

    def _send_frame(self, flags: int, frame: Frame) -> None:
        size = len(frame)
        short = size < 256
        try:
            self._socket.sendall(
                struct.pack(">BB", flags, size) if short else struct.pack(">BQ", flags | LONG, size)
            )
            self._socket.sendall(frame)
        except OSError:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            raise

    def _send_command(self, name: bytes, data: bytes) -> None:
        self._send_frame(COMMAND, bytes([len(name)]) + name + data)

    def _read_until(self, holds: Callable[[], bool], deadline: float) -> None:
        """Read until `holds()`, at least once. The deadline also ends an endless stream."""
        while not holds():
            self._read(deadline)
            if time.monotonic() > deadline and not holds():
                raise TimeoutError("the message is incomplete")

    def _read(self, deadline: float) -> None:
        """Read once from the socket, and pass each complete part on to the parser."""
        self._incoming.settimeout(max(0.0, deadline - time.monotonic()))
        buffer = memoryview(self._buffer)[: self._expected - self._part.tell()]
        try:
            count = self._incoming.recv_into(buffer)
        except BlockingIOError:
            raise TimeoutError("nothing has arrived") from None
        if not count:
            raise ZmtpError("the peer closed the connection")
        self._part.write(buffer[:count])  # grows in steps, because allocating a large part at once is slow
        while self._part.tell() == self._expected:
            self._expected, self._part = self._parser.send(self._part.getvalue()), io.BytesIO()

    def _parse(self) -> Generator[int, bytes, None]:
        """Parse greeting, commands and messages: yields the size of the next part and is sent its bytes."""
        greeting = yield 64
        marks = (greeting[0], greeting[9], greeting[12:32])
        if marks != (GREETING[0], GREETING[9], GREETING[12:32]) or greeting[10] < GREETING[10]:
            raise ZmtpError("the peer does not speak ZMTP 3 with the PLAIN mechanism")
        frames: list[bytes] = []
        message_bytes = 0
        while True:
            flags = (yield 1)[0]
            size = int.from_bytes((yield 8 if flags & LONG else 1), "big")
            self._check_limits(message_bytes + size, size, len(frames) + 1)
            body = yield size
            if flags & COMMAND:
                self._handle_command(body)
                continue
            if not self._ready:
                raise ZmtpError("the peer sent a message before the end of the handshake")
            frames.append(body)
            message_bytes += size
            if not flags & MORE:
                self._messages.append(frames)
                frames, message_bytes = [], 0

    def _check_limits(self, message_bytes: int, frame_bytes: int, frames: int) -> None:
        if (
            frame_bytes > self._max_frame_bytes
            or message_bytes > self.max_message_bytes
            or frames > self._max_frames
        ):
            raise ZmtpError(
                f"the peer sent too large a message: at least {frames} frames and {message_bytes} bytes"
            )

    def _handle_command(self, command: bytes) -> None:
        """Parse and handle a command: the length of its name, its name, its data."""
        start = 1 + command[0] if command else 1
        name, data = command[1:start], command[start:]
        if name == b"WELCOME" and not self._ready:
            self._send_command(
                b"INITIATE", _property(b"Socket-Type", b"DEALER") + _property(b"Identity", b"")
            )
        elif name == b"READY":
            self._ready = True
        elif name == b"PING":
            self._answer_ping(data[2:])
        elif not self._ready:  # ERROR; not compared by name, because libzmq 4.3.5 misspells it
            raise ZmtpError(f"the peer refused the connection or its password: {command[:50]!r}")

    def _answer_ping(self, context: bytes) -> None:
        """Send PONG, unless a message is being sent: it shows life, too, and PONG must not split it."""
        if self._sending.acquire(blocking=False):
            try:
                self._socket.settimeout(PONG_S)
                self._send_command(b"PONG", context)
            finally:
                self._sending.release()


def _property(name: bytes, value: bytes) -> bytes:
    return _short(name) + struct.pack(">I", len(value)) + value


def _short(data: bytes) -> bytes:
    return bytes([len(data)]) + data
