"""Messages as frames: a JSON header, then one frame of raw pixels for each picture; limits on both.

`docs/protocol.md` is the specification. Pure functions of bytes; nothing is ever unpickled.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

from .errors import ProtocolError
from .messages import MESSAGES, Frame, Message, Picture, Region
from .request import Request
from .requests import REQUESTS

MAX_HEADER_BYTES = 64 * 1024
MAX_FRAME_BYTES = 2**31
MAX_MESSAGE_BYTES = 2**32
MAX_PICTURES = 16
MAX_FRAMES = 2 + MAX_PICTURES
PIECE_BYTES = 256 * 1024


def pack(message: Message) -> list[Frame]:
    """The frames of a message: its JSON header, then the pixels of each of its pictures."""
    pixels: list[Frame] = []
    fields = {f.name: _pack_value(getattr(message, f.name), pixels) for f in dataclasses.fields(message)}
    header = json.dumps({"type": message.type, **fields}, allow_nan=False).encode()
    return [header, *pixels]


def _pack_value(value: Any, pixels: list[Frame]) -> Any:
    if isinstance(value, Picture):
        pixels.append(value.pixels)
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.name != "pixels"}
    if isinstance(value, Request):
        return {"filter": value.name, **dataclasses.asdict(value)}
    if isinstance(value, Region):
        return dataclasses.asdict(value)
    if isinstance(value, tuple):
        return [_pack_value(item, pixels) for item in value]
    return value


def unpack(frames: Sequence[Frame]) -> Message:
    """The message that `frames` hold.

    Raises:
        ProtocolError: it is none, or a value in it is missing, unknown, of the wrong kind or out of
            range, or there are more or fewer pixels than it speaks of.
    """
    check_limits(frames)
    header = _load_header(frames[0])
    kind = MESSAGES.get(str(header.pop("type", None)))
    if kind is None:
        raise ProtocolError("A message of an unknown type came over the wire.")
    if header.keys() != {field.name for field in dataclasses.fields(kind)}:
        raise ProtocolError(f"A {kind.type} message came over the wire with a field too many or too few.")
    pixels = list(frames[1:])
    try:
        message = kind(**{name: _UNPACK.get(name, _plain)(value, pixels) for name, value in header.items()})
        _check_types(message)
    except (TypeError, ValueError, KeyError, IndexError, OverflowError) as error:
        raise ProtocolError(f"A {kind.type} message came over the wire malformed: {error}") from error
    if pixels:
        raise ProtocolError(f"A {kind.type} message came with {len(pixels)} frames too many.")
    return message


def check_limits(frames: Sequence[Frame]) -> None:
    """Raise ProtocolError if there are no frames, too many, or too large ones."""
    if not 1 <= len(frames) <= MAX_FRAMES:
        raise ProtocolError(f"A message of {len(frames)} frames came over the wire.")
    sizes = [len(frame) for frame in frames]
    if sizes[0] > MAX_HEADER_BYTES or max(sizes) > MAX_FRAME_BYTES or sum(sizes) > MAX_MESSAGE_BYTES:
        raise ProtocolError(f"A message of {sum(sizes)} bytes is larger than the protocol allows.")


def _load_header(frame: Frame) -> dict[str, Any]:
    try:
        header = json.loads(bytes(frame))
    except (ValueError, RecursionError) as error:
        raise ProtocolError("A message came over the wire whose header is not JSON.") from error
    if not isinstance(header, dict):
        raise ProtocolError("A message came over the wire whose header is not a JSON object.")
    return header


def _picture(value: Any, pixels: list[Frame]) -> Picture:
    picture = Picture(**value, pixels=pixels.pop(0))
    _check_types(picture)
    return picture


def _preview(value: Any, pixels: list[Frame]) -> Picture | None:
    return None if value is None else _picture(value, pixels)


def _pictures(value: Any, pixels: list[Frame]) -> tuple[Picture, ...]:
    return tuple(_picture(item, pixels) for item in value)


def _region(value: Any, _: list[Frame]) -> Region:
    region = Region(**value)
    _check_types(region)
    return region


def _request(value: Any, _: list[Frame]) -> Request:
    fields = dict(value)
    return REQUESTS[fields.pop("filter")](**fields)


def _plain(value: Any, _: list[Frame]) -> Any:
    return value


_UNPACK: dict[str, Callable[[Any, list[Frame]], Any]] = {
    "content": _picture,
    "picture": _picture,
    "preview": _preview,
    "styles": _pictures,
    "region": _region,
    "request": _request,
}
_PLAIN_TYPES: dict[Any, type] = {"int": int, "str": str}


def _check_types(value: Any) -> None:
    """Raise TypeError unless every whole number and text of a dataclass is one."""
    for field in dataclasses.fields(value):
        wanted = _PLAIN_TYPES.get(field.type)
        if wanted and type(getattr(value, field.name)) is not wanted:
            raise TypeError(f"{field.name} is not of type {field.type}")


# ── Travelling ───────────────────────────────────────────────────────────────────────────────────


def in_pieces(frames: Sequence[Frame]) -> list[Frame]:
    """The frames as they travel, each in pieces of PIECE_BYTES and a last one that is shorter, or empty.

    So neither side need take more than a piece from one that it does not know yet.
    """
    return [
        memoryview(frame)[start : start + PIECE_BYTES]
        for frame in frames
        for start in range(0, len(frame) + 1, PIECE_BYTES)
    ]


def joined(pieces: Sequence[Frame]) -> list[Frame]:
    """The frames that travelled as `pieces`.

    Raises:
        ProtocolError: a piece is longer than it may be, or the last one is missing.
    """
    frames: list[Frame] = []
    parts: list[Frame] = []
    for piece in pieces:
        parts.append(piece)
        if len(piece) < PIECE_BYTES:
            frames.append(b"".join(parts) if len(parts) > 1 else piece)
            parts = []
    if parts or any(len(piece) > PIECE_BYTES for piece in pieces):
        raise ProtocolError("A message came over the wire that is not cut as it must be.")
    return frames
