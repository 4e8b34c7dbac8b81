"""Visualisation of what makes parts of a network respond: channels of a layer, or classes.

Each picture begins as faint noise and is optimised until its unit, a channel or a class, responds strongly.

Source: Olah, Mordvintsev and Schubert 2017, *Feature Visualization*, Distill
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from atelier_shared.contact_sheet import ContactSheet
from atelier_shared.sizes import Size

from ..imaging.resize import resize
from ..imaging.step import Step, Steps
from ..networks.feature_network import FeatureNetwork
from .fourier_image import images_of, random_coefficients
from .transformations import LARGEST_NOISE, random_transformation
from .vignette import GREY, faded

BATCH_PX = 2 * 224 * 224
"""Pixels of the pictures that are optimised together; this limits the memory."""
LAST_STEP = 0.1
"""Size of the last step in proportion to the first."""
WEIGHT_DECAY = 0.08
"""Of AdamW. It limits the contrast; unlike a penalty, it does not depend on the size of the responses."""
NEWEST = 0.05
"""Weight of the newest coefficients in their mean."""


@dataclass(frozen=True)
class Units:
    """The parts of a network to visualise: channels of one layer.

    In the layer of a classifier, the channels are classes.
    """

    network: FeatureNetwork
    layer: str
    channels: Sequence[int]

    def responses(self, images: Tensor) -> Tensor:
        """Compute the mean response of each unit to the image of its number, (n, 3, h, w) to (n,)."""
        features = self.network.features(images, [self.layer])[self.layer]  # (n, C, h', w')
        numbers = torch.arange(len(self.channels), device=images.device)
        return features[numbers, list(self.channels)].mean(dim=(1, 2))

    def part(self, start: int, count: int) -> Units:
        """Return `count` of the units from number `start` on, or fewer at the end."""
        return Units(self.network, self.layer, self.channels[start : start + count])


@dataclass(frozen=True)
class VisualisationSettings:
    """The settings of a visualisation, independent of the network.

    Attributes:
        iterations: steps of Adam for each picture, at least 1.
        step_size: of Adam, above 0.
        robustness: range of the random views and of the noise in them, from 0 (none) to 1 (the full range).
        decay: how fast amplitudes fall with the frequency; above 1, the pictures have less grain.
        saturation: factor of the colours' differences, at least 0.
        vignette: whether the pictures fade to grey at their border, for a single object in the centre.
        seed: of the first image and of the views.
    """

    iterations: int
    step_size: float
    robustness: float
    decay: float
    saturation: float
    vignette: bool
    seed: int


def visualise(
    units: Units,
    layout: ContactSheet,
    settings: VisualisationSettings,
    *,
    size: Size,
    device: torch.device,
    tile_scale: float = 1.0,
) -> Steps:
    """Make a picture of each unit, and yield the contact sheet of all pictures at every iteration.

    All pictures begin with the same noise and are seen in the same views, so none depends on the others.

    Args:
        units: channels or classes.
        layout: places and size of the pictures.
        settings: steps, robustness and colours.
        size: height and width that the finished sheet is resized to.
        device: the network's device.
        tile_scale: below 1 if memory is short; fewer pictures are then optimised together.
    """
    sheet = torch.full((1, 3, *layout.size), GREY, device=device)
    height, width = layout.cell
    together = max(1, int(BATCH_PX * tile_scale) // (height * width))
    starts = range(0, len(units.channels), together)
    total, index, finish_early = len(starts) * settings.iterations, 0, None
    for start in starts:
        for images in optimise(units.part(start, together), layout.cell, settings, device):
            for number, image in enumerate(images, start):
                sheet[(0, slice(None), *layout.place_of(number))] = image
            index += 1
            if index < total:
                finish_early = yield Step(index, total, sheet.clone())
            if finish_early:
                break
        if finish_early:
            break
    yield Step(total, total, resize(sheet, size).clamp(0, 1))


def optimise(
    units: Units, size: Size, settings: VisualisationSettings, device: torch.device
) -> Iterator[Tensor]:
    """Yield the images of the units, (n, 3, h, w), after each step of gradient ascent by Adam.

    They are made from the mean of the last coefficients: single steps add grain, because each has another
    view and other noise.
    """
    random = torch.Generator().manual_seed(settings.seed)
    first = random_coefficients(size, random).expand(len(units.channels), -1, -1, -1, -1)
    coefficients = first.to(device, copy=True).contiguous().requires_grad_()
    mean = torch.zeros_like(coefficients, requires_grad=False)
    optimizer = torch.optim.AdamW([coefficients], weight_decay=WEIGHT_DECAY)
    for iteration in range(settings.iterations):
        left = 1 - iteration / settings.iterations
        optimizer.param_groups[0]["lr"] = settings.step_size * (LAST_STEP + (1 - LAST_STEP) * left)
        optimizer.zero_grad()
        view = random_transformation(settings.robustness, random).of(pictures(coefficients, size, settings))
        noise = torch.randn(view[:1].shape, generator=random).to(device)
        view = view + noise * (LARGEST_NOISE * settings.robustness * left)
        units.responses(view).sum().neg().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        mean.lerp_(coefficients.detach(), max(1 / (iteration + 1), NEWEST))
        yield pictures(mean, size, settings)


def pictures(coefficients: Tensor, size: Size, settings: VisualisationSettings) -> Tensor:
    """Compute the pictures of coefficients, (n, 3, h, w)."""
    images = images_of(coefficients, size, settings.decay, settings.saturation)
    return faded(images) if settings.vignette else images
