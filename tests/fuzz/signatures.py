"""Signed frames: only what the peer signed is opened, and what is forged before it does no harm."""

from __future__ import annotations

from atelier_shared.codec import pack
from atelier_shared.errors import ProtocolError
from atelier_shared.messages import Beat
from atelier_shared.signing import Signer

KEY, NONCES = b"k" * 32, ("a" * 64, "b" * 64)
GENUINE = [bytes(frame) for frame in Signer(KEY, *NONCES, backend=False).sign(pack(Beat()))]
WORDS = [*GENUINE, b"\n"]


def one_input(data: bytes) -> None:
    """The frames are those between line ends, or those of the genuine message with some bytes changed."""
    receiver = Signer(KEY, *NONCES, backend=True)
    frames = data[1:].split(b"\n") if data[:1] == b"f" else altered(data)
    try:
        opened = receiver.verify(frames)
    except ProtocolError:
        assert receiver.verify(GENUINE) == GENUINE[1:]
    else:
        assert frames == GENUINE and opened == GENUINE[1:]


def altered(data: bytes) -> list[bytes]:
    """The genuine frames with each pair of bytes in `data` a place and what is XORed there."""
    whole = bytearray(b"".join(GENUINE))
    for place, change in zip(data[::2], data[1::2], strict=False):
        whole[place % len(whole)] ^= change
    return [bytes(whole[: len(GENUINE[0])]), bytes(whole[len(GENUINE[0]) :])]
