"""The wire between Atelier's filters and its backend: messages, packing, signing, limits.

A message is a frozen dataclass; on the wire it is a list of frames: a signature, a JSON header, and
one frame of raw pixels for each picture. `docs/protocol.md` is the specification. Pure functions of
bytes and the standard library alone: nothing here opens a socket, and nothing is ever unpickled.

Errors:
    AtelierError                what a person may be shown, one sentence
     ├─ ProtocolError           the other side broke the rules of the wire
     │   └─ VersionMismatch     … by speaking another version of them
     ├─ BackendUnavailable      no backend, and none could be started
     ├─ BackendSilent           a backend that has stopped answering
     ├─ JobCancelled            the person's own wish
     └─ JobFailed               the backend's reason why there is no picture
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar

from atelier_requests import REQUESTS, Request

PROTOCOL_VERSION = 2
KEY_BYTES = NONCE_BYTES = 32
MAX_HEADER_BYTES = 64 * 1024
MAX_FRAME_BYTES = 2**31
PIECE_BYTES = 256 * 1024
MAX_GREETING_BYTES = 64 * 1024
GATE_NAME = "atelier"
MAX_MESSAGE_BYTES = 2**32
MAX_PICTURES = 16
MAX_FRAMES = 2 + MAX_PICTURES
MAX_SIDE_PX = 2**19
CONTEXT_PX = 96
DIGEST_PIECE_BYTES = 4 * 1024 * 1024

Frame = bytes | bytearray | memoryview


class AtelierError(Exception):
    """Something went wrong that a person can be told in one sentence.

    Its text is `template` with `values` put in; who shows it may put them into a translation.
    """

    def __init__(self, template: str, **values: object) -> None:
        super().__init__(template.format(**values) if values else template)
        self.template, self.values = template, values


class ProtocolError(AtelierError):
    """The other side sent something that the protocol does not allow."""


class VersionMismatch(ProtocolError):
    """The other side speaks another version of the protocol."""


class BackendUnavailable(AtelierError):
    """There is no backend to talk to, and none could be started."""


class BackendSilent(AtelierError):
    """The backend has stopped answering."""


class JobCancelled(AtelierError):
    """The job was cancelled."""


class JobFailed(AtelierError):
    """The backend could not make the picture; `reason` is a word for programs."""

    def __init__(self, reason: str, sentence: str) -> None:
        """Keep the word for programs beside the sentence for people."""
        super().__init__(sentence)
        self.reason = reason


# ── Pictures ─────────────────────────────────────────────────────────────────────────────────────

CHANNELS = {"Y": 1, "YA": 2, "RGB": 3, "RGBA": 4}
DEPTH_BYTES = {"u8": 1, "u16": 2, "f32": 4}


@dataclass(frozen=True)
class Picture:
    """Raw pixels, row by row without padding, perceptually coded, alpha not multiplied in.

    `channels` is one of CHANNELS; `depth` is u8, u16 or f32, the wider two little-endian; a float
    1.0 is the largest whole number of the others.
    """

    width: int
    height: int
    channels: str
    depth: str
    pixels: Frame = dataclasses.field(repr=False)

    def __post_init__(self) -> None:
        """Raise ProtocolError unless the number of bytes is what the size asks for."""
        if self.channels not in CHANNELS or self.depth not in DEPTH_BYTES:
            raise ProtocolError(f"There are no pictures of {self.channels!r} in {self.depth!r}.")
        if not (0 < self.width <= MAX_SIDE_PX and 0 < self.height <= MAX_SIDE_PX):
            raise ProtocolError(f"A picture cannot be {self.width}×{self.height} pixels large.")
        expected = self.width * self.height * self.pixel_bytes
        if len(self.pixels) != expected:
            raise ProtocolError(f"A picture came with {len(self.pixels)} bytes instead of {expected}.")

    @property
    def pixel_bytes(self) -> int:
        """Bytes a pixel takes."""
        return CHANNELS[self.channels] * DEPTH_BYTES[self.depth]


@dataclass(frozen=True)
class Region:
    """A rectangle inside a picture, in pixels from its top left corner."""

    x: int
    y: int
    width: int
    height: int

    def check_inside(self, picture: Picture) -> None:
        """Raise ProtocolError unless the region holds a pixel and lies wholly in `picture`."""
        across = 0 <= self.x < self.x + self.width <= picture.width
        down = 0 <= self.y < self.y + self.height <= picture.height
        if not (across and down):
            raise ProtocolError(f"{self} does not lie inside {picture}.")

    def within(self, outer: Region) -> Region:
        """The same region, counted from the corner of `outer`."""
        return Region(self.x - outer.x, self.y - outer.y, self.width, self.height)

    def with_context(self, width: int, height: int) -> Region:
        """What a client sends of a picture of that size for this region: CONTEXT_PX more on every side."""
        left, top = max(0, self.x - CONTEXT_PX), max(0, self.y - CONTEXT_PX)
        right = min(width, self.x + self.width + CONTEXT_PX)
        bottom = min(height, self.y + self.height + CONTEXT_PX)
        return Region(left, top, right - left, bottom - top)


# ── Messages ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Message:
    """What one side says to the other; `type` is its name on the wire."""

    type: ClassVar[str]


@dataclass(frozen=True)
class Hello(Message):
    """Client: the first message, unsigned: the version spoken and a fresh nonce, as hex digits."""

    type = "hello"
    version: int
    nonce: str


@dataclass(frozen=True)
class Welcome(Message):
    """Backend: its own nonce and the proof that it knows the key, unsigned."""

    type = "welcome"
    version: int
    nonce: str
    proof: str


@dataclass(frozen=True)
class Refused(Message):
    """Backend: a message was not acted upon. Unsigned until the client has once signed rightly."""

    type = "refused"
    version: int
    sentence: str


@dataclass(frozen=True)
class Submit(Message):
    """Client: make `region` of `content` anew; the rest of `content` is context for the network."""

    type = "submit"
    job: int
    request: Request
    content: Picture
    region: Region
    styles: tuple[Picture, ...] = ()

    def __post_init__(self) -> None:
        """Raise ProtocolError unless the region lies inside the content."""
        self.region.check_inside(self.content)


@dataclass(frozen=True)
class Cancel(Message):
    """Client: the job is no longer wanted."""

    type = "cancel"
    job: int


@dataclass(frozen=True)
class Finish(Message):
    """Client: what there is of the job's picture is enough; its Result is to be made of it."""

    type = "finish"
    job: int


