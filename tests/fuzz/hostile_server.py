"""A hostile server: after any input, the client raises an error with a sentence."""

from __future__ import annotations

from unittest import mock

from atelier_shared.client import BackendClient
from atelier_shared.errors import AtelierError
from atelier_shared.zmtp import COMMAND, GREETING, LONG, MORE, Dealer

WELCOME = b"\x04\x08\x07WELCOME"
READY = b"\x04\x29\x05READY\x0bSocket-Type\x00\x00\x00\x06ROUTER\x08Identity\x00\x00\x00\x00"
NONCE = b"ab" * 32
BEGINNINGS = (b"", GREETING, GREETING + WELCOME + READY)
LONGEST_BYTES = 400
WORDS = [
    *(GREETING, WELCOME, READY, b"\x04\x0b\x04PING\x00\x64abcd", b"\x04\x0a\x05ERROR\x03no!"),
    *(bytes([MORE]), bytes([LONG]), bytes([COMMAND]), b'{"type": "welcome", "version": 2, "nonce": "', NONCE),
    *(b'", "proof": "', b'{"type": "refused", "version": 4, "sentence": "', b'"}'),
]


class Connection:
    """In place of a socket: the peer has sent `received` and closed the connection."""

    received = b""

    def recv_into(self, buffer: memoryview) -> int:
        piece = self.received[: len(buffer)]
        buffer[: len(piece)] = piece
        self.received = self.received[len(piece) :]
        return len(piece)

    def dup(self) -> Connection:
        return self

    def close(self, *_: object) -> None:
        """Do nothing, as for everything that is sent or set."""

    sendall = settimeout = setsockopt = shutdown = close


connection = Connection()
mock.patch("atelier_shared.zmtp.READ_BYTES", 4096).start()  # allocating more for each input is slow
mock.patch("socket.create_connection", lambda *_: connection).start()


def one_input(data: bytes) -> None:
    """Send an input; its first byte selects a valid beginning, and a client or only its socket."""
    choice, rest = data[:1] or b"\0", data[1:]
    connection.received = BEGINNINGS[choice[0] % 3] + rest
    if choice >= b"\xc0":
        connection.received = BEGINNINGS[2] + bytes([MORE, 0, LONG]) + len(rest).to_bytes(8, "big") + rest
    try:
        if choice >= b"\x80":
            BackendClient(1, b"k" * 32)
        else:
            listen(Dealer("127.0.0.1", 1, "name", "password", timeout_s=1.0))
    except (AtelierError, OSError) as error:
        assert str(error)
    else:
        raise AssertionError("a backend without the key was accepted")


def listen(dealer: Dealer) -> None:
    while True:
        frames = dealer.receive(timeout_s=1.0)
        assert frames and all(isinstance(frame, bytes) for frame in frames)
