"""Sizes of pictures: reduced, enlarged, and from coarse to fine. Pure numbers."""

from __future__ import annotations

import math

Size = tuple[int, int]
"""Height and width in pixels."""
MOST_ENLARGEMENT = 2.0
"""Largest ratio of two successive sizes on the way from the working size to the layer's own."""


def fit(size: Size, longest_px: int, shortest_px: int = 1) -> Size:
    """Reduce `size` to a longest side of at most `longest_px`, keeping its proportions.

    A side shorter than `shortest_px`, the least that a network accepts, becomes that long.
    """
    return scaled(size, min(longest_px, max(size)), shortest_px)


def scaled(size: Size, longest_px: int, shortest_px: int = 1) -> Size:
    """Reduce or enlarge `size` to a longest side of `longest_px`, with no side below `shortest_px`."""
    scale = longest_px / max(size)
    height, width = (max(shortest_px, round(side * scale)) for side in size)
    return height, width


def octave_sizes(size: Size, octaves: int, octave_scale: float, shortest_px: int = 1) -> list[Size]:
    """Return sizes from coarse to fine, each `octave_scale` times the one before; the last one is `size`.

    Sizes with a side shorter than `shortest_px` are left out, except `size` itself.
    """
    height, width = size
    scales = [octave_scale**-i for i in range(octaves - 1, 0, -1)]
    sizes = [(round(height * scale), round(width * scale)) for scale in scales]
    return [coarse for coarse in sizes if min(coarse) >= shortest_px] + [size]


def enlarged_sizes(size: Size, longest_px: int, shortest_px: int = 1) -> list[Size]:
    """Return sizes from above `longest_px` up to `size`, each at most MOST_ENLARGEMENT times the one before.

    There are none if `size` is not longer than `longest_px`. A side below `shortest_px` becomes that long.
    """
    ratio = max(size) / longest_px
    if ratio <= 1:
        return []
    count = math.ceil(math.log(ratio) / math.log(MOST_ENLARGEMENT))
    sides = (round(longest_px * ratio ** (number / count)) for number in range(1, count + 1))
    return [scaled(size, side, shortest_px) for side in sides]


def doubled_sizes(size: Size, longest_px: int) -> list[Size]:
    """Return sizes from above `longest_px` up to `size`, each half of the next one, rounded up.

    So the last step adds a whole octave, except if it is the only one.

    There are none if `size` is not longer than `longest_px`.
    """
    sides = []
    side = max(size)
    while side > longest_px:
        sides.append(side)
        side = -(-side // 2)
    return [scaled(size, side) for side in reversed(sides)]
