"""Parts of a picture from which its statistics or its patches are taken, because the whole takes too long."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from atelier_shared.sizes import Size

from .tiles import Rectangle, tiles

ALIGNMENT_PX = 8
"""Sides of samples, and of the parts in which a picture is repainted, are multiples of this: the painters
reduce them to a quarter, and the patches of `style_detail` are 8 pixels apart."""
LEAST_SAMPLE_PX, SAMPLE_PX = 32, 256
"""Bounds of the sides of samples; a sample of a smaller picture includes its reflection."""
SAMPLES = 16
"""Most samples of a picture."""


def samples(size: Size, visible: Tensor | None) -> list[Rectangle]:
    """Choose samples of equal size, evenly among all parts with visible pixels; they can exceed the edges.

    Args:
        size: height and width of the picture.
        visible: visibility of the picture, (1, 1, H, W), not 0 everywhere; None for 1 everywhere.
    """
    height, width = (min(SAMPLE_PX, max(LEAST_SAMPLE_PX, aligned(side))) for side in size)
    corners = [tile.inner for tile in tiles(*size, side=SAMPLE_PX, halo=0, stride=ALIGNMENT_PX)]
    parts = [Rectangle(at.top, at.left, at.top + height, at.left + width) for at in corners]
    if visible is not None:
        are_seen = torch.stack([part.of(visible).any() for part in parts]).tolist()
        parts = [*itertools.compress(parts, are_seen)]
    chosen = torch.linspace(0, len(parts) - 1, min(SAMPLES, len(parts))).round().int()
    return [parts[number] for number in chosen.tolist()]


def aligned(length: int) -> int:
    """Round a length up to a multiple of ALIGNMENT_PX."""
    return -(-length // ALIGNMENT_PX) * ALIGNMENT_PX
