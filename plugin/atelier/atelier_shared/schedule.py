"""The sizes at which a picture is made, from coarse to fine, and the steps at each of them.

The algorithms and the estimates of their durations both use this.
"""

from __future__ import annotations

import math

from .sizes import Size, enlarged_sizes, fit, octave_sizes

FEWER_ITERATIONS = 1.6
"""Above the working size, a dream's octave has so many times the iterations of the next one."""
COARSEST_PX = 64
"""Shortest side of the coarsest size; each size is twice the one before."""
COARSER_STEPS = 2.0
"""Each coarser size gets 1/COARSER_STEPS of the remaining steps; at the next size a step costs four times as
much."""
MOST_COARSER_STEPS = 30
"""Most steps of a coarser size: by then its large strokes are in place."""


def dream_octaves(
    picture: Size,
    longest_px: int,
    octaves: int,
    octave_scale: float,
    iterations: int,
    to_full_size: bool,
    minimum_px: int = 1,
) -> list[tuple[Size, int]]:
    """Return the sizes of a dream's octaves, and the iterations in each.

    Args:
        picture: height and width of the picture.
        longest_px: longest side of the largest octave with all iterations.
        octaves: number of octaves up to that size.
        octave_scale: ratio of each of these sizes to the one before.
        iterations: in each of these octaves.
        to_full_size: whether more octaves follow, up to the picture's own size. They have more pixels, so
            each has its iterations divided by FEWER_ITERATIONS once more.
        minimum_px: shortest side that the network accepts.
    """
    largest = fit(picture, longest_px, minimum_px)
    ladder = [(size, iterations) for size in octave_sizes(largest, octaves, octave_scale, minimum_px)]
    if to_full_size:
        for number, size in enumerate(enlarged_sizes(picture, max(largest), minimum_px), start=1):
            ladder.append((size, max(1, round(iterations / FEWER_ITERATIONS**number))))
    return ladder


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
