"""Proofs of knowing the shared key, and signatures of every message.

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
PLAIN_USERNAME = "atelier"
DIGEST_PIECE_BYTES = 4 * 1024 * 1024


def backend_proof(key: bytes, client_nonce: str, backend_nonce: str) -> str:
    """Compute the backend's answer to the client's nonce, as hex digits: the proof of knowing `key`."""
    return _keyed(key, "backend", client_nonce, backend_nonce).hex()


def plain_password(key: bytes, port: int) -> str:
    """Compute the password of the connection (ZMTP PLAIN), as hex digits. It is valid for this port only."""
    return _keyed(key, "gate", str(port)).hex()


def is_nonce(text: str) -> bool:
    """Return whether `text` is a nonce: NONCE_BYTES as lower-case hex digits."""
    return len(text) == 2 * NONCE_BYTES and set(text) <= set("0123456789abcdef")


def same_secret(one: str, other: str) -> bool:
    """Compare two texts in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())


def _keyed(key: bytes, *words: str) -> bytes:
    return hmac.digest(key, "\0".join(words).encode(), "sha256")


class Signer:
    """The signatures of one connection: signs sent messages and verifies received ones.

    A signature is HMAC-SHA256 under a key of this connection and direction, over the number of
    messages signed before and the digest of every frame. So a message that is altered, repeated,
    reordered, left out or sent back to its own sender is rejected.
    """

    def __init__(self, key: bytes, client_nonce: str, backend_nonce: str, *, backend: bool) -> None:
        """Derive the connection's keys from the shared `key` and both nonces."""
        from_client = _keyed(key, "from-client", client_nonce, backend_nonce)
        from_backend = _keyed(key, "from-backend", client_nonce, backend_nonce)
        self._own, self._peer = (from_backend, from_client) if backend else (from_client, from_backend)
        self._sent = self._received = 0

    def sign(self, frames: Sequence[Frame]) -> list[Frame]:
        """Return the frames with their signature in front."""
        signature = _signature(self._own, self._sent, frames)
        self._sent += 1
        return [signature, *frames]

    def verify(self, signed: Sequence[Frame]) -> list[Frame]:
        """Check the signature of the peer's next message and return its frames without the signature.

        Raises:
            ProtocolError: the signature is wrong. The message does not count: the correct next one
                is still accepted.
        """
        check_limits(signed[1:])
        frames = list(signed[1:])
        if not hmac.compare_digest(bytes(signed[0]), _signature(self._peer, self._received, frames)):
            raise ProtocolError("Received a message with a wrong signature.")
        self._received += 1
        return frames


def _signature(key: bytes, count: int, frames: Sequence[Frame]) -> bytes:
    digest = hmac.new(key, count.to_bytes(8, "big"), "sha256")
    for frame in frames:
        digest.update(len(frame).to_bytes(8, "big") + frame_digest(frame))
    return digest.digest()


def frame_digest(frame: Frame) -> bytes:
    """Compute SHA-256 over the SHA-256 digests of a frame's consecutive pieces of 4 MiB.

    The pieces are hashed in parallel, because hashlib releases the interpreter lock.
    """
    view = memoryview(frame)
    pieces = [view[i : i + DIGEST_PIECE_BYTES] for i in range(0, len(view), DIGEST_PIECE_BYTES)]
    if len(pieces) <= 1:
        return _sha256(_sha256(view))
    try:
        with ThreadPoolExecutor(max_workers=4) as threads:
            digests = list(threads.map(_sha256, pieces))
    except RuntimeError:  # the system has no memory for another thread
        digests = list(map(_sha256, pieces))
    return _sha256(b"".join(digests))


def _sha256(data: Frame) -> bytes:
    return hashlib.sha256(data).digest()


def unsigned(frames: Sequence[Frame]) -> list[Frame]:
    """Return the frames with an empty signature in front, as sent in the first exchange."""
    return [b"", *frames]
