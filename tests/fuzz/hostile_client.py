"""A hostile client with the password: after any input, the server still runs the next job.

The server is real, and libzmq's socket is replaced: it has fuzzers of its own. tests/serving/test_attack.py
attacks both together.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from typing import Any, cast

import zmq
from fuzz.messages import BETWEEN_FRAMES
from fuzz.messages import WORDS as MESSAGE_WORDS

from atelier_shared.codec import MAX_FRAMES, in_pieces, joined, pack, unpack
from atelier_shared.messages import (
    PROTOCOL_VERSION,
    Frame,
    Hello,
    Help,
    Message,
    Picture,
    Region,
    Result,
    Submit,
    Welcome,
)
from atelier_shared.requests import Identity
from atelier_shared.signing import NONCE_BYTES, Signer, unsigned
from backend.serving.server import Server

KEY = b"k" * 32
PICTURE, WHOLE = Picture(1, 1, "Y", "u8", b"x"), Region(0, 0, 1, 1)
LONGEST_BYTES = 500
WORDS = [*MESSAGE_WORDS, b'"version": 2', b'"nonce": "' + b"ab" * 32 + b'"']


class Router:
    """In place of an `AuthenticatedRouter` and its socket: one message to receive, and all sent ones."""

    def __init__(self) -> None:
        self.router, self.event_sockets = self, ()
        self.incoming: list[zmq.Frame] = []
        self.sent: list[list[Frame]] = []

    def receive(self) -> list[zmq.Frame]:
        return self.incoming

    def send_multipart(self, frames: Sequence[Frame], *_: object, **__: object) -> None:
        self.sent.append([bytes(frame) for frame in frames])


def start(submit: Submit | Help, report: Callable[[Message], None]) -> Callable[[Message], None]:
    assert isinstance(submit, Submit)
    report(Result(submit.job, submit.content))
    return lambda _: None


class Peer:
    """A client of the server after its hello."""

    def __init__(self, identity: bytes) -> None:
        self.identity = identity
        nonce = secrets.token_hex(NONCE_BYTES)
        deliver(identity, in_pieces(unsigned(pack(Hello(PROTOCOL_VERSION, nonce)))))
        welcome = unpack(joined(router.sent.pop()[1:])[1:])
        assert isinstance(welcome, Welcome)
        self.signer = Signer(KEY, nonce, welcome.nonce, backend=False)

    def send(self, frames: Sequence[Frame]) -> None:
        deliver(self.identity, in_pieces(self.signer.sign(frames)))

    def messages(self) -> list[Message]:
        """Return the signed messages sent to this client."""
        own = [frames[1:] for frames in router.sent if frames[0] == self.identity]
        return [unpack(self.signer.verify(joined(frames))) for frames in own]


def deliver(identity: bytes, pieces: Sequence[Frame]) -> None:
    """Have the server receive a message and run a waiting job."""
    router.incoming = [zmq.Frame(identity), *(zmq.Frame(bytes(piece)) for piece in pieces)]
    server._receive()
    server._run_next()
    while server._running():
        server._run_calls()


logging.disable()
router = Router()
server = Server(cast(Any, router), KEY, start, start, idle_s=1e9)
insider, neighbour = Peer(b"insider"), Peer(b"neighbour")


def one_input(data: bytes) -> None:
    """Send an input; its first byte selects a client without a hello, or one with it, unsigned or signed."""
    choice, frames = data[:1] or b"\0", data[1:].split(BETWEEN_FRAMES, MAX_FRAMES + 2)
    if choice >= b"\x80":
        insider.send(frames)
    else:
        deliver(insider.identity if choice >= b"\x40" else data[:5], frames)
    router.sent.clear()
    neighbour.send(pack(Submit(1, Identity(), PICTURE, WHOLE)))
    assert neighbour.messages()[-1] == Result(1, PICTURE)
    router.sent.clear()
    assert len(server._clients) <= 256 and not server._waiting
