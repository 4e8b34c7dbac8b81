"""Tiles of a picture or feature map, each with a halo: the pixels around it that its features depend on.

Source: Galerne et al. 2024, *Scaling Painting Style Transfer*, EGSR, section 3.2 (tiles with context
give the values of the whole picture, so no seam can show).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rectangle:
    """Rows `top` to `bottom` and columns `left` to `right` of a tensor; the ends are excluded.

    It is not the protocol's `Region` (x, y, width, height in pixels of a picture): edges index rows and
    columns of pictures and of features, and are converted between the two by the network's stride.
    """

    top: int
    left: int
    bottom: int
    right: int

    def of(self, image: Tensor) -> Tensor:
        """Return this part of an image (..., H, W) as a view."""
        return image[..., self.top : self.bottom, self.left : self.right]

    def relative_to(self, outer: Rectangle) -> Rectangle:
        """Return the same rectangle relative to the top left corner of `outer`."""
        return Rectangle(
            self.top - outer.top, self.left - outer.left, self.bottom - outer.top, self.right - outer.left
        )

    def to_positions(self, stride: int) -> Rectangle:
        """Convert pixels to positions of features, one per `stride` pixels; ends are rounded outwards."""
        return Rectangle(
            self.top // stride, self.left // stride, -(-self.bottom // stride), -(-self.right // stride)
        )

    def to_pixels(self, stride: int) -> Rectangle:
        """Convert positions of features to pixels, `stride` per position."""
        return Rectangle(self.top * stride, self.left * stride, self.bottom * stride, self.right * stride)


@dataclass(frozen=True)
class Tile:
    """A tile of a picture: `inner` is the tile itself, `outer` includes the halo."""

    inner: Rectangle
    outer: Rectangle

    def alone(self) -> Tile:
        """Return the same tile in a picture that is only its outer rectangle."""
        return Tile(self.inner.relative_to(self.outer), self.outer.relative_to(self.outer))


def tile_side(usual_px: int, tile_scale: float, stride: int = 1) -> int:
    """Return `usual_px` × `tile_scale`, at least `stride`; it is not rounded to the stride.

    Smaller tiles take less memory and more time. The results are the same except for rounding.
    """
    return max(stride, int(usual_px * tile_scale))


def tiles(height: int, width: int, side: int, halo: int, stride: int = 1) -> Iterator[Tile]:
    """Cut a picture or feature map into tiles of nearly equal size, row by row.

    The inner rectangles cover every pixel once. All edges except the picture's own are multiples of
    `stride`, so network strides align with the whole picture's.

    Args:
        height: the picture's height in pixels.
        width: the picture's width in pixels.
        side: longest side of an inner rectangle in pixels, rounded down to the stride.
        halo: width of the halo, rounded up to the stride and clipped at the picture's edges.
        stride: pixels per position.

    Raises:
        ValueError: `side` is less than `stride`.
    """
    if side < stride:
        raise ValueError(f"A tile's side must be at least the stride, {stride} px, not {side} px.")
    halo = math.ceil(halo / stride) * stride
    rows, columns = _spans(height, side, stride), _spans(width, side, stride)
    for (top, bottom), (left, right) in itertools.product(rows, columns):
        outer = Rectangle(
            max(0, top - halo), max(0, left - halo), min(height, bottom + halo), min(width, right + halo)
        )
        yield Tile(Rectangle(top, left, bottom, right), outer)


def _spans(length: int, side: int, stride: int) -> list[tuple[int, int]]:
    """Split `length` into spans of nearly equal length, at most `side`, starting at multiples of `stride`."""
    blocks, max_blocks = math.ceil(length / stride), side // stride
    count = math.ceil(blocks / max_blocks)
    edges = [blocks * i // count * stride for i in range(count + 1)]
    return [(start, min(end, length)) for start, end in itertools.pairwise(edges)]


def reflected_part(image: Tensor, part: Rectangle) -> Tensor:
    """Return a copy of a part of an image (1, C, H, W); beyond its edges, the image is reflected."""
    rows = _reflected(part.top, part.bottom, image.shape[-2]).to(image.device)
    columns = _reflected(part.left, part.right, image.shape[-1]).to(image.device)
    return image.index_select(-2, rows).index_select(-1, columns)


def _reflected(start: int, end: int, length: int) -> Tensor:
    """Return the positions from `start` to `end`, reflected at 0 and at `length` - 1 as often as needed."""
    period = max(1, 2 * (length - 1))
    positions = torch.arange(start, end) % period
    return torch.minimum(positions, period - positions)
