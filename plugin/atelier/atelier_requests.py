"""What a filter can be asked: one frozen dataclass a filter, with every default and range.

GIMP's arguments and the command line's options are declared from these fields and from nothing
else, and a request that arrives over the wire is checked against them. Nothing here knows of
sockets, GIMP or networks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


def N_(text: str) -> str:
    """Mark a text for translation; whoever shows it translates it."""
    return text


@dataclass(frozen=True)
class Number:
    """A whole or decimal setting between two bounds, both allowed."""

    name: str
    label: str
    help: str
    default: int | float
    low: int | float
    high: int | float

    def check(self, value: object) -> None:
        """Raise ValueError unless `value` is of the default's kind and within the bounds."""
        kinds = (int,) if isinstance(self.default, int) else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise ValueError(f"{self.name} must be a number, not {value!r}.")
        if not self.low <= value <= self.high:  # which NaN is not either
            raise ValueError(f"{self.name} must be from {self.low} to {self.high}, not {value!r}.")


@dataclass(frozen=True)
class Choice:
    """One of several named settings; `options` maps each value to the label a person reads."""

    name: str
    label: str
    help: str
    default: str
    options: Mapping[str, str]

    def check(self, value: object) -> None:
        """Raise ValueError unless `value` is one of the options."""
        if not isinstance(value, str) or value not in self.options:
            raise ValueError(f"{self.name} must be one of {', '.join(self.options)}, not {value!r}.")


Setting = Number | Choice


def _number(default: int | float, low: int | float, high: int | float, label: str, help: str) -> Any:
    settings = {"kind": Number, "label": label, "help": help, "low": low, "high": high}
    return dataclasses.field(default=default, metadata=settings)


def _choice(default: str, options: Mapping[str, str], label: str, help: str) -> Any:
    settings = {"kind": Choice, "label": label, "help": help, "options": options}
    return dataclasses.field(default=default, metadata=settings)


def _seed() -> Any:
    return _number(0, 0, 2**31 - 1, N_("See_d"), N_("The same seed gives the same picture again"))


def _device() -> Any:
    return _choice(
        "auto",
        {
            "auto": N_("The fastest there is"),
            "cuda": N_("NVIDIA or AMD graphics card"),
            "mps": N_("Apple graphics"),
            "xpu": N_("Intel graphics card"),
            "cpu": N_("Processor"),
        },
        N_("De_vice"),
        N_("What computes the picture"),
    )


@dataclass(frozen=True)
class Request:
    """A filter's settings; `name` is the filter's on the wire.

    Raises ValueError when a setting is of the wrong kind or out of range.
    """

    name: ClassVar[str]

    def __post_init__(self) -> None:
        for setting in settings(type(self)):
            setting.check(getattr(self, setting.name))


@dataclass(frozen=True)
class StyleTransfer(Request):
    """Paint the content picture in the manner of a style picture."""

    name = "style-transfer"
    method: str = _choice(
        "fine",
        {"fine": N_("Fine: optimised, slow"), "fast": N_("Fast: one pass")},
        N_("_Method"),
        N_("Fine paints the picture anew in many steps; fast does it in one"),
    )
    strength: float = _number(
        1.0, 0.0, 1.0, N_("S_trength"), N_("How far the picture leaves the photograph for the style")
    )
    size: int = _number(
        512, 64, 8192, N_("Working si_ze"),
        N_("Longest side in pixels at which the style is painted; a larger layer keeps its own fine detail"),
    )
    iterations: int = _number(
        100, 1, 2000, N_("_Iterations"), N_("Fine only: more steps come closer to the style and take longer")
    )
    content_weight: float = _number(
        1.0, 0.0, 100.0, N_("Co_ntent weight"), N_("Fine only: how firmly the photograph's shapes are held")
    )
    style_weight: float = _number(
        1.0,
        0.0,
        100.0,
        N_("Style _weight"),
        N_("Fine only: how firmly the style's strokes and colours are sought"),
    )
    smoothness: float = _number(
        1.0, 0.0, 100.0, N_("Smoothn_ess"), N_("Fine only: total variation; higher leaves less grain")
    )
    network: str = _choice(
        "vgg19",
        {"vgg19": N_("VGG19, normalised"), "vgg19-torchvision": N_("VGG19, torchvision's own")},
        N_("Networ_k"),
        N_("Fine only: the network whose features compare the pictures"),
    )
    seed: int = _seed()
    device: str = _device()


