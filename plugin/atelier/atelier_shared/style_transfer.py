"""The settings of style transfer, with every default and range, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from .deferred_translation import N_
from .errors import Wrong
from .gallery_styles import GALLERY
from .networks import NETWORKS, STYLE_TRANSFER, network_options
from .request import (
    LARGEST_PREVIEW_PX,
    PREVIEW_PX,
    SMALLEST_PX,
    Condition,
    PaintingRequest,
    Preview,
    coherence_setting,
    device_setting,
    fitted_pixels,
    seed_setting,
)
from .schedule import coarse_to_fine
from .settings import choice, number, text, within_bounds
from .sizes import doubled_sizes
from .text_settings import gallery_mix, weights_by_name, weights_in_order


class Effort(NamedTuple):
    """A quality's working size (longest side in pixels) and number of steps in all."""

    working_px: int
    steps: int


QUALITIES: dict[str, dict[str, Effort]] = {
    "fine": {"draft": Effort(512, 60), "good": Effort(1024, 120), "best": Effort(2048, 160)},
    "fast": {"draft": Effort(512, 1), "good": Effort(1024, 1), "best": Effort(2048, 1)},
    "gallery": {"draft": Effort(512, 1), "good": Effort(1024, 1), "best": Effort(2048, 1)},
    "light": {"draft": Effort(384, 1), "good": Effort(768, 1), "best": Effort(1536, 1)},
}
QUICK_PIXELS = 208_000
"""Pixels that Fast paints for a quick preview, with the work for the style: nearly a second on two cores. A
smaller painting differs more from the final one, because Fast's strokes do not grow with it."""
QUICK_STYLE = 0.8
"""Factor for the size of the styles in a quick preview. It matters less than the size of the painting."""
STYLE_WORK = 0.4
"""Work for a style picture of 5:4, in painted pixels: this share of the square of its longest side."""
FINE_PREVIEW_PX = 340
"""Longest side at which the steps of Fine are previewed; at the working size, they take minutes."""
REPAINTING_COST = {"fine": 0.06, "fast": 0.1, "gallery": 1.0, "light": 1.0}
"""Work to repaint a pixel, in pixel-steps of the method."""
USUAL_SPEED = {"fast": 2.2e5, "gallery": 3.4e6, "light": 2.0e6}
"""Pixel-steps per second on two processor cores."""
FURTHER_WORK = 0.3
"""Work of Fine for a further frame of an animation, in proportion to the first one's."""
FINE_PER_DREAM = 4.0
"""Pixel-steps of Fine per second, in proportion to those of a dream in half a second."""


def quick_px(width: int, height: int, style_size: float = 1.0) -> int:
    """Return the longest side of a quick preview by Fast for a layer of `width` × `height` pixels."""
    photo = min(width, height) / max(width, height)
    return round(math.sqrt(QUICK_PIXELS / (photo + STYLE_WORK * (QUICK_STYLE * style_size) ** 2)))


