"""The settings of the visualisation of channels and classes, with every default and range."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .contact_sheet import ContactSheet, contact_sheet
from .deferred_translation import N_
from .imagenet_classes import class_indices
from .networks import NETWORKS, VISUALISE, network_options
from .request import (
    LARGEST_PREVIEW_PX,
    PREVIEW_PX,
    SMALLEST_PX,
    Condition,
    PaintingRequest,
    Preview,
    device_setting,
    seed_setting,
)
from .settings import Number, choice, number, text
from .text_settings import channel_range

TYPICAL_CHANNELS = 256
"""Channels of a layer for the estimate of the time, because only the backend knows their number."""
PREVIEW_CHANNELS = "0-15"
"""Channels in the preview of a whole layer; no layer has fewer."""
VISUALISATION_PREVIEW_PX = 96
FEWEST_PREVIEW_STEPS = 16
LONGEST_PREVIEW_S = 30.0
"""Usual duration of the longest run that is previewed as it is."""
PREVIEW_LENGTH = 8
"""Half seconds for the second preview."""


@dataclass(frozen=True)
class Visualise(PaintingRequest):
    """Show what makes parts of a network respond: classes, or channels of a layer."""

    name = "visualise"
    command = "visualise"
    purpose = N_("show what a network looks for: classes of things side by side, or all channels of a layer")
    needs_content = False
    conditions = (
        Condition(("classes",), "units", ("classes",)),
        Condition(("layer", "channels"), "units", ("channels",)),
    )
    units: str = choice(
        "classes",
        {"classes": N_("Kinds of things (classes of ImageNet)"), "channels": N_("Channels of a layer")},
        N_("Sho_w"),
        N_("What the pictures show: classes of things, or the channels of a layer"),
    )
    classes: str = text(
        class_indices,
        N_("Class_es"),
        N_("ImageNet classes, by name or number, such as starfish, banana; each gets a picture"),
        default="starfish",
    )
    network: str = choice(
        "efficientnet-lite0",
        network_options(VISUALISE, "efficientnet-lite0"),
        N_("Network"),
        N_("The network that is shown; for classes, one with a classifier"),
    )
    layer: str = text(
        str.strip,
        N_("Network la_yer"),
        N_("The layer whose channels are shown; empty: the network's default"),
    )
    channels: str = text(
        channel_range,
        N_("Network channels"),
        N_("Channels of the layer, such as 12 or 12-20; empty: all, as a contact sheet"),
    )
    iterations: int = number(192, 1, 2000, N_("_Iterations"), N_("Steps of the optimisation of each picture"))
    step_size: float = number(0.25, 0.01, 2.0, N_("Step size"), N_("Size of the first step"))
    robustness: float = number(
        1.0,
        0.0,
        2.0,
        N_("Robustness"),
        N_("How much each step shifts, turns and scales the picture; 0 gives grain"),
    )
    smoothness: float = number(
        1.6, 0.0, 2.0, N_("S_moothness"), N_("Higher values give larger shapes and less grain")
    )
    saturation: float = number(1.5, 0.0, 3.0, N_("Satur_ation"), N_("How colourful the pictures are"))
    size: int = number(
        224,
        SMALLEST_PX,
        1024,
        N_("Picture size"),
        N_("Longest side, in pixels, at which each picture is made"),
    )
    seed: int = seed_setting()
    device: str = device_setting()

    @property
    def is_opaque(self) -> bool:
        """True: the sheet replaces the layer, its transparent pixels included."""
        return True

    def sheet(self, count: int, width: int, height: int) -> ContactSheet:
        """Lay out `count` pictures on a layer of `width` × `height` pixels."""
        return contact_sheet(count, (height, width), self.size, NETWORKS[self.network].minimum_px)

    def work(self, width: int, height: int) -> float:
        """Return the pixel-steps of all pictures."""
        count = self._count()
        rows, columns = self.sheet(count, width, height).cell
        return float(count * rows * columns * self.iterations)

    def _count(self) -> int:
        """Return the number of pictures; that of a whole layer's is estimated."""
        if self.units == "classes":
            return len(class_indices(self.classes))
        return len(channel_range(self.channels) or range(TYPICAL_CHANNELS))

    @property
    def usual_speed(self) -> float:
        """Pixel-steps per second on two processor cores."""
        return 2.0 * NETWORKS[self.network].work_in_half_second

    def kind_of_job(self, device: str) -> str:
        """Return the network and the device."""
        return " ".join(filter(None, (self.name, self.network, device)))

    def previews(self, width: int, height: int, part: float = 1.0) -> list[Preview]:
        """Return the run itself if it is short enough, otherwise first steps of small pictures, then more.

        Another size or number of steps makes another picture, because small differences grow from step to
        step. Of a whole layer, only the first channels are shown.
        """
        if self.usual_seconds(width, height) <= LONGEST_PREVIEW_S:
            return [Preview(self, LARGEST_PREVIEW_PX)]
        channels = self.channels or PREVIEW_CHANNELS
        small = replace(self, channels=channels, size=min(self.size, VISUALISATION_PREVIEW_PX))
        one_step = replace(small, iterations=1).work(width, height)
        affordable = int(NETWORKS[self.network].work_in_half_second / one_step)
        fewest = min(self.iterations, FEWEST_PREVIEW_STEPS)
        steps = min(self.iterations, max(fewest, PREVIEW_LENGTH * affordable))
        return [
            Preview(replace(small, iterations=count), PREVIEW_PX) for count in dict.fromkeys((fewest, steps))
        ]

    def subject(self, picture_name: str) -> str:
        """Return the classes, or the layer and its channels."""
        if self.units == "classes":
            return self.classes
        return " ".join(filter(None, (self.layer or NETWORKS[self.network].defaults.dream, self.channels)))


BLANK_SIDE = Number(
    "side",
    N_("Side"),
    N_("Side in pixels of the new picture, without a CONTENT that gives the size"),
    1024,
    SMALLEST_PX,
    16384,
)