@dataclass(frozen=True)
class DeepDream(Request):
    """Strengthen what a network sees in the picture, from its strokes to its eyes and snouts."""

    name = "deepdream"
    layer: str = _choice(
        "Mixed_5d",
        {
            "Conv2d_2b_3x3": N_("Blotches of colour (Conv2d_2b_3x3)"),
            "Conv2d_4a_3x3": N_("Woven strokes (Conv2d_4a_3x3)"),
            "Mixed_5b": N_("Ripples and mazes (Mixed_5b)"),
            "Mixed_5c": N_("Spirals (Mixed_5c)"),
            "Mixed_5d": N_("Beads and eyes (Mixed_5d)"),
            "Mixed_6a": N_("Staring eyes (Mixed_6a)"),
            "Mixed_6b": N_("Fur and snouts (Mixed_6b)"),
            "Mixed_6c": N_("Fur and lattices (Mixed_6c)"),
            "Mixed_6d": N_("Faces and crackle (Mixed_6d)"),
            "Mixed_6e": N_("Grain and nets (Mixed_6e)"),
            "Mixed_7a": N_("Speckle and bubbles (Mixed_7a)"),
            "Mixed_7b": N_("Speckle and curls (Mixed_7b)"),
            "Mixed_7c": N_("Scribble (Mixed_7c)"),
        },
        N_("La_yer"),
        N_("Deeper layers see larger things; the deepest give texture more than shapes"),
    )
    strength: float = _number(
        1.0, 0.0, 1.0, N_("S_trength"), N_("How much of the dream is laid over the picture")
    )
    iterations: int = _number(
        10, 1, 500, N_("_Iterations"), N_("Steps of gradient ascent at each octave; more dream more")
    )
    step_size: float = _number(
        0.01, 0.001, 0.5, N_("Ste_p size"), N_("How far one step changes the picture")
    )
    octaves: int = _number(
        4, 1, 12, N_("Oct_aves"), N_("Sizes dreamt at, coarse to fine; more give larger shapes")
    )
    octave_scale: float = _number(
        1.4, 1.1, 3.0, N_("Octave scal_e"), N_("Ratio between one octave's size and the next")
    )
    jitter: int = _number(
        32, 0, 256, N_("_Jitter"), N_("Random shift in pixels at every step; hides the network's grid")
    )
    size: int = _number(
        1024, 64, 16384, N_("Working si_ze"),
        N_("Longest side in pixels at which the dream is made; a larger layer keeps its own fine detail"),
    )
    network: str = _choice(
        "inception-v3",
        {
            "inception-v3": N_("Inception v3"),
            "inception-v3-torchvision": N_("Inception v3, torchvision's own"),
        },
        N_("Networ_k"),
        N_("The network that dreams"),
    )
    seed: int = _seed()
    device: str = _device()


@dataclass(frozen=True)
class Identity(Request):
    """Give the picture back as it came: a test of everything but the networks."""

    name = "identity"


REQUESTS: dict[str, type[Request]] = {kind.name: kind for kind in (StyleTransfer, DeepDream, Identity)}


def settings(request: type[Request]) -> Iterator[Setting]:
    """The settings of a kind of request, in the order a person reads them."""
    for field in dataclasses.fields(request):
        values = dict(field.metadata)
        kind: type[Number] | type[Choice] = values.pop("kind")
        default: Any = field.default
        yield kind(name=field.name, default=default, **values)
