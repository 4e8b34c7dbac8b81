"""What a filter can be asked: one frozen dataclass a filter, with every default and range.

GIMP's arguments and the command line's options are declared from these fields and from nothing
else, and a request that arrives over the wire is checked against them. Nothing here knows of
sockets, GIMP or networks.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple


def N_(text: str) -> str:
    """Mark a text for translation; whoever shows it translates it."""
    return text


# ── Kinds of settings ────────────────────────────────────────────────────────────────────────────


class Wrong(ValueError):
    """Something is written in another form than it must be.

    Its text is `template` with `values` put in; who shows it may put them into a translation.
    """

    def __init__(self, template: str, **values: object) -> None:
        super().__init__(template.format(**values))
        self.template, self.values = template, values


class WrongSetting(Wrong):
    """A setting has a value that it cannot have; the value called `setting` is the setting's name."""

    def __init__(self, setting: Setting, template: str, **values: object) -> None:
        super().__init__(template, setting=setting.name, **values)
        self.setting = setting


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
        """Raise WrongSetting unless `value` is of the default's kind and within the bounds."""
        kinds = (int,) if isinstance(self.default, int) else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise WrongSetting(self, N_("{setting} must be a number, not {value}."), value=repr(value))
        if not self.low <= value <= self.high:  # which NaN is not either
            template = N_("{setting} must be from {low} to {high}, not {value}.")
            raise WrongSetting(self, template, low=self.low, high=self.high, value=repr(value))


@dataclass(frozen=True)
class Choice:
    """One of several named settings; `options` maps each value to the label a person reads."""

    name: str
    label: str
    help: str
    default: str
    options: Mapping[str, str]

    def check(self, value: object) -> None:
        """Raise WrongSetting unless `value` is one of the options."""
        if not isinstance(value, str) or value not in self.options:
            template = N_("{setting} must be one of {options}, not {value}.")
            raise WrongSetting(self, template, options=", ".join(self.options), value=repr(value))


@dataclass(frozen=True)
class Text:
    """A setting that is written; `parse` reads it, and raises Wrong where that cannot be done."""

    name: str
    label: str
    help: str
    default: str
    parse: Callable[[str], object]

    def check(self, value: object) -> None:
        """Raise WrongSetting unless `value` is a text of the right form, and no endless one."""
        if not isinstance(value, str) or len(value) > LONGEST_TEXT:
            template = N_("{setting} must be a text of at most {count} letters.")
            raise WrongSetting(self, template, count=LONGEST_TEXT)
        try:
            self.parse(value)
        except Wrong as error:
            raise WrongSetting(self, N_("{setting}: {problem}"), problem=error) from error


Setting = Number | Choice | Text
LONGEST_TEXT = 1000


# ── What is written in texts ─────────────────────────────────────────────────────────────────────


def weights_by_name(text: str) -> dict[str, float]:
    """What "relu1_1, relu2_1:0.5" says: names and their weights, 1 where none is given, in their order.

    Raises:
        Wrong: a name is missing or comes twice, or a weight is not a number above 0.
    """
    weights: dict[str, float] = {}
    for item in filter(None, map(str.strip, text.split(","))):
        name, colon, weight = map(str.strip, item.partition(":"))
        if not name or name in weights:
            raise Wrong(N_("“{text}” has no name, or one that stands there already."), text=item)
        weights[name] = _weight(weight) if colon else 1.0
    return weights


def weights_in_order(text: str) -> list[float]:
    """What "2, 1" says: the weights of things that have an order and no names.

    Raises:
        Wrong: a weight is not a number above 0.
    """
    return [_weight(item) for item in filter(None, map(str.strip, text.split(",")))]


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        raise Wrong(N_("“{text}” is no weight: write a number above 0, such as 0.5."), text=text)
    return weight


