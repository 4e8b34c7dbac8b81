"""Messages as frames: a JSON header, then one frame of raw values for each picture or for all arrays; limits.

`docs/protocol.md` is the specification. Only JSON and raw values are read; nothing is unpickled.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .errors import ProtocolError
from .messages import MESSAGES, Arrays, Frame, Message, Picture, PreviousFrame, Region
from .request import Request
from .requests import REQUESTS

MAX_HEADER_BYTES = 64 * 1024
MAX_FRAME_BYTES = 2**31
MAX_MESSAGE_BYTES = 2**32
MAX_PICTURES = 16
MAX_FRAMES = 4 + MAX_PICTURES
"""The header, the content, the styles, and the two pictures of a previous frame."""
PIECE_BYTES = 256 * 1024


def pack(message: Message) -> list[Frame]:
    """Return the frames of a message: its JSON header, then the pixels of each of its pictures."""
    pixels: list[Frame] = []
    fields = {f.name: _pack_value(getattr(message, f.name), pixels) for f in dataclasses.fields(message)}
    header = json.dumps({"type": message.type, **fields}, allow_nan=False).encode()
    return [header, *pixels]


def _pack_value(value: Any, pixels: list[Frame]) -> Any:
    if isinstance(value, Picture):
        pixels.append(value.pixels)
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.name != "pixels"}
    if isinstance(value, Arrays):
        pixels += [value.values] if value.shapes else []
        return {name: list(shape) for name, shape in value.shapes.items()}
    if isinstance(value, Request):
        return {"filter": value.name, **dataclasses.asdict(value)}
    if isinstance(value, Region):
        return dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):
        return [_pack_value(item, pixels) for item in value]
    return value


def unpack(frames: Sequence[Frame]) -> Message:
    """Parse frames into a message.

    Raises:
        ProtocolError: the frames are not a message, or a field is missing, unknown, of the wrong type
            or out of range, or the pixels do not match the header.
    """
    check_limits(frames)
    header = _load_header(frames[0])
    kind = MESSAGES.get(str(header.pop("type", None)))
    if kind is None:
        raise ProtocolError("Received a message of an unknown type.")
    if header.keys() != {field.name for field in dataclasses.fields(kind)}:
        raise ProtocolError(f"Received a {kind.type} message with unknown or missing fields.")
    pixels = list(frames[1:])
    try:
        message = kind(**{name: _UNPACK.get(name, _plain)(value, pixels) for name, value in header.items()})
        _check_types(message)
    except (TypeError, ValueError, KeyError, IndexError, OverflowError) as error:
        raise ProtocolError(f"Received a malformed {kind.type} message: {error}") from error
    if pixels:
        raise ProtocolError(f"Received a {kind.type} message with {len(pixels)} extra frames.")
    return message


def check_limits(frames: Sequence[Frame]) -> None:
    """Raise ProtocolError if there are no frames, too many, or too large ones."""
    if not 1 <= len(frames) <= MAX_FRAMES:
        raise ProtocolError(f"Received a message of {len(frames)} frames.")
    sizes = [len(frame) for frame in frames]
    if sizes[0] > MAX_HEADER_BYTES or max(sizes) > MAX_FRAME_BYTES or sum(sizes) > MAX_MESSAGE_BYTES:
        raise ProtocolError(f"Received a message of {sum(sizes)} bytes, more than the protocol allows.")


def _load_header(frame: Frame) -> dict[str, Any]:
    try:
        header = json.loads(bytes(frame))
    except (ValueError, RecursionError) as error:
        raise ProtocolError("Received a message without a JSON header.") from error
    if not isinstance(header, dict):
        raise ProtocolError("Received a message with a header that is not a JSON object.")
    return header


def _picture(value: Any, pixels: list[Frame]) -> Picture:
    picture = Picture(**value, pixels=pixels.pop(0))
    _check_types(picture)
    return picture


def _preview(value: Any, pixels: list[Frame]) -> Picture | None:
    return None if value is None else _picture(value, pixels)


def _pictures(value: Any, pixels: list[Frame]) -> tuple[Picture, ...]:
    return tuple(_picture(item, pixels) for item in value)


def _previous(value: Any, pixels: list[Frame]) -> PreviousFrame | None:
    return None if value is None else PreviousFrame(*_pictures(value, pixels))


def _region(value: Any, _: list[Frame]) -> Region:
    region = Region(**value)
    _check_types(region)
    return region


def _request(value: Any, _: list[Frame]) -> Request:
    fields = dict(value)
    return REQUESTS[fields.pop("filter")](**fields)


def _arrays(value: Any, pixels: list[Frame]) -> Arrays:
    shapes = {name: tuple(shape) for name, shape in dict(value).items()}
    return Arrays(shapes, pixels.pop(0) if shapes else b"")


def _texts(value: Any, _: list[Frame]) -> dict[str, str]:
    texts = dict(value)
    if not all(isinstance(text, str) for text in texts.values()):
        raise TypeError("a value is not a text")
    return texts


def _plain(value: Any, _: list[Frame]) -> Any:
    return value


_UNPACK: dict[str, Callable[[Any, list[Frame]], Any]] = {
    "arrays": _arrays,
    "content": _picture,
    "picture": _picture,
    "preview": _preview,
    "styles": _pictures,
    "previous": _previous,
    "region": _region,
    "request": _request,
    "values": _texts,
}
_PLAIN_TYPES: dict[Any, type] = {"int": int, "str": str, "bool": bool}


def _check_types(value: Any) -> None:
    """Raise TypeError unless the int, str and bool fields of a dataclass hold exactly that type."""
    for field in dataclasses.fields(value):
        required = _PLAIN_TYPES.get(field.type)
        if required and type(getattr(value, field.name)) is not required:
            raise TypeError(f"{field.name} is not of type {field.type}")


# ── Pieces ───────────────────────────────────────────────────────────────────────────────────────


def in_pieces(frames: Sequence[Frame]) -> list[Frame]:
    """Split each frame into pieces of PIECE_BYTES and a last one that is shorter, or empty.

    So neither side has to accept a larger frame from an unauthenticated peer.
    """
    return [
        memoryview(frame)[start : start + PIECE_BYTES]
        for frame in frames
        for start in range(0, len(frame) + 1, PIECE_BYTES)
    ]


def joined(pieces: Sequence[Frame]) -> list[Frame]:
    """Join pieces into frames again.

    Raises:
        ProtocolError: a piece is too long, or the last piece of a frame is missing.
    """
    frames: list[Frame] = []
    parts: list[Frame] = []
    for piece in pieces:
        parts.append(piece)
        if len(piece) < PIECE_BYTES:
            frames.append(b"".join(parts) if len(parts) > 1 else piece)
            parts = []
    if parts or any(len(piece) > PIECE_BYTES for piece in pieces):
        raise ProtocolError("Received a message with wrongly sized pieces.")
    return frames
