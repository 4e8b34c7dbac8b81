"""A hostile client, with and without the key: after any input, the server still runs the next job."""

from __future__ import annotations

import json
import logging
import secrets
import socket
import threading
from collections.abc import Callable

import zmq
from fuzz.messages import BETWEEN_FRAMES
from fuzz.messages import WORDS as MESSAGE_WORDS

from atelier_shared.client import BackendClient
from atelier_shared.codec import in_pieces, joined, pack, unpack
from atelier_shared.messages import (
    PROTOCOL_VERSION,
    EndRequest,
    Hello,
    Message,
    Picture,
    Region,
    Result,
    Submit,
    Welcome,
)
from atelier_shared.requests import Identity
from atelier_shared.signing import NONCE_BYTES, PLAIN_USERNAME, Signer, plain_password, unsigned
from atelier_shared.zmtp import GREETING
from backend.serving.authentication import AuthenticatedRouter
from backend.serving.server import Server

KEY = b"k" * 32
PICTURE, WHOLE = Picture(1, 1, "Y", "u8", b"x"), Region(0, 0, 1, 1)
WORDS = [*MESSAGE_WORDS, GREETING, b"\x04\x0e\x05HELLO\x03abc\x03xyz", b"\x04\x10\x08INITIATE", b"\x06"]


def start(submit: Submit, report: Callable[[Message], None]) -> Callable[[EndRequest], None]:
    report(Result(submit.job, submit.content))
    return lambda _: None


class Insider:
    """A libzmq client with the key, for signing and sending any frames."""

    def __init__(self, port: int) -> None:
        self.socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.RCVTIMEO, 10_000)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt_string(zmq.PLAIN_USERNAME, PLAIN_USERNAME)
        self.socket.setsockopt_string(zmq.PLAIN_PASSWORD, plain_password(KEY, port))
        self.socket.connect(f"tcp://127.0.0.1:{port}")
        nonce = secrets.token_hex(NONCE_BYTES)
        self.socket.send_multipart(in_pieces(unsigned(pack(Hello(PROTOCOL_VERSION, nonce)))))
        welcome = unpack(joined(self.socket.recv_multipart())[1:])
        assert isinstance(welcome, Welcome)
        self.signer = Signer(KEY, nonce, welcome.nonce, backend=False)

    def send_signed(self, frames: list[bytes]) -> None:
        self.socket.send_multipart(in_pieces(self.signer.sign(frames)))

    def drain(self) -> None:
        while self.socket.poll(0):
            self.socket.recv_multipart()


logging.disable()
router = AuthenticatedRouter(zmq.Context.instance(), KEY)
thread = threading.Thread(target=Server(router, KEY, start, start, idle_s=1e9).serve, daemon=True)
thread.start()
insider, neighbour = Insider(router.port), BackendClient(router.port, KEY)


def one_input(data: bytes) -> None:
    """Send an input; its first byte selects a client without the key, or one with it, unsigned or signed."""
    choice, rest = data[:1] or b"\0", data[1:]
    if choice >= b"\x80":
        frames = rest.split(BETWEEN_FRAMES)
        if choice >= b"\xc0" and not is_stop(frames[0]):
            insider.send_signed(frames)
        else:
            insider.socket.send_multipart(frames)
        insider.drain()
    else:
        with socket.create_connection(("127.0.0.1", router.port)) as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            peer.sendall(GREETING + rest if choice >= b"\x40" else rest)
    *_, last = neighbour.messages(neighbour.submit(Identity(), PICTURE, WHOLE))
    assert last == Result(last.job, PICTURE) and thread.is_alive()


def is_stop(header: bytes) -> bool:
    try:
        return bool(json.loads(header)["type"] == "stop")
    except (ValueError, TypeError, KeyError, RecursionError):
        return False
