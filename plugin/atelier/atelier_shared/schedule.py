"""How the fine method shares its steps out over the sizes that it paints at, from coarse to fine.

Knows numbers alone: whoever paints and whoever says beforehand how long that takes go by it.
"""

from __future__ import annotations

COARSEST_PX = 64
"""Least shortest side of a size to paint at; each size is twice the one before."""
COARSER_STEPS = 2.0
"""Of so many steps that are left each coarser size takes one; a step of the next size costs four times it."""
MOST_COARSER_STEPS = 30
"""No coarser size takes more, for by then its large strokes lie."""


def shared_out(steps: int, sizes: int) -> list[int]:
    """The steps at each of so many sizes, at least one; `steps` in all, no fewer than sizes."""
    shares, left = [], steps
    for finer in range(sizes - 1, 0, -1):
        shares.append(1 + min(MOST_COARSER_STEPS - 1, int((left - finer - 1) / COARSER_STEPS)))
        left -= shares[-1]
    return [*shares, left]