def channel_range(text: str) -> range | None:
    """What "12" or "12-20" says: the channels of a layer, the last one included; None where nothing is said.

    Raises:
        Wrong: it is neither, or ends before it begins.
    """
    if not text.strip():
        return None
    first, dash, last = map(str.strip, text.partition("-"))
    if not (first.isdecimal() and (last.isdecimal() or not dash)) or int(last or first) < int(first):
        template = N_("“{text}” are no channels: write one as 12, or several as 12-20.")
        raise Wrong(template, text=text)
    return range(int(first), int(last or first) + 1)


def gallery_mix(text: str) -> dict[str, float]:
    """What "name:0.5, name" says of the gallery's styles: their weights.

    Raises:
        Wrong: it says nothing of that form, or names a style that the gallery has not.
    """
    weights = weights_by_name(text)
    if unknown := weights.keys() - GALLERY.keys():
        names = {"missing": ", ".join(sorted(unknown)), "styles": ", ".join(GALLERY)}
        raise Wrong(N_("There is no style {missing}; there are {styles}."), **names)
    return weights


GALLERY = {
    "peach and sky": N_("Peach and sky"),
    "yellow and ink": N_("Yellow and ink"),
    "charcoal": N_("Charcoal"),
    "electric mosaic": N_("Electric mosaic"),
    "crimson and cream": N_("Crimson and cream"),
    "embers": N_("Embers"),
    "indigo speckle": N_("Indigo speckle"),
    "primary colours": N_("Primary colours"),
    "coloured pencil": N_("Coloured pencil"),
    "pebbles": N_("Pebbles"),
    "umber": N_("Umber"),
    "parchment": N_("Parchment"),
    "lavender and gold": N_("Lavender and gold"),
    "linocut": N_("Linocut"),
    "pale fresco": N_("Pale fresco"),
    "leaded glass": N_("Leaded glass"),
    "cobalt strokes": N_("Cobalt strokes"),
    "woven": N_("Woven"),
    "woodcut": N_("Woodcut"),
    "starry": N_("Starry"),
    "scarlet": N_("Scarlet"),
    "cut-outs": N_("Cut-outs"),
    "stone": N_("Stone"),
    "dusk": N_("Dusk"),
    "great wave": N_("Great wave"),
    "rough oil": N_("Rough oil"),
}
"""The styles that the gallery method paints in without a style picture, in the order of its network's own
numbers; it came without names, and these say what they look like."""


# ── Declaring ────────────────────────────────────────────────────────────────────────────────────


def _number(default: int | float, low: int | float, high: int | float, label: str, help: str) -> Any:
    settings = {"kind": Number, "label": label, "help": help, "low": low, "high": high}
    return dataclasses.field(default=default, metadata=settings)


def _choice(default: str, options: Mapping[str, str], label: str, help: str) -> Any:
    settings = {"kind": Choice, "label": label, "help": help, "options": options}
    return dataclasses.field(default=default, metadata=settings)


def _text(parse: Callable[[str], object], label: str, help: str) -> Any:
    return dataclasses.field(
        default="", metadata={"kind": Text, "label": label, "help": help, "parse": parse}
    )


def _seed() -> Any:
    help = N_("The same seed gives the same picture again; on a graphics card, nearly")
    return _number(0, 0, 2**31 - 1, N_("Seed"), help)


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
        N_("Device"),
        N_("What computes the picture"),
    )


@dataclass(frozen=True)
class Only:
    """Settings that have a say only where another one has one of some values."""

    settings: tuple[str, ...]
    where: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    """A filter's settings; `name` is the filter's on the wire, `only` says which of them have no say when.

    Raises WrongSetting when a setting is of the wrong kind or out of range.
    """

    name: ClassVar[str]
    only: ClassVar[tuple[Only, ...]] = ()

    def __post_init__(self) -> None:
        for setting in settings(type(self)):
            setting.check(getattr(self, setting.name))


# ── Style transfer ───────────────────────────────────────────────────────────────────────────────