@dataclass(frozen=True)
class StyleTransfer(PaintingRequest):
    """Paint the content picture in the style of other pictures."""

    name = "style-transfer"
    command = "style"
    purpose = N_("paint a picture in the style of another")
    picture_missing = N_("Choose a style picture first.")
    conditions = (
        Condition(
            (
                *(
                    "iterations",
                    "content_weight",
                    "style_weight",
                    "smoothness",
                    "start",
                    "optimizer",
                ),
                *("pooling", "tolerance", "network", "content_layers", "style_layers", "seed"),
                *("further_iterations",),
            ),
            "method",
            ("fine",),
        ),
        Condition(("objective",), "method", ("fine", "fast")),
        Condition(("style_size", "style_shape", "style_weights"), "method", ("fine", "fast", "light")),
        Condition(("gallery_style", "gallery_mix"), "method", ("gallery",)),
    )
    method: str = choice(
        "fine",
        {
            "fine": N_("Fine: best quality, slow"),
            "fast": N_("Fast: one pass"),
            "gallery": N_("Gallery: one of 26 built-in styles"),
            "light": N_("Light: one pass, quickest"),
        },
        N_("_Method"),
        N_("Fine paints in many steps; Fast and Light paint in one; Gallery needs no style picture"),
    )
    quality: str = choice(
        "good",
        {"draft": N_("Draft (512 px)"), "good": N_("Good (1024 px)"), "best": N_("Best (2048 px)")},
        N_("_Quality"),
        N_("The working size (Light: three quarters of it) and, for Fine, the number of steps"),
    )
    strength: float = number(
        1.0, 0.0, 1.0, N_("S_trength"), N_("How far the picture changes from the photo to the style")
    )
    style_size: float = number(
        1.0, 0.25, 4.0, N_("Style si_ze"), N_("The size of the strokes in proportion to the picture")
    )
    size: int = number(
        0,
        0,
        16384,
        N_("Working size"),
        N_(
            "Longest side in pixels at which the style is painted; 0: set by the quality. A larger layer also"
            " gets finer strokes, down to its own pixels"
        ),
    )
    objective: str = choice(
        "neighbours",
        {"neighbours": N_("Nearest neighbours"), "statistics": N_("Statistics alone")},
        N_("Objective"),
        N_(
            "Fine and Fast: nearest neighbours keep faces and shapes better; statistics alone are Gatys et"
            " al. 2016 for Fine and AdaIN for Fast"
        ),
    )
    iterations: int = number(
        0,
        0,
        2000,
        N_("Iterations"),
        N_("Fine only: more steps come closer to the style and take longer; 0: set by the quality"),
    )
    colours: str = choice(
        "style",
        {
            "style": N_("From the style"),
            "luminance": N_("From the photo; the style changes only the brightness"),
            "matched": N_("From the photo; the style is recoloured first"),
        },
        N_("C_olours"),
        N_("The colours of the result; the gallery's own styles are not recoloured"),
    )
    photo_detail: float = number(
        0.0,
        0.0,
        1.0,
        N_("Photo detail"),
        N_("How much of the photo's finest detail is added to a painting larger than the working size"),
    )
    style_shape: str = choice(
        "keep",
        {"keep": N_("Kept"), "stretch": N_("Stretched to the picture's proportions")},
        N_("Style's proportions"),
        N_("Whether a style picture is stretched to the proportions of the picture"),
    )
    content_weight: float = number(
        1.0, 0.0, 100.0, N_("Content weight"), N_("Fine only: how strongly the photo's shapes are kept")
    )
    style_weight: float = number(
        1.0, 0.0, 100.0, N_("Style weight"), N_("Fine only: how strongly the style is applied")
    )
    smoothness: float = number(
        1.0, 0.0, 100.0, N_("Smoothness"), N_("Fine only: total variation; higher values leave less grain")
    )
    start: str = choice(
        "fast",
        {"fast": N_("The result of Fast"), "content": N_("The photo"), "noise": N_("Noise")},
        N_("Start from"),
        N_("Fine only: the picture before the first step"),
    )
    optimizer: str = choice(
        "l-bfgs",
        {"l-bfgs": N_("L-BFGS"), "adam": N_("Adam")},
        N_("Optimizer"),
        N_("Fine only: Adam needs more steps than L-BFGS and less memory"),
    )
    pooling: str = choice(
        "max",
        {"max": N_("Maximum"), "average": N_("Average")},
        N_("Pooling"),
        N_("Fine only: how the network reduces its features; average is softer"),
    )
    tolerance: float = number(
        0.002,
        0.0,
        0.1,
        N_("Tolerance"),
        N_(
            "Fine only: stop a size early when the loss improved by less than this fraction over ten steps;"
            " 0: never"
        ),
    )
    network: str = choice(
        "vgg19",
        network_options(STYLE_TRANSFER, "vgg19"),
        N_("Network"),
        N_("Fine only: the network whose features compare the pictures"),
    )
    content_layers: str = text(
        weights_by_name,
        N_("Content layers"),
        N_(
            "Fine only: layers that keep the shapes, such as relu4_2 or relu3_1:0.5, relu4_2;"
            " empty: the network's default"
        ),
    )
    style_layers: str = text(
        weights_by_name,
        N_("Style layers"),
        N_(
            "Fine only: layers that describe the style, such as relu1_1, relu2_1:0.5;"
            " empty: the network's default"
        ),
    )
    style_weights: str = text(
        weights_in_order,
        N_("Styles' weights"),
        N_("The weight of each style (file, layer, pattern, second style), such as 2, 1; empty: all equal"),
    )
    gallery_style: str = choice(
        next(iter(GALLERY)), GALLERY, N_("Gallery style"), N_("Gallery only: the built-in style")
    )
    gallery_mix: str = text(
        gallery_mix,
        N_("Mixed with"),
        N_("Gallery only: more built-in styles and their weights, such as name:0.5; the style above has 1"),
    )
    coherence: float = coherence_setting()
    further_iterations: int = number(
        0,
        0,
        2000,
        N_("Iterations of further frames"),
        N_(
            "Fine only, in animations: the steps of each frame after the first, all at the finest size;"
            " 0: a fraction of the first frame's work"
        ),
    )
    seed: int = seed_setting()
    device: str = device_setting()

    @property
    def working_px(self) -> int:
        """Longest side, in pixels, at which the style is painted."""
        return max(SMALLEST_PX, self.size or QUALITIES[self.method][self.quality].working_px)

    @property
    def steps(self) -> int:
        """Steps of the fine method over all sizes; 1 for the others."""
        steps = QUALITIES[self.method][self.quality].steps
        return self.iterations or steps if self.method == "fine" else steps

    @property
    def is_single_pass(self) -> bool:
        """Whether a network paints the picture at once, without iterations on its pixels."""
        return self.method != "fine"

    @property
    def is_coherent(self) -> bool:
        """Whether each frame of an animation follows the one before it."""
        return self.coherence > 0

    def further_steps(self, width: int, height: int) -> int:
        """Return the steps, at the finest size alone, of Fine for each further frame of an animation."""
        if self.further_iterations:
            return self.further_iterations
        finest = fitted_pixels(width, height, self.working_px)
        return max(1, round(FURTHER_WORK * self._painting_work(width, height) / finest))

    def further_share(self, width: int, height: int) -> float:
        """Return the work of each further frame of an animation, in proportion to the first one's."""
        first = self.work(width, height)
        if self.method != "fine" or not (self.is_coherent and first):
            return 1.0
        painting = self.further_steps(width, height) * fitted_pixels(width, height, self.working_px)
        return (painting + self._repainting_work(width, height)) / first

    @property
    def picture_px(self) -> int:
        """Longest side, in pixels, at which a style picture is useful."""
        return round(self.working_px * self.style_size)

    @property
    def needs_picture(self) -> bool:
        """Whether a style picture is required."""
        return self.method != "gallery"

    @property
    def recolours_pictures(self) -> bool:
        """Whether the styles get the photo's colours first."""
        return self.colours == "matched"

    @property
    def keeps_colours(self) -> bool:
        """Whether the style changes only the luminance."""
        return self.colours == "luminance"

    def picture_weights(self, count: int) -> Sequence[float]:
        """Return the weights of `count` style pictures.

        Raises:
            ValueError: `style_weights` has another number of weights.
        """
        weights = weights_in_order(self.style_weights) or [1.0] * count
        if len(weights) != count:
            template = N_("There are {weights} weights for {count} style pictures. Give one weight for each.")
            raise Wrong(template, weights=len(weights), count=count)
        return weights

    def work(self, width: int, height: int) -> float:
        """Return the pixel-steps: those of the painting, and those of repainting it at larger sizes."""
        if self.strength == 0:
            return 0.0
        return self._painting_work(width, height) + self._repainting_work(width, height)

    def painting_share(self, width: int, height: int) -> float:
        """Return the share of the work up to the working size; the strength must be above 0."""
        return self._painting_work(width, height) / self.work(width, height)

    def _painting_work(self, width: int, height: int) -> float:
        """Return the pixel-steps up to the working size: for fine, over all sizes from coarse to fine."""
        if self.method != "fine":
            return fitted_pixels(width, height, self.working_px)
        minimum_px = NETWORKS[self.network].minimum_px
        ladder = coarse_to_fine((height, width), self.working_px, self.steps, minimum_px)
        return float(sum(rows * columns * steps for (rows, columns), steps in ladder))

    def _repainting_work(self, width: int, height: int) -> float:
        """Return the pixel-steps at the larger sizes."""
        sizes = doubled_sizes((height, width), self.working_px)
        return sum(rows * columns for rows, columns in sizes) * REPAINTING_COST[self.method]

    @property
    def usual_speed(self) -> float:
        """Pixel-steps per second on two processor cores."""
        return USUAL_SPEED.get(self.method) or FINE_PER_DREAM * NETWORKS[self.network].work_in_half_second

    def kind_of_job(self, device: str) -> str:
        """Return the method, for fine also the network, and the device."""
        network = self.network if self.method == "fine" else ""
        return " ".join(filter(None, (self.name, self.method, network, device)))

    def previews(self, width: int, height: int, part: float = 1.0) -> list[Preview]:
        """Return the pictures of a preview, painted with the run's method and the run's size of strokes.

        Gallery and Light are as quick at the working size. Fast is first painted smaller. Fine shows its
        starting picture, which is Fast's, and then its own steps.
        """
        exact = self._preview(LARGEST_PREVIEW_PX, part)
        longest_px = quick_px(width, height, self.style_size / part)
        is_small = self.method == "fast" and round(self.working_px * part) <= longest_px
        if is_small or self.method in ("gallery", "light"):
            return [exact]
        by_fast = replace(self, method="fast", size=self.working_px)
        quick = by_fast._preview(longest_px, part, QUICK_STYLE)
        return [quick, self._preview(FINE_PREVIEW_PX, part) if self.method == "fine" else exact]

    def _preview(self, longest_px: int, part: float, style_factor: float = 1.0) -> Preview:
        """Return the preview painted at the working size, or at `longest_px` if that is smaller."""
        size = max(SMALLEST_PX, min(longest_px, round(self.working_px * part)))
        style_size = within_bounds(StyleTransfer, "style_size", style_factor * self.style_size / part)
        content_px = max(size, PREVIEW_PX) if part == 1 else LARGEST_PREVIEW_PX
        return Preview(replace(self, size=size, style_size=style_size), content_px)

    def subject(self, picture_name: str) -> str:
        """Return the style's name."""
        return picture_name if self.needs_picture else self.gallery_style
