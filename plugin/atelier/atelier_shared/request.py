"""The base of all requests: a frozen dataclass with one field for each setting of a filter.

A request answers all questions about itself, so that nobody needs to test which filter it belongs to:
how much work it is, what its previews are, which pictures it needs, and what its layer is called.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, TypeVar

from .deferred_translation import N_
from .settings import choice, number, settings

SMALLEST_PX = 64
"""Shortest working size."""
PREVIEW_PX = 340
"""Longest side of a quick preview."""
LARGEST_SEED = 2**31 - 1
LARGEST_PREVIEW_PX = 1024
"""Longest side of the content of a preview; GIMP makes no larger thumbnails."""

Self = TypeVar("Self", bound="Request")


class Preview(NamedTuple):
    """One of the pictures of a preview: its request, and the longest side of the content to send."""

    request: Request
    longest_px: int


@dataclass(frozen=True)
class Condition:
    """Settings that have an effect only if the setting `depends_on` has one of `values`."""

    settings: tuple[str, ...]
    depends_on: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    """The settings of one filter.

    Attributes:
        name: the filter's name on the wire.
        conditions: which settings have an effect only with certain values of another one.

    Raises:
        WrongSetting: a setting has the wrong type or is out of range.
    """

    name: ClassVar[str]
    conditions: ClassVar[tuple[Condition, ...]] = ()

    def __post_init__(self) -> None:
        for setting in settings(type(self)):
            setting.check(getattr(self, setting.name))

    def work(self, width: int, height: int) -> float:
        """Return the pixel-steps of a job on `width` × `height` pixels: pixels × steps, over all sizes."""
        return 0.0

    def previews(self, width: int, height: int, part: float = 1.0) -> list[Preview]:
        """Return the pictures of a preview, each closer to the result than the one before.

        The first one takes less than a second. `width` and `height` are those of the previewed part of the
        layer. `part`: longest side of this part ÷ longest side of the whole (1 = whole).
        """
        return [Preview(self, PREVIEW_PX)]

    @property
    def is_coherent(self) -> bool:
        """Whether each frame of an animation follows the one before it."""
        return False

    def for_frame(self: Self, number: int) -> Self:
        """Return the request for a frame of an animation, counted from 0."""
        return self

    def for_next_frame(self: Self) -> Self:
        """Return the request that makes the next frame from the result of this one."""
        return self


@dataclass(frozen=True)
class PaintingRequest(Request):
    """The settings of a filter that computes in the backend.

    A filter without networks or pictures keeps the defaults of everything but `command` and `purpose`.

    Attributes:
        command: the verb of the command line.
        purpose: the verb's line in `--help`.
        picture_missing: the error for a request that needs a picture beside the layer and has none.
        needs_content: whether the result depends on the layer's pixels, not only on its size.
    """

    command: ClassVar[str]
    purpose: ClassVar[str]
    picture_missing: ClassVar[str] = ""
    needs_content: ClassVar[bool] = True

    @property
    def device(self) -> str:
        """The device to compute on; "auto" for the fastest."""
        return "auto"

    @property
    def working_px(self) -> int:
        """Longest side, in pixels, at which the filter works; a larger picture is reduced."""
        return sys.maxsize

    @property
    def picture_px(self) -> int:
        """Longest side, in pixels, at which a picture beside the layer is useful."""
        return self.working_px

    @property
    def needs_picture(self) -> bool:
        """Whether a picture beside the layer (a style or a guide) is required."""
        return False

    @property
    def recolours_pictures(self) -> bool:
        """Whether the pictures beside the layer get the content's colours first."""
        return False

    @property
    def keeps_colours(self) -> bool:
        """Whether the result gets the content's colours and changes only its luminance."""
        return False

    @property
    def is_opaque(self) -> bool:
        """Whether the result covers the layer's transparent pixels too."""
        return False

    @property
    def usual_speed(self) -> float:
        """Pixel-steps per second on two processor cores; the proportions between kinds of jobs matter."""
        return 1e6

    def usual_seconds(self, width: int, height: int) -> float:
        """Return the usual duration of a job on `width` × `height` pixels."""
        return self.work(width, height) / self.usual_speed

    def further_share(self, width: int, height: int) -> float:
        """Return the work of each further frame of an animation, in proportion to the first one's."""
        return 1.0

    def picture_weights(self, count: int) -> Sequence[float]:
        """Return the weights of `count` pictures beside the layer.

        Raises:
            ValueError: the settings give another number of weights.
        """
        return [1.0] * count

    def kind_of_job(self, device: str) -> str:
        """Return a name for the jobs on `device` whose speed is comparable with this one's."""
        return f"{self.name} {device}"

    def subject(self, picture_name: str) -> str:
        """Return a short description for the layer's name, such as the style or the class; "" for none."""
        return ""


def seed_setting() -> Any:
    """Declare the field `seed`."""
    help = N_(
        "The same seed gives the same picture again (on a graphics card, almost the same);"
        " another seed gives a variation"
    )
    return number(0, 0, LARGEST_SEED, N_("Seed"), help)


def coherence_setting() -> Any:
    """Declare the field `coherence`."""
    help = N_("Animations: how closely each frame follows the one before it; 0: each frame is made by itself")
    return number(1.0, 0.0, 1.0, N_("Coherence"), help)


def device_setting() -> Any:
    """Declare the field `device`."""
    return choice(
        "auto",
        {
            "auto": N_("The fastest available"),
            "cuda": N_("NVIDIA or AMD graphics card"),
            "mps": N_("Apple graphics"),
            "xpu": N_("Intel graphics card"),
            "cpu": N_("Processor"),
        },
        N_("Device"),
        N_("The device that computes the picture"),
    )


def fitted_pixels(width: int, height: int, longest_px: int) -> float:
    """Return the number of pixels of a picture reduced to a longest side of `longest_px`."""
    scale = min(1.0, longest_px / max(width, height))
    return width * scale * height * scale
