"""The amount of a dream, coarse and fine, which stays the same over the frames of an animation.

Each frame adds to the dream that it carries along, so the dream would grow. And each frame moves it between
the pixels, which blurs its fine detail a little. So both bands are scaled to the amount of the frame before.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .gradient_smoothing import gaussian

ROUNDS, LARGEST_GROWTH = 4, 1.1
"""Rounds of scaling, and the most that each of them enlarges a band."""
TINY = 1e-12


def with_amount_of(change: Tensor, image: Tensor, content: Tensor, region: Tensor) -> Tensor:
    """Scale the bands of a dream, (1, 3, H, W) in [0, 1], to the amounts of another one.

    Clamping to [0, 1] takes a part of the dream away, so the scales are corrected a few times.

    Args:
        change: from content to image in the other dream, (1, 3, H, W).
        image: the dream.
        content: the picture without it, (1, 3, H, W).
        region: 1 where the amounts are measured, 0 elsewhere, (1, 1, H, W).
    """
    wanted, bands = amounts(change, region), torch.cat(bands_of(image - content))
    scales, scaled = torch.ones_like(wanted), image
    for _ in range(ROUNDS):
        present = amounts(scaled - content, region).clamp_min(TINY)
        scales = scales * (wanted / present).clamp_max(LARGEST_GROWTH)
        scaled = (content + (scales * bands).sum(0, keepdim=True)).clamp_(0, 1)
    return scaled


def amounts(change: Tensor, region: Tensor) -> Tensor:
    """Return the root mean squares of both bands of a change (1, 3, H, W) in the region, (2, 1, 1, 1)."""
    power = torch.cat(bands_of(change)).square().mul_(region).mean((1, 2, 3), keepdim=True)
    return (power / region.mean()).sqrt()


def bands_of(change: Tensor) -> tuple[Tensor, Tensor]:
    """Split a change (1, 3, H, W) into its coarse and its fine part."""
    coarse = gaussian(change)
    return coarse, change - coarse
