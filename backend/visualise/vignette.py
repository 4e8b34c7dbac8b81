"""A vignette that fades images to grey at their border: it pulls a single object to the centre.

A classifier averages over all positions, so without it the parts of several objects fill the image.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..imaging.resize import size_of

GREY = 0.5
INNER, OUTER = 0.4, 1.15
"""Radii, in halves of a side, between which the image fades."""


def faded(images: Tensor) -> Tensor:
    """Fade images (n, 3, h, w) to grey: unchanged within INNER, grey beyond OUTER."""
    height, width = size_of(images)
    down, across = (_centres(side).to(images) for side in (height, width))
    radius = (down[:, None].square() + across.square()).sqrt()  # (h, w)
    opacity = ((OUTER - radius) / (OUTER - INNER)).clamp(0, 1)
    smooth = opacity.square() * (3 - 2 * opacity)
    return torch.lerp(torch.full_like(images, GREY), images, smooth)


def _centres(side: int) -> Tensor:
    """Return the centres of `side` pixels, from the image's border at -1 to the other at 1."""
    return (2 * torch.arange(side) + 1) / side - 1
