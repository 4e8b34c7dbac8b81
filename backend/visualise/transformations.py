"""Random views of an image: reduced, turned and shifted.

A network also responds to noise without any meaning. Patterns that survive the views have one.

Differs from Olah et al. 2017: views are reduced, down to a half, and not enlarged. So an object is seen as a
whole; with enlarged views, its parts fill the image.

Source: Olah, Mordvintsev and Schubert 2017, *Feature Visualization*, Distill, section "Transformation
Robustness"
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from .vignette import GREY

LARGEST_TURN = math.radians(15)
LARGEST_SHIFT = 0.2
"""In halves of the image's side."""
SMALLEST_SCALE = 0.5
LARGEST_NOISE = 0.25
"""Standard deviation."""


@dataclass(frozen=True)
class Transformation:
    """A transformation of an image into a view of it.

    Attributes:
        scale: enlargement; below 1, grey surrounds the image.
        turn: angle in radians.
        shift: to the right and down, in halves of the image's side.
    """

    scale: float = 1.0
    turn: float = 0.0
    shift: tuple[float, ...] = (0.0, 0.0)

    def of(self, images: Tensor) -> Tensor:
        """Interpolate this view of images (n, C, h, w), to the same size, bilinearly."""
        height, width = images.shape[-2:]
        aspect = width / height
        cosine, sine = math.cos(self.turn) / self.scale, math.sin(self.turn) / self.scale
        x, y = self.shift
        # From a position in the view to one in the image, both from -1 to 1.
        rows = [
            [cosine, sine / aspect, -cosine * x - sine / aspect * y],
            [-sine * aspect, cosine, sine * aspect * x - cosine * y],
        ]
        matrix = torch.tensor([rows]).to(images).expand(len(images), -1, -1)
        grid = affine_grid(matrix, list(images.shape), align_corners=False)
        return grid_sample(images - GREY, grid, align_corners=False) + GREY


def random_transformation(robustness: float, generator: torch.Generator) -> Transformation:
    """Draw a view; with a robustness of 0 it is the image itself, with 1 it has the full range."""
    reduction, turn, right, down = torch.rand(4, generator=generator).tolist()
    return Transformation(
        scale=SMALLEST_SCALE ** (robustness * reduction),
        turn=LARGEST_TURN * robustness * (2 * turn - 1),
        shift=tuple(LARGEST_SHIFT * robustness * (2 * part - 1) for part in (right, down)),
    )
