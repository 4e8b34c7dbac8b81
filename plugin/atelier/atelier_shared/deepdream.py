"""The settings of DeepDream, with every default and range."""

from __future__ import annotations

from dataclasses import dataclass

from .deferred_translation import N_
from .request import Only, Request, device_setting, seed_setting
from .settings import Number, choice, number, text
from .text_settings import channel_range, weights_by_name


@dataclass(frozen=True)
class DeepDream(Request):
    """Strengthen what a network sees in the picture, from its strokes to its eyes and snouts."""

    name = "deepdream"
    only = (
        Only(("layers",), "objective", ("activation", "guide")),
        Only(("channels",), "objective", ("activation",)),
        Only(("imagenet_class",), "objective", ("class",)),
    )
    objective: str = choice(
        "activation",
        {
            "activation": N_("What the layers see in it"),
            "class": N_("A class of ImageNet"),
            "guide": N_("What the guide picture has"),
        },
        N_("_Dream of"),
        N_("What becomes stronger in the picture"),
    )
    network: str = choice(
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
    layers: str = text(
        weights_by_name,
        N_("La_yers"),
        N_(
            "Layers that dream, as in Mixed_5d or Mixed_5b, Mixed_6a:0.5; deeper ones see larger things;"
            " nothing: the network's usual one"
        ),
    )
    channels: str = text(
        channel_range,
        N_("Channels"),
        N_("Which of the layers' channels dream, as in 12 or 12-20; nothing: all"),
    )
    imagenet_class: str = text(
        str.strip,
        N_("Class"),
        N_(
            "The class of ImageNet that is dreamt of: its name or its number; SqueezeNet knows classes,"
            " and so do torchvision's own networks"
        ),
    )
    start: str = choice(
        "picture",
        {"picture": N_("The picture"), "noise": N_("Noise: shows what the network looks for")},
        N_("Start from"),
        N_("What is dreamt upon; noise takes the layer's place, which may be blank"),
    )
    strength: float = number(
        1.0, 0.0, 1.0, N_("S_trength"), N_("How much of the dream is laid over the picture")
    )
    iterations: int = number(
        10, 1, 500, N_("_Iterations"), N_("Steps of gradient ascent at each octave; more dream more")
    )
    step_size: float = number(0.01, 0.001, 0.5, N_("Step size"), N_("How far one step changes the picture"))
    octaves: int = number(
        4, 1, 12, N_("Oct_aves"), N_("Sizes dreamt at, coarse to fine; more give larger shapes")
    )
    octave_scale: float = number(
        1.4, 1.1, 3.0, N_("Octave scale"), N_("Ratio between one octave's size and the next")
    )
    jitter: int = number(
        32, 0, 256, N_("Jitter"), N_("Random shift in pixels at every step; hides the network's grid")
    )
    smoothing: str = choice(
        "none",
        {"none": N_("None"), "gaussian": N_("Gaussian"), "laplacian": N_("Laplacian pyramid")},
        N_("Smoothing"),
        N_("What keeps grain out of the dream"),
    )
    colours: str = choice(
        "dreamt",
        {"dreamt": N_("The dream's"), "kept": N_("The picture's; only light and dark are dreamt")},
        N_("Colours"),
        N_("Whose colours the picture has; noise has none to keep, and stays gray"),
    )
    zoom: float = number(
        1.0, 1.0, 1.5, N_("Zoom"), N_("How much the picture is enlarged before it is dreamt upon")
    )
    size: int = number(
        1024,
        64,
        16384,
        N_("Working size"),
        N_("Longest side in pixels at which the dream is made; a larger layer keeps its own fine detail"),
    )
    seed: int = seed_setting()
    device: str = device_setting()

    @property
    def picture_px(self) -> int:
        """The longest side at which a guide picture is of use, in pixels."""
        return self.size

    @property
    def needs_style(self) -> bool:
        """Whether there must be a guide picture, which travels as a style."""
        return self.objective == "guide"


FRAMES = Number(
    "frames",
    N_("_Frames"),
    N_("Dreams of dreams: each frame is the last one, zoomed and dreamt upon again"),
    1,
    1,
    500,
)
