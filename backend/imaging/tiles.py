"""A picture cut into tiles, each with the halo that the network must see around it.

Knows rectangles alone: nothing of networks, nor of what is computed in a tile.

Source: Galerne et al. 2024, *Scaling Painting Style Transfer*, EGSR, section 3.2 (tiles with context
give the values of the whole picture, so no seam can show).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Rectangle:
    """Rows `top` to `bottom` and columns `left` to `right`; the ends are not included."""

    top: int
    left: int
    bottom: int
    right: int

    def of(self, image: Tensor) -> Tensor:
        """This part of `image` (..., H, W), a view."""
        return image[..., self.top : self.bottom, self.left : self.right]

    def within(self, outer: Rectangle) -> Rectangle:
        """The same rectangle, counted from the corner of `outer`."""
        return Rectangle(
            self.top - outer.top, self.left - outer.left, self.bottom - outer.top, self.right - outer.left
        )

    def at(self, stride: int) -> Rectangle:
        """The same rectangle in features of one value for every `stride` pixels, begun ones included."""
        return Rectangle(
            self.top // stride, self.left // stride, -(-self.bottom // stride), -(-self.right // stride)
        )

    def times(self, stride: int) -> Rectangle:
        """The pixels of this rectangle of features, `stride` for each value."""
        return Rectangle(self.top * stride, self.left * stride, self.bottom * stride, self.right * stride)


@dataclass(frozen=True)
class Tile:
    """A part of a picture: `inner` is the tile's own, `outer` has the halo around it."""

    inner: Rectangle
    outer: Rectangle


_share = 1.0
"""Of the sides that are asked for."""


@contextmanager
def smaller(share: float) -> Iterator[None]:
    """Cut whatever is cut in this process meanwhile into tiles of only this share of the side asked for.

    What is computed is the same but for rounding, and needs less memory and more time.
    """
    global _share
    before, _share = _share, share
    try:
        yield
    finally:
        _share = before


def tile_side(side: int, tile_scale: float, stride: int = 1) -> int:
    """Return the side of tiles that are `tile_scale` times as large as usual, but at least `stride`."""
    return max(stride, int(side * tile_scale))


def tiles(height: int, width: int, side: int, halo: int, stride: int = 1) -> Iterator[Tile]:
    """Cut a picture into tiles of nearly equal size, row by row.

    The inner rectangles cover every pixel once. All edges but the picture's own lie on multiples
    of `stride`, so that a network which shrinks by `stride` sees each tile on the picture's grid.
    Within `smaller` they are cut smaller.

    Args:
        height: the picture's height in pixels.
        width: the picture's width in pixels.
        side: longest side of an inner rectangle in pixels, rounded down to the stride.
        halo: pixels around it, as far as the picture goes, rounded up to the stride.
        stride: pixels.

    Raises:
        ValueError: `side` is less than `stride`.
    """
    if side < stride:
        raise ValueError(f"A tile's side must be at least the stride, {stride} px, not {side} px.")
    side, halo = max(stride, int(side * _share)), math.ceil(halo / stride) * stride
    rows, columns = _spans(height, side, stride), _spans(width, side, stride)
    for (top, bottom), (left, right) in itertools.product(rows, columns):
        outer = Rectangle(
            max(0, top - halo), max(0, left - halo), min(height, bottom + halo), min(width, right + halo)
        )
        yield Tile(Rectangle(top, left, bottom, right), outer)


def _spans(length: int, side: int, stride: int) -> list[tuple[int, int]]:
    """Spans of nearly equal length, at most `side`, that begin on multiples of `stride`."""
    blocks, most = math.ceil(length / stride), side // stride
    count = math.ceil(blocks / most)
    edges = [blocks * i // count * stride for i in range(count + 1)]
    return [(start, min(end, length)) for start, end in itertools.pairwise(edges)]
