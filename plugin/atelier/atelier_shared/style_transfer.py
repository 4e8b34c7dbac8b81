"""The settings of style transfer, with every default and range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .deferred_translation import N_
from .gallery_styles import GALLERY
from .request import Only, Request, device_setting, seed_setting
from .settings import choice, number, text
from .text_settings import gallery_mix, weights_by_name, weights_in_order


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
    method: str = choice(
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
    quality: str = choice(
        "good",
        {"draft": N_("Draft"), "good": N_("Good"), "best": N_("Best")},
        N_("_Quality"),
        N_("How large and in how many steps the picture is painted"),
    )
    strength: float = number(
        1.0, 0.0, 1.0, N_("S_trength"), N_("How far the picture leaves the photograph for the style")
    )
    style_size: float = number(
        1.0, 0.25, 4.0, N_("Style si_ze"), N_("How large the strokes are, beside the picture")
    )
    size: int = number(
        0,
        0,
        16384,
        N_("Working size"),
        N_(
            "Longest side in pixels at which the style is painted; 0: as the quality says. A larger layer"
            " keeps its own fine detail"
        ),
    )
    iterations: int = number(
        0,
        0,
        2000,
        N_("Iterations"),
        N_("Fine only: more steps come closer to the style and take longer; 0: as the quality says"),
    )
    colours: str = choice(
        "style",
        {
            "style": N_("The style's"),
            "luminance": N_("The photograph's; the style gives light and dark"),
            "matched": N_("The photograph's; the style is recoloured first"),
        },
        N_("C_olours"),
        N_("Whose colours the picture has; the gallery's own styles are not recoloured"),
    )
    style_shape: str = choice(
        "keep",
        {"keep": N_("Kept as it is"), "stretch": N_("Stretched to the picture's")},
        N_("Style's proportions"),
        N_("Whether a style picture is stretched to the proportions of the picture"),
    )
    content_weight: float = number(
        1.0, 0.0, 100.0, N_("Content weight"), N_("Fine only: how firmly the photograph's shapes are held")
    )
    style_weight: float = number(
        1.0,
        0.0,
        100.0,
        N_("Style weight"),
        N_("Fine only: how firmly the style's strokes and colours are sought"),
    )
    smoothness: float = number(
        1.0, 0.0, 100.0, N_("Smoothness"), N_("Fine only: total variation; higher leaves less grain")
    )
    start: str = choice(
        "fast",
        {"fast": N_("The fast method's picture"), "content": N_("The photograph"), "noise": N_("Noise")},
        N_("Start from"),
        N_("Fine only: what the first step begins with"),
    )
    optimizer: str = choice(
        "l-bfgs",
        {"l-bfgs": N_("L-BFGS"), "adam": N_("Adam")},
        N_("Optimizer"),
        N_("Fine only: how the steps are chosen; Adam needs more of them and less memory"),
    )
    pooling: str = choice(
        "max",
        {"max": N_("Maximum"), "average": N_("Average")},
        N_("Pooling"),
        N_("Fine only: how the network shrinks its features; the average is softer"),
    )
    tolerance: float = number(
        0.002,
        0.0,
        0.1,
        N_("Tolerance"),
        N_("Fine only: a size ends when ten steps have gained less than this part; 0: never before its time"),
    )
    network: str = choice(
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
    content_layers: str = text(
        weights_by_name,
        N_("Content layers"),
        N_(
            "Fine only: layers that hold the shapes, as in relu4_2 or relu3_1:0.5, relu4_2;"
            " nothing: the network's usual ones"
        ),
    )
    style_layers: str = text(
        weights_by_name,
        N_("Style layers"),
        N_(
            "Fine only: layers that seek the style, as in relu1_1, relu2_1:0.5;"
            " nothing: the network's usual ones"
        ),
    )
    style_weights: str = text(
        weights_in_order,
        N_("Styles' weights"),
        N_("How much each style picture counts, in their order, as in 2, 1; nothing: all the same"),
    )
    gallery_style: str = choice(
        next(iter(GALLERY)), GALLERY, N_("Gallery style"), N_("Gallery only: the built-in style")
    )
    gallery_mix: str = text(
        gallery_mix,
        N_("Mixed with"),
        N_("Gallery only: other built-in styles and their weights beside the first one's 1, as in name:0.5"),
    )
    seed: int = seed_setting()
    device: str = device_setting()

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