class Effort(NamedTuple):
    """What a quality stands for: the longest side painted at, in pixels, and the steps in all."""

    working_px: int
    steps: int


QUALITIES: dict[str, dict[str, Effort]] = {
    "fine": {"draft": Effort(512, 60), "good": Effort(1024, 120), "best": Effort(2048, 160)},
    "fast": {"draft": Effort(512, 1), "good": Effort(1024, 1), "best": Effort(2048, 1)},
    "gallery": {"draft": Effort(512, 1), "good": Effort(1024, 1), "best": Effort(2048, 1)},
    "light": {"draft": Effort(384, 1), "good": Effort(768, 1), "best": Effort(1536, 1)},
}
SMALLEST_PX = 64


@dataclass(frozen=True)
class StyleTransfer(Request):
    """Paint the content picture in the manner of style pictures."""

    name = "style-transfer"
    only = (
        Only(
            (
                *("iterations", "content_weight", "style_weight", "smoothness", "start", "optimizer"),
                *("pooling", "tolerance", "network", "content_layers", "style_layers", "seed"),
            ),
            "method",
            ("fine",),
        ),
        Only(("style_size", "style_shape", "style_weights"), "method", ("fine", "fast", "light")),
        Only(("gallery_style", "gallery_mix"), "method", ("gallery",)),
    )
    method: str = _choice(
        "fine",
        {
            "fine": N_("Fine: optimised, slow"),
            "fast": N_("Fast: one pass"),
            "gallery": N_("Gallery: one of 26 built-in styles"),
            "light": N_("Light: one small pass"),
        },
        N_("_Method"),
        N_("Fine paints the picture anew in many steps; fast and light do it in one; gallery wants no style"),
    )
    quality: str = _choice(
        "good",
        {"draft": N_("Draft"), "good": N_("Good"), "best": N_("Best")},
        N_("_Quality"),
        N_("How large and in how many steps the picture is painted"),
    )
    strength: float = _number(
        1.0, 0.0, 1.0, N_("S_trength"), N_("How far the picture leaves the photograph for the style")
    )
    style_size: float = _number(
        1.0, 0.25, 4.0, N_("Style si_ze"), N_("How large the strokes are, beside the picture")
    )
    size: int = _number(
        0, 0, 16384, N_("Working size"),
        N_("Longest side in pixels at which the style is painted; 0: as the quality says. A larger layer"
           " keeps its own fine detail"),
    )
    iterations: int = _number(
        0, 0, 2000, N_("Iterations"),
        N_("Fine only: more steps come closer to the style and take longer; 0: as the quality says"),
    )
    colours: str = _choice(
        "style",
        {
            "style": N_("The style's"),
            "luminance": N_("The photograph's; the style gives light and dark"),
            "matched": N_("The photograph's; the style is recoloured first"),
        },
        N_("C_olours"),
        N_("Whose colours the picture has; the gallery's own styles are not recoloured"),
    )
    style_shape: str = _choice(
        "keep",
        {"keep": N_("Kept as it is"), "stretch": N_("Stretched to the picture's")},
        N_("Style's proportions"),
        N_("Whether a style picture is stretched to the proportions of the picture"),
    )
    content_weight: float = _number(
        1.0, 0.0, 100.0, N_("Content weight"), N_("Fine only: how firmly the photograph's shapes are held")
    )
    style_weight: float = _number(
        1.0, 0.0, 100.0, N_("Style weight"),
        N_("Fine only: how firmly the style's strokes and colours are sought"),
    )
    smoothness: float = _number(
        1.0, 0.0, 100.0, N_("Smoothness"), N_("Fine only: total variation; higher leaves less grain")
    )
    start: str = _choice(
        "fast",
        {"fast": N_("The fast method's picture"), "content": N_("The photograph"), "noise": N_("Noise")},
        N_("Start from"),
        N_("Fine only: what the first step begins with"),
    )
    optimizer: str = _choice(
        "l-bfgs",
        {"l-bfgs": N_("L-BFGS"), "adam": N_("Adam")},
        N_("Optimizer"),
        N_("Fine only: how the steps are chosen; Adam needs more of them and less memory"),
    )
    pooling: str = _choice(
        "max",
        {"max": N_("Maximum"), "average": N_("Average")},
        N_("Pooling"),
        N_("Fine only: how the network shrinks its features; the average is softer"),
    )
    tolerance: float = _number(
        0.002, 0.0, 0.1, N_("Tolerance"),
        N_("Fine only: a size ends when ten steps have gained less than this part; 0: never before its time"),
    )
    network: str = _choice(
        "vgg19",
        {
            "vgg19": N_("VGG19, normalised"),
            "vgg16": N_("VGG16"),
            "squeezenet": N_("SqueezeNet"),
            "inception-v3": N_("Inception v3"),
            "vgg19-torchvision": N_("VGG19, torchvision's own"),
            "vgg16-torchvision": N_("VGG16, torchvision's own"),
            "resnet50": N_("ResNet-50, torchvision's own"),
        },
        N_("Network"),
        N_("Fine only: the network whose features compare the pictures"),
    )
    content_layers: str = _text(
        weights_by_name, N_("Content layers"),
        N_("Fine only: layers that hold the shapes, as in relu4_2 or relu3_1:0.5, relu4_2;"
           " nothing: the network's usual ones"),
    )
    style_layers: str = _text(
        weights_by_name, N_("Style layers"),
        N_("Fine only: layers that seek the style, as in relu1_1, relu2_1:0.5;"
           " nothing: the network's usual ones"),
    )
    style_weights: str = _text(
        weights_in_order, N_("Styles' weights"),
        N_("How much each style picture counts, in their order, as in 2, 1; nothing: all the same"),
    )
    gallery_style: str = _choice(
        next(iter(GALLERY)), GALLERY, N_("Gallery style"), N_("Gallery only: the built-in style")
    )
    gallery_mix: str = _text(
        gallery_mix, N_("Mixed with"),
        N_("Gallery only: other built-in styles and their weights beside the first one's 1, as in name:0.5"),
    )
    seed: int = _seed()
    device: str = _device()

    @property
    def working_px(self) -> int:
        """The longest side that is painted at, in pixels."""
        return max(SMALLEST_PX, self.size or QUALITIES[self.method][self.quality].working_px)

    @property
    def steps(self) -> int:
        """The steps of the fine method over all sizes; 1 for the others."""
        steps = QUALITIES[self.method][self.quality].steps
        return self.iterations or steps if self.method == "fine" else steps

    @property
    def picture_px(self) -> int:
        """The longest side at which a style picture is of use, in pixels."""
        return round(self.working_px * self.style_size)

    @property
    def needs_style(self) -> bool:
        """Whether there must be a style picture."""
        return self.method != "gallery"


