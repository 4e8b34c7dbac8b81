"""Proofs that a peer knows the shared key, and signatures of every message.

`docs/protocol.md` is the specification.

Source: RFC 2104, *HMAC: Keyed-Hashing for Message Authentication*.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from .codec import check_limits
from .errors import ProtocolError
from .messages import Frame

KEY_BYTES = NONCE_BYTES = 32
MAX_GREETING_BYTES = 64 * 1024
GATE_NAME = "atelier"
DIGEST_PIECE_BYTES = 4 * 1024 * 1024


def backend_proof(key: bytes, client_nonce: str, backend_nonce: str) -> str:
    """What only a backend that knows `key` can answer to the client's nonce, as hex digits."""
    return _keyed(key, "backend", client_nonce, backend_nonce).hex()


def gate_password(key: bytes, port: int) -> str:
    """What a client says at the gate to show that it knows `key`, as hex digits; worth nothing elsewhere."""
    return _keyed(key, "gate", str(port)).hex()


def is_nonce(text: str) -> bool:
    """Whether `text` is a nonce: NONCE_BYTES as lower-case hex digits."""
    return len(text) == 2 * NONCE_BYTES and set(text) <= set("0123456789abcdef")


def same_secret(one: str, other: str) -> bool:
    """Compare two texts in a time that says nothing about them."""
    return hmac.compare_digest(one.encode(), other.encode())


def _keyed(key: bytes, *words: str) -> bytes:
    return hmac.digest(key, "\0".join(words).encode(), "sha256")


class Seal:
    """Signs what one side of a connection sends and checks what it receives.

    The signature is HMAC-SHA256 under a key of this connection alone, over who speaks, how many
    messages that side has signed before, and the digest of every frame: a message that is altered,
    repeated, reordered, left out or sent back to its own sender does not pass.
    """

    def __init__(self, key: bytes, client_nonce: str, backend_nonce: str, *, backend: bool) -> None:
        """Derive the connection's keys from the shared `key` and both nonces."""
        from_client = _keyed(key, "from-client", client_nonce, backend_nonce)
        from_backend = _keyed(key, "from-backend", client_nonce, backend_nonce)
        self._own, self._peer = (from_backend, from_client) if backend else (from_client, from_backend)
        self._signed = self._opened = 0

    def close(self, frames: Sequence[Frame]) -> list[Frame]:
        """The frames with their signature before them."""
        signature = _signature(self._own, self._signed, frames)
        self._signed += 1
        return [signature, *frames]

    def open(self, sealed: Sequence[Frame]) -> list[Frame]:
        """The frames behind a signature.

        Raises:
            ProtocolError: the signature is not that of the peer's next message; the message that
                really is next can still be opened.
        """
        check_limits(sealed[1:])
        frames = list(sealed[1:])
        if not hmac.compare_digest(bytes(sealed[0]), _signature(self._peer, self._opened, frames)):
            raise ProtocolError("A message came over the wire that is not signed as it must be.")
        self._opened += 1
        return frames


def _signature(key: bytes, count: int, frames: Sequence[Frame]) -> bytes:
    digest = hmac.new(key, count.to_bytes(8, "big"), "sha256")
    for frame in frames:
        digest.update(len(frame).to_bytes(8, "big") + frame_digest(frame))
    return digest.digest()


def frame_digest(frame: Frame) -> bytes:
    """SHA-256 over the SHA-256 digests of a frame's consecutive pieces of 4 MiB.

    The pieces are hashed side by side, for hashlib lets other threads run meanwhile.
    """
    view = memoryview(frame)
    pieces = [view[i : i + DIGEST_PIECE_BYTES] for i in range(0, len(view), DIGEST_PIECE_BYTES)]
    if len(pieces) <= 1:
        return hashlib.sha256(hashlib.sha256(view).digest()).digest()
    with ThreadPoolExecutor(max_workers=4) as threads:
        digests = threads.map(lambda piece: hashlib.sha256(piece).digest(), pieces)
        return hashlib.sha256(b"".join(digests)).digest()


def unsealed(frames: Sequence[Frame]) -> list[Frame]:
    """Frames with an empty signature before them, as the first exchange is sent."""
    return [b"", *frames]
