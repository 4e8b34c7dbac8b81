"""Signatures: only the peer's message is accepted, also after forged ones."""

from __future__ import annotations

from atelier_shared.codec import pack
from atelier_shared.errors import ProtocolError
from atelier_shared.messages import Beat
from atelier_shared.signing import Signer

KEY, NONCES = b"k" * 32, ("a" * 64, "b" * 64)
GENUINE = [bytes(frame) for frame in Signer(KEY, *NONCES, backend=False).sign(pack(Beat()))]
WORDS = [*GENUINE, b"\n"]


def one_input(data: bytes) -> None:
    """Verify the frames between line ends, or the genuine frames with some bytes changed."""
    receiver = Signer(KEY, *NONCES, backend=True)
    frames = data[1:].split(b"\n") if data[:1] == b"f" else altered(data)
    try:
        frames_without_signature = receiver.verify(frames)
    except ProtocolError:
        assert receiver.verify(GENUINE) == GENUINE[1:]
    else:
        assert frames == GENUINE and frames_without_signature == GENUINE[1:]


def altered(data: bytes) -> list[bytes]:
    """Change the genuine frames: each pair of bytes in `data` is a position and a value to XOR there."""
    whole = bytearray(b"".join(GENUINE))
    for place, change in zip(data[::2], data[1::2], strict=False):
        whole[place % len(whole)] ^= change
    return [bytes(whole[: len(GENUINE[0])]), bytes(whole[len(GENUINE[0]) :])]