# ── DeepDream ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class DeepDream(Request):
    """Strengthen what a network sees in the picture, from its strokes to its eyes and snouts."""

    name = "deepdream"
    only = (
        Only(("layers",), "objective", ("activation", "guide")),
        Only(("channels",), "objective", ("activation",)),
        Only(("imagenet_class",), "objective", ("class",)),
    )
    objective: str = _choice(
        "activation",
        {
            "activation": N_("What the layers see in it"),
            "class": N_("A class of ImageNet"),
            "guide": N_("What the guide picture has"),
        },
        N_("_Dream of"),
        N_("What becomes stronger in the picture"),
    )
    network: str = _choice(
        "inception-v3",
        {
            "inception-v3": N_("Inception v3"),
            "squeezenet": N_("SqueezeNet 1.1"),
            "vgg19": N_("VGG19, normalised"),
            "vgg16": N_("VGG16"),
            "googlenet": N_("GoogLeNet, torchvision's own"),
            "resnet50": N_("ResNet-50, torchvision's own"),
            "inception-v3-torchvision": N_("Inception v3, torchvision's own"),
        },
        N_("Network"),
        N_("The network that dreams"),
    )
    layers: str = _text(
        weights_by_name, N_("La_yers"),
        N_("Layers that dream, as in Mixed_5d or Mixed_5b, Mixed_6a:0.5; deeper ones see larger things;"
           " nothing: the network's usual one"),
    )
    channels: str = _text(
        channel_range, N_("Channels"),
        N_("Which of the layers' channels dream, as in 12 or 12-20; nothing: all"),
    )
    imagenet_class: str = _text(
        str.strip, N_("Class"),
        N_("The class of ImageNet that is dreamt of: its name or its number; SqueezeNet knows classes,"
           " and so do torchvision's own networks"),
    )
    start: str = _choice(
        "picture",
        {"picture": N_("The picture"), "noise": N_("Noise: shows what the network looks for")},
        N_("Start from"),
        N_("What is dreamt upon; noise takes the layer's place, which may be blank"),
    )
    strength: float = _number(
        1.0, 0.0, 1.0, N_("S_trength"), N_("How much of the dream is laid over the picture")
    )
    iterations: int = _number(
        10, 1, 500, N_("_Iterations"), N_("Steps of gradient ascent at each octave; more dream more")
    )
    step_size: float = _number(
        0.01, 0.001, 0.5, N_("Step size"), N_("How far one step changes the picture")
    )
    octaves: int = _number(
        4, 1, 12, N_("Oct_aves"), N_("Sizes dreamt at, coarse to fine; more give larger shapes")
    )
    octave_scale: float = _number(
        1.4, 1.1, 3.0, N_("Octave scale"), N_("Ratio between one octave's size and the next")
    )
    jitter: int = _number(
        32, 0, 256, N_("Jitter"), N_("Random shift in pixels at every step; hides the network's grid")
    )
    smoothing: str = _choice(
        "none",
        {"none": N_("None"), "gaussian": N_("Gaussian"), "laplacian": N_("Laplacian pyramid")},
        N_("Smoothing"),
        N_("What keeps grain out of the dream"),
    )
    colours: str = _choice(
        "dreamt",
        {"dreamt": N_("The dream's"), "kept": N_("The picture's; only light and dark are dreamt")},
        N_("Colours"),
        N_("Whose colours the picture has; noise has none to keep, and stays gray"),
    )
    zoom: float = _number(
        1.0, 1.0, 1.5, N_("Zoom"), N_("How much the picture is enlarged before it is dreamt upon")
    )
    size: int = _number(
        1024, 64, 16384, N_("Working size"),
        N_("Longest side in pixels at which the dream is made; a larger layer keeps its own fine detail"),
    )
    seed: int = _seed()
    device: str = _device()

    @property
    def picture_px(self) -> int:
        """The longest side at which a guide picture is of use, in pixels."""
        return self.size

    @property
    def needs_style(self) -> bool:
        """Whether there must be a guide picture, which travels as a style."""
        return self.objective == "guide"


FRAMES = Number(
    "frames", N_("_Frames"),
    N_("Dreams of dreams: each frame is the last one, zoomed and dreamt upon again"),
    1, 1, 500,
)


@dataclass(frozen=True)
class Identity(Request):
    """Give the picture back as it came: a test of everything but the networks."""

    name = "identity"


REQUESTS: dict[str, type[Request]] = {kind.name: kind for kind in (StyleTransfer, DeepDream, Identity)}


def settings(request: type[Request]) -> Iterator[Setting]:
    """The settings of a kind of request, in the order a person reads them."""
    for field in dataclasses.fields(request):
        values = dict(field.metadata)
        kind: type[Number] | type[Choice] | type[Text] = values.pop("kind")
        default: Any = field.default
        yield kind(name=field.name, default=default, **values)
