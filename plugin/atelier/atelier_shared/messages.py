"""The messages that the filters and the backend exchange, and the pictures in them.

`docs/protocol.md` is the specification. `codec` turns messages into frames, `signing` signs them.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from .errors import ProtocolError
from .request import Request

PROTOCOL_VERSION = 2
MAX_SIDE_PX = 2**19
CONTEXT_PX = 96

Frame = bytes | bytearray | memoryview

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
class FinishEarly(Message):
    """Client: the job is to finish early, with a Result made of the picture so far."""

    type = "finish"
    job: int


EndRequest = Cancel | FinishEarly
"""The two ways to end a job early."""


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
        *(Hello, Welcome, Refused, Submit, Cancel, FinishEarly, Stop),
        *(Queued, Progress, Result, Failed, Cancelled, Beat),
    )
}
