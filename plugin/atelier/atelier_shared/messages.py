"""The messages between a client and the backend, or within a cluster, and the pictures in them.

`docs/protocol.md` is the specification. `codec` turns messages into frames, `signing` signs them.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from .colour_space import Matrix, is_gamma, is_invertible
from .errors import ProtocolError
from .request import Request

PROTOCOL_VERSION = 4
MAX_SIDE_PX = 2**19
CONTEXT_PX = 96
NAME_IN_BRACES = re.compile(r"\{(\w+)\}")

Frame = bytes | bytearray | memoryview

# ── Pictures ─────────────────────────────────────────────────────────────────────────────────────

CHANNELS = {"Y": 1, "YA": 2, "RGB": 3, "RGBA": 4}
DEPTH_BYTES = {"u8": 1, "u16": 2, "f32": 4}


@dataclass(frozen=True)
class Picture:
    """Raw pixels, row by row without padding, perceptually coded, with straight alpha.

    `channels` is one of CHANNELS. `depth` is u8, u16 or f32, little-endian; 1.0 in f32 is the largest
    value of the integer depths. `to_srgb` is the matrix from light in the picture's primaries to light in
    sRGB's, row by row, if they differ. `gamma` is the exponent of the curve from the values to light; 0 is
    sRGB's curve.
    """

    width: int
    height: int
    channels: str
    depth: str
    pixels: Frame = dataclasses.field(repr=False)
    to_srgb: Matrix = ()
    gamma: float = 0.0

    def __post_init__(self) -> None:
        """Raise ProtocolError unless the pixels match size, channels and depth, and the matrix is usable."""
        if self.channels not in CHANNELS or self.depth not in DEPTH_BYTES:
            raise ProtocolError(f"Unknown picture format: {self.channels!r}, {self.depth!r}.")
        if not (0 < self.width <= MAX_SIDE_PX and 0 < self.height <= MAX_SIDE_PX):
            raise ProtocolError(f"A picture cannot have {self.width}×{self.height} pixels.")
        expected = self.width * self.height * self.pixel_bytes
        if len(self.pixels) != expected:
            raise ProtocolError(f"A picture has {len(self.pixels)} bytes instead of {expected}.")
        object.__setattr__(self, "to_srgb", tuple(self.to_srgb))
        if self.to_srgb and not (self.channels.startswith("RGB") and is_invertible(self.to_srgb)):
            raise ProtocolError("A picture has unusable primaries.")
        if not is_gamma(self.gamma):
            raise ProtocolError("A picture has an unusable curve.")

    @property
    def pixel_bytes(self) -> int:
        """Bytes per pixel."""
        return CHANNELS[self.channels] * DEPTH_BYTES[self.depth]


class PreviousFrame(NamedTuple):
    """The frame of an animation before this one: its whole content, and the result of its region."""

    content: Picture
    result: Picture


@dataclass(frozen=True)
class Region:
    """A rectangle inside a picture, in pixels from its top left corner."""

    x: int
    y: int
    width: int
    height: int

    def check_inside(self, picture: Picture) -> None:
        """Raise ProtocolError unless the region is not empty and inside `picture`."""
        across = 0 <= self.x < self.x + self.width <= picture.width
        down = 0 <= self.y < self.y + self.height <= picture.height
        if not (across and down):
            raise ProtocolError(f"{self} does not lie inside {picture}.")

    def within(self, outer: Region) -> Region:
        """Return the region relative to the corner of `outer`."""
        return Region(self.x - outer.x, self.y - outer.y, self.width, self.height)

    def moved(self, right: int, down: int) -> Region:
        """Return the region moved by some pixels."""
        return Region(self.x + right, self.y + down, self.width, self.height)

    def with_context(self, width: int, height: int) -> Region:
        """Return the part of a picture to send for this region: CONTEXT_PX more on every side."""
        left, top = max(0, self.x - CONTEXT_PX), max(0, self.y - CONTEXT_PX)
        right = min(width, self.x + self.width + CONTEXT_PX)
        bottom = min(height, self.y + self.height + CONTEXT_PX)
        return Region(left, top, right - left, bottom - top)


# ── Arrays ───────────────────────────────────────────────────────────────────────────────────────

FLOAT_BYTES = 4


@dataclass(frozen=True)
class Arrays:
    """Arrays of 32-bit floats, little-endian, one after the other in `values`; `shapes` has them by name."""

    shapes: Mapping[str, tuple[int, ...]]
    values: Frame = dataclasses.field(repr=False)

    def __post_init__(self) -> None:
        """Raise ProtocolError unless the values match the shapes."""
        if not all(type(length) is int and length > 0 for shape in self.shapes.values() for length in shape):
            raise ProtocolError("An array has an unusable shape.")
        if sum(map(math.prod, self.shapes.values())) * FLOAT_BYTES != len(self.values):
            raise ProtocolError("Arrays have another number of values than their shapes.")


# ── Messages ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Message:
    """A message; `type` is its name on the wire."""

    type: ClassVar[str]


@dataclass(frozen=True)
class Hello(Message):
    """Client: the first message, unsigned, with the protocol version and a fresh nonce as hex digits."""

    type = "hello"
    version: int
    nonce: str


@dataclass(frozen=True)
class Welcome(Message):
    """Backend: the unsigned answer, with its own nonce and the proof of knowing the key."""

    type = "welcome"
    version: int
    nonce: str
    proof: str


@dataclass(frozen=True)
class Refused(Message):
    """Backend: a message was ignored. Unsigned until the client has sent a correctly signed message."""

    type = "refused"
    version: int
    sentence: str


@dataclass(frozen=True)
class Submit(Message):
    """Client: filter `region` of `content`; the rest of `content` is context for the network.

    A preview does not wait for jobs that are not previews. With `previous`, the result follows the motion
    from the previous frame of an animation.
    """

    type = "submit"
    job: int
    request: Request
    content: Picture
    region: Region
    styles: tuple[Picture, ...] = ()
    is_preview: bool = False
    previous: PreviousFrame | None = None

    def __post_init__(self) -> None:
        """Raise ProtocolError unless the region lies inside the content, and the previous frame fits."""
        self.region.check_inside(self.content)
        if self.previous:
            _check_size(self.previous.content, self.content)
            _check_size(self.previous.result, self.region)

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All pictures of the job."""
        return (self.content, *self.styles, *(self.previous or ()))