Wish = Cancel | Finish
"""How a client asks for the early end of a job."""


@dataclass(frozen=True)
class Stop(Message):
    """Client: the backend is to end itself, and every job with it."""

    type = "stop"


@dataclass(frozen=True)
class Queued(Message):
    """Backend: the job was taken on; `place` jobs run before it, and 0 means it begins."""

    type = "queued"
    job: int
    place: int


@dataclass(frozen=True)
class Progress(Message):
    """Backend: step `step` of `total` is done; `preview` is the picture so far, made small."""

    type = "progress"
    job: int
    step: int
    total: int
    preview: Picture | None = None


@dataclass(frozen=True)
class Result(Message):
    """Backend: the region made anew, in the content's channels and depth; `note` is for a person."""

    type = "result"
    job: int
    picture: Picture
    note: str = ""


@dataclass(frozen=True)
class Failed(Message):
    """Backend: there will be no picture, and why."""

    type = "failed"
    job: int
    reason: str
    sentence: str


@dataclass(frozen=True)
class Cancelled(Message):
    """Backend: the job was dropped as asked."""

    type = "cancelled"
    job: int


@dataclass(frozen=True)
class Beat(Message):
    """Backend: it is alive and at work."""

    type = "beat"


MESSAGES: dict[str, type[Message]] = {
    kind.type: kind
    for kind in (
        *(Hello, Welcome, Refused, Submit, Cancel, Finish, Stop),
        *(Queued, Progress, Result, Failed, Cancelled, Beat),
    )
}


# ── Packing ──────────────────────────────────────────────────────────────────────────────────────


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


# ── Signing ──────────────────────────────────────────────────────────────────────────────────────


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
