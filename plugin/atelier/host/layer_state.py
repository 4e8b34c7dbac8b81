"""Changes of a layer during a run: whether a result still fits into its place.

GIMP reports no history of a layer. So its size, its pixel format and a grid of its pixels are compared
before and after. Paint on the layer changes some of these pixels. A flip or a rotation moves all of them.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple, TypeAlias

from gi.repository import Gimp

from atelier_shared.messages import Region

from .layer_pixels import TYPE_CODES, Coding, Poll, coding_for, no_poll, read_pixels
from .suitability import Unsuitable

GRID = 32
"""Rows and columns of compared pixels."""
LARGEST = 0xFFFF
"""The largest value of 16 bits. Larger floats, also infinity, count as this."""

Grid: TypeAlias = Sequence[Sequence[float]]


class LayerState(NamedTuple):
    """The pixel format and the size of a layer, and the channels' sums at GRID × GRID places, row by row."""

    coding: Coding
    size: tuple[int, int]
    grid: Grid


def state_of(layer: Gimp.Layer, poll: Poll = no_poll) -> LayerState:
    """Return the state of a layer, which must be valid. `poll` is called after each row of the grid.

    Raises:
        Unsuitable: the layer was deleted meanwhile.
    """
    coding, size = coding_for(layer, alpha=layer.has_alpha()), (layer.get_width(), layer.get_height())
    return LayerState(coding, size, _grid_of(layer, coding, *size, poll))


def is_in_place(layer: Gimp.Layer, before: LayerState, poll: Poll = no_poll) -> bool:
    """Return whether a result made from a layer in the state `before` still fits onto the layer.

    The layer may have been moved or painted on since then. Nothing fits onto a layer that was deleted,
    converted, scaled, cropped, flipped or rotated.
    """
    if not layer.is_valid():
        return False
    try:
        now = state_of(layer, poll)
    except Unsuitable:
        return False
    return layer.is_valid() and now[:2] == before[:2] and is_upright(now.grid, before.grid)


def is_upright(now: Grid, before: Grid) -> bool:
    """Return whether `now` is no more similar to a flipped or rotated `before` than to `before` itself."""
    upright, *turned = (_difference(now, grid) for grid in _orientations(before))
    return upright <= min(turned)


def _orientations(grid: Grid) -> Iterator[Grid]:
    """Yield the eight orientations of a grid, `grid` itself first."""
    for transposed in (grid, list(zip(*grid, strict=True))):
        for flipped in (transposed, transposed[::-1]):
            yield flipped
            yield [row[::-1] for row in flipped]


def _difference(one: Grid, other: Grid) -> float:
    """Return the sum of the absolute differences of two grids."""
    return sum(abs(a - b) for a, b in zip(chain(*one), chain(*other), strict=True))


def _grid_of(layer: Gimp.Layer, coding: Coding, width: int, height: int, poll: Poll) -> Grid:
    """Read the grid in the layer's own format: babl's search for a conversion would block the dialog."""
    columns = list(_centres(width))
    rows = (read_pixels(layer, Region(0, y, width, 1), coding.babl, poll) for y in _centres(height))
    return [_sums(array(TYPE_CODES[coding.depth], row), width, columns) for row in rows]


def _sums(row: array[float], width: int, columns: Sequence[int]) -> list[float]:
    """Return the sums of the channels in some columns of a row. Not-a-number counts as 0."""
    channels = len(row) // width
    pixels = (row[channels * x : channels * (x + 1)] for x in columns)
    return [sum(min(max(0, value), LARGEST) for value in pixel) for pixel in pixels]


def _centres(side: int) -> Iterator[int]:
    """Yield the centres of GRID equal parts of a side."""
    return ((2 * part + 1) * side // (2 * GRID) for part in range(GRID))