def _check_size(picture: Picture, expected: Picture | Region) -> None:
    if (picture.width, picture.height) != (expected.width, expected.height):
        raise ProtocolError("The previous frame of an animation has another size.")


@dataclass(frozen=True)
class Cancel(Message):
    """Client: drop the job."""

    type = "cancel"
    job: int


@dataclass(frozen=True)
class FinishEarly(Message):
    """Client: finish the job early, with a Result made from the picture so far."""

    type = "finish"
    job: int


EndRequest = Cancel | FinishEarly
"""The two ways to end a job early."""


@dataclass(frozen=True)
class Stop(Message):
    """Client: stop the backend and all its jobs."""

    type = "stop"


@dataclass(frozen=True)
class Queued(Message):
    """Backend: the job is accepted; `place` jobs run before it, and 0 means it starts."""

    type = "queued"
    job: int
    place: int


@dataclass(frozen=True)
class Progress(Message):
    """Backend: step `step` of `total` is done; `preview` is the picture so far, scaled down."""

    type = "progress"
    job: int
    step: int
    total: int
    preview: Picture | None = None


@dataclass(frozen=True)
class Result(Message):
    """Backend: the filtered region, in the content's channels and depth; `note` is for the user."""

    type = "result"
    job: int
    picture: Picture
    note: str = ""


@dataclass(frozen=True)
class Failed(Message):
    """Backend: the job failed, with a reason code for programs and a sentence for the user.

    The sentence is `template` with the names in braces replaced by `values`, so that it can be translated.
    """

    type = "failed"
    job: int
    reason: str
    template: str
    values: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that the template names the values and has no other braces; raise a ValueError if not."""
        rest = NAME_IN_BRACES.sub("", self.template)
        if set(NAME_IN_BRACES.findall(self.template)) != set(self.values) or "{" in rest or "}" in rest:
            raise ValueError("the template does not fit its values")


@dataclass(frozen=True)
class Cancelled(Message):
    """Backend: the job was dropped as requested."""

    type = "cancelled"
    job: int


@dataclass(frozen=True)
class Beat(Message):
    """Backend: a heartbeat."""

    type = "beat"


# ── Between the scheduler of a cluster and its workers ───────────────────────────────────────────


@dataclass(frozen=True)
class Share(Message):
    """Worker: others can compute tiles of the job."""

    type = "share"
    job: int


@dataclass(frozen=True)
class Help(Message):
    """Scheduler: compute tiles of another worker's job, until a Cancel. `job` is the number of this help."""

    type = "help"
    job: int
    request: Request


@dataclass(frozen=True)
class HelpBegins(Message):
    """Scheduler: another worker is ready to compute tiles of the job; `helper` is the number of its help."""

    type = "help-begins"
    job: int
    helper: int


@dataclass(frozen=True)
class HelpEnds(Message):
    """Scheduler: a helper is lost or has other work. It answers no more tasks."""

    type = "help-ends"
    job: int
    helper: int


@dataclass(frozen=True)
class TileTask(Message):
    """Worker to its helper: compute a part of the loss of a tile.

    Attributes:
        job: the number of the worker's job; the scheduler replaces it by that of the help.
        helper: the number of the help.
        task: the number of the task.
        part: the name of the part to compute.
        tile: the number of the tile.
        region: the tile without its halo, in its image.
        arrays: what the helper lacks.
    """

    type = "tile-task"
    job: int
    helper: int
    task: int
    part: str
    tile: int
    region: Region
    arrays: Arrays


@dataclass(frozen=True)
class TileAnswer(Message):
    """Helper: the result of a task. `job` is as in TileTask, in the other direction."""

    type = "tile-answer"
    job: int
    task: int
    arrays: Arrays


MESSAGES: dict[str, type[Message]] = {
    kind.type: kind
    for kind in (
        *(Hello, Welcome, Refused, Submit, Cancel, FinishEarly, Stop),
        *(Queued, Progress, Result, Failed, Cancelled, Beat),
        *(Share, Help, HelpBegins, HelpEnds, TileTask, TileAnswer),
    )
}
