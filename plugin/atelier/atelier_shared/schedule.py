"""The sizes at which the fine method paints, from coarse to fine, and its steps at each of them.

The algorithm and the estimate of its duration both use this.
"""

from __future__ import annotations

import math

from .sizes import Size, fit, octave_sizes

COARSEST_PX = 64
"""Shortest side of the coarsest size; each size is twice the one before."""
COARSER_STEPS = 2.0
"""Each coarser size gets 1/COARSER_STEPS of the remaining steps; at the next size a step costs four times as
much."""
MOST_COARSER_STEPS = 30
"""Most steps of a coarser size: by then its large strokes are in place."""


def coarse_to_fine(content: Size, longest_px: int, steps: int, minimum_px: int) -> list[tuple[Size, int]]:
    """Return the sizes and the steps at each.

    Args:
        content: height and width of the content.
        longest_px: longest side of the finest size.
        steps: over all sizes; with fewer steps than sizes, the coarsest sizes are left out.
        minimum_px: shortest side that the network accepts.
    """
    shortest_px = max(COARSEST_PX, minimum_px)
    finest = fit(content, longest_px, minimum_px)
    sizes = octave_sizes(finest, 1 + int(math.log2(max(finest) / shortest_px)), 2.0, shortest_px)[-steps:]
    return list(zip(sizes, shared_out(steps, len(sizes)), strict=True))


def shared_out(steps: int, sizes: int) -> list[int]:
    """Share `steps` out over `sizes`, from coarse to fine, at least one step each; `steps` ≥ `sizes`."""
    shares, left = [], steps
    for finer in range(sizes - 1, 0, -1):
        shares.append(1 + min(MOST_COARSER_STEPS - 1, int((left - finer - 1) / COARSER_STEPS)))
        left -= shares[-1]
    return [*shares, left]
