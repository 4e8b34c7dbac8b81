"""The settings of DeepDream, with every default and range, and what follows from them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from .deferred_translation import N_
from .networks import DEEPDREAM, NETWORKS, network_options
from .request import (
    LARGEST_PREVIEW_PX,
    LARGEST_SEED,
    PREVIEW_PX,
    SMALLEST_PX,
    Condition,
    PaintingRequest,
    Preview,
    coherence_setting,
    device_setting,
    seed_setting,
)
from .schedule import dream_octaves
from .settings import Number, choice, number, text, within_bounds
from .sizes import fit, octave_sizes
from .text_settings import channel_range, weights_by_name

VISIBLE_OCTAVE_PX = 560
"""Longest side of the largest octave in a preview of the whole layer; finer ones would be seen reduced."""
FEWEST_PREVIEW_STEPS = 3
LARGEST_PREVIEW_STEP = 3.0
"""A preview has fewer steps, each up to so many times as large."""


@dataclass(frozen=True)
class DeepDream(PaintingRequest):
    """Strengthen what a network sees in the picture, from strokes to eyes and snouts."""

    name = "deepdream"
    command = "dream"
    purpose = N_("amplify the patterns that a network recognises in a picture")
    picture_missing = N_("Choose a guide picture first.")
    conditions = (
        Condition(("layers",), "objective", ("activation", "guide")),
        Condition(("channels",), "objective", ("activation",)),
        Condition(("imagenet_class",), "objective", ("class",)),
    )
    objective: str = choice(
        "activation",
        {
            "activation": N_("What the network sees in the picture"),
            "class": N_("A kind of thing (a class of ImageNet)"),
            "guide": N_("The features of the guide picture"),
        },
        N_("_Dream of"),
        N_("What becomes stronger in the picture"),
    )
    network: str = choice(
        "inception-v3",
        network_options(DEEPDREAM, "inception-v3"),
        N_("Network"),
        N_("The network that dreams"),
    )
    layers: str = text(
        weights_by_name,
        N_("Network la_yers"),
        N_(
            "Layers of the network that dream, such as Mixed_5d or Mixed_5b, Mixed_6a:0.5; deeper layers"
            " see larger things;"
            " empty: the network's default"
        ),
    )
    channels: str = text(
        channel_range,
        N_("Network channels"),
        N_("The channels of the network's layers that dream, such as 12 or 12-20; empty: all"),
    )
    imagenet_class: str = text(
        str.strip,
        N_("Class"),
        N_(
            "The ImageNet class to dream of, by name or number; only EfficientNet-Lite0, SqueezeNet and some"
            " of torchvision's own networks have classes"
        ),
    )
    start: str = choice(
        "picture",
        {"picture": N_("The picture"), "noise": N_("Noise: shows what the network looks for")},
        N_("Start from"),
        N_("The picture before the first step; noise replaces the layer, even a blank one"),
    )
    strength: float = number(
        1.0, 0.0, 1.0, N_("S_trength"), N_("How much of the dream is added to the picture")
    )
    iterations: int = number(
        10, 1, 500, N_("_Iterations"), N_("Steps at each octave; more steps give a stronger dream")
    )
    step_size: float = number(0.01, 0.001, 0.5, N_("Step size"), N_("How far one step changes the picture"))
    octaves: int = number(
        4, 1, 12, N_("Oct_aves"), N_("Number of sizes from coarse to fine; more octaves give larger shapes")
    )
    octave_scale: float = number(
        1.4, 1.1, 3.0, N_("Octave scale"), N_("Ratio of each octave's size to the one before")
    )
    jitter: int = number(
        32, 0, 256, N_("Jitter"), N_("Random shift in pixels at every step; hides the network's grid")
    )
    smoothing: str = choice(
        "none",
        {"none": N_("None"), "gaussian": N_("Gaussian"), "laplacian": N_("Laplacian pyramid")},
        N_("Smoothing"),
        N_("Removes grain from the dream"),
    )
    colours: str = choice(
        "dreamt",
        {"dreamt": N_("From the dream"), "kept": N_("From the picture; only the brightness is dreamt")},
        N_("Colours"),
        N_("The colours of the result; noise has none to keep and stays grey"),
    )
    zoom: float = number(
        1.0, 1.0, 1.5, N_("Zoom"), N_("How much the picture is enlarged before each dream; 1.05 is 5 %")
    )
    size: int = number(
        1024,
        SMALLEST_PX,
        16384,
        N_("Working size"),
        N_("Longest side, in pixels, of the last octave with all iterations"),
    )
    largest_octave: str = choice(
        "layer",
        {"layer": N_("The layer's own size"), "working": N_("The working size, quicker")},
        N_("Largest octave"),
        N_(
            "A layer larger than the working size gets more octaves with fewer iterations, up to its own"
            " size; without them, it keeps its own fine detail"
        ),
    )
    coherence: float = coherence_setting()
    further_iterations: int = number(
        1,
        1,
        500,
        N_("Iterations of further frames"),
        N_("In animations and zooms: steps at each octave for each frame after the first"),
    )
    seed: int = seed_setting()
    device: str = device_setting()

    @property
    def working_px(self) -> int:
        """Longest side, in pixels, of the dream."""
        return self.size

    @property
    def needs_picture(self) -> bool:
        """Whether a guide picture is required."""
        return self.objective == "guide"

    @property
    def keeps_colours(self) -> bool:
        """Whether only the luminance is dreamt."""
        return self.colours == "kept"

    @property
    def is_opaque(self) -> bool:
        """Whether noise replaces the layer, its transparent pixels included."""
        return self.start == "noise"

    def work(self, width: int, height: int) -> float:
        """Return the pixel-steps over all octaves; a step has one gradient for each layer."""
        layers = 1 if self.objective == "class" else max(1, len(weights_by_name(self.layers)))
        ladder = dream_octaves(
            (height, width),
            self.size,
            self.octaves,
            self.octave_scale,
            self.iterations,
            self.largest_octave == "layer",
        )
        return layers * float(sum(rows * columns * steps for (rows, columns), steps in ladder))

    @property
    def usual_speed(self) -> float:
        """Pixel-steps per second on two processor cores."""
        return 2.0 * NETWORKS[self.network].work_in_half_second

    def kind_of_job(self, device: str) -> str:
        """Return the network and the device."""
        return " ".join(filter(None, (self.name, self.network, device)))

    def previews(self, width: int, height: int, part: float = 1.0) -> list[Preview]:
        """Return a quick dream, and one with all octaves that a preview can show, at their own sizes."""
        exact = self._detail(part) if part < 1 else self._visible_octaves(height, width)
        quick = exact._quicker(width, height)
        content_px = LARGEST_PREVIEW_PX if part < 1 else max(exact.size, PREVIEW_PX)
        return [Preview(request, content_px) for request in ((exact,) if quick == exact else (quick, exact))]

    def _detail(self, part: float) -> DeepDream:
        """Return the request for a detail at full size."""
        return replace(self, size=max(SMALLEST_PX, round(self.size * part)))

    def _visible_octaves(self, height: int, width: int) -> DeepDream:
        """Leave out the octaves above VISIBLE_OCTAVE_PX, except the coarsest."""
        largest = fit((height, width), self.size)
        octaves = octave_sizes(largest, self.octaves, self.octave_scale)
        visible = [size for size in octaves if max(size) <= VISIBLE_OCTAVE_PX] or octaves[:1]
        size = min(LARGEST_PREVIEW_PX, max(visible[-1]))
        return replace(self, size=max(SMALLEST_PX, size), octaves=len(visible), largest_octave="working")

    def _quicker(self, width: int, height: int) -> DeepDream:
        """Return a request with fewer octaves, and fewer and larger steps, that takes half a second."""
        affordable = NETWORKS[self.network].work_in_half_second
        if self.work(width, height) <= affordable:
            return self
        coarsest = octave_sizes(fit((height, width), self.size), self.octaves, self.octave_scale)[0]
        quick = replace(self, size=max(SMALLEST_PX, *coarsest), octaves=1, largest_octave="working")
        one_step = replace(quick, iterations=1).work(width, height)
        steps = min(self.iterations, max(FEWEST_PREVIEW_STEPS, int(affordable / one_step)))
        scale = math.sqrt(min(1.0, affordable / (steps * one_step)))
        size = max(SMALLEST_PX, int(quick.size * scale))
        larger = min(LARGEST_PREVIEW_STEP, self.iterations / steps)
        step_size = within_bounds(DeepDream, "step_size", self.step_size * larger)
        return replace(quick, size=size, iterations=steps, step_size=step_size)

    @property
    def is_coherent(self) -> bool:
        """Whether each frame of an animation follows the one before it."""
        return self.coherence > 0

    def further_share(self, width: int, height: int) -> float:
        """Return the work of each further frame of an animation, in proportion to the first one's."""
        return self.for_next_frame().work(width, height) / self.work(width, height)

    def for_frame(self, number: int) -> DeepDream:
        """Return the same with another seed for each frame, so that the network's grid does not add up."""
        return replace(self, seed=(self.seed + number) % (LARGEST_SEED + 1))

    def for_next_frame(self) -> DeepDream:
        """Return the request that continues from the last frame: fewer steps, other shifts, no noise."""
        return replace(self.for_frame(1), start="picture", iterations=self.further_iterations)

    def subject(self, picture_name: str) -> str:
        """Return the guide's name, the class, the layers or the network."""
        if self.needs_picture:
            return picture_name
        return self.imagenet_class if self.objective == "class" else self.layers or self.network


FRAMES = Number(
    "frames",
    N_("_Frames"),
    N_("Each frame is the previous one, zoomed and dreamt upon again"),
    1,
    1,
    500,
)
