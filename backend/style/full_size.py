"""From a painting at working size to the layer's own size, with brush strokes down to the last pixel.

The painting is enlarged in several steps, each at most twice, and painted again after each. So the strokes
of the working size get finer and finer strokes inside. A network that paints in one pass does this, with
the style vector of the same style.

Sources:
    Gatys et al. 2017, *Controlling Perceptual Factors in Neural Style Transfer*, CVPR, section 6 (a
    painting at low resolution is the start for a higher one)
    Burt and Adelson 1983, *The Laplacian Pyramid as a Compact Image Code* (the coarse levels stay, only
    finer ones are added)
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from torch import Tensor

from atelier_shared.sizes import Size, enlarged_sizes, fit

from ..imaging.resize import resize, restore_detail, size_of
from ..imaging.step import Step, Steps
from ..imaging.tiles import Rectangle, Tile, reflected_part, tile_side, tiles
from ..networks.style_painter import Painter, PartPainter

TILE_PX = 512
ALIGNMENT_PX = 4
"""Sides of parts are multiples of this, because the painters reduce them to a quarter."""
LEAST_SAMPLE_PX, SAMPLE_PX = 32, 256
"""Bounds of the sides of samples; a sample of a smaller picture includes its reflection."""
SAMPLES = 16
"""Most samples from which a picture's moments are measured."""


class Brush(NamedTuple):
    """A network that paints in one pass, and its style vector (1, style_length)."""

    painter: Painter
    style: Tensor


@torch.no_grad()
def repaint(
    painting: Tensor,
    content: Tensor,
    brush: Brush,
    *,
    visible: Tensor | None,
    kept_px: int,
    photo_detail: float = 0.0,
    tile_scale: float = 1.0,
) -> Steps:
    """Enlarge `painting` to the size of `content`, with new strokes; yield a step for every tile.

    Steps before the last show the painting.

    Args:
        painting: image tensor (1, 3, h, w), the reduced content in a style.
        content: image tensor (1, 3, H, W). The strokes follow its shapes, without its texture.
        brush: paints the strokes.
        visible: visibility of the content (1, 1, H, W) in [0, 1]; None for 1 everywhere.
        kept_px: longest side up to which the result equals `painting`, when both are reduced to it. The
            colours and shapes of this size and coarser ones stay; finer strokes are new.
        photo_detail: share, in [0, 1], of the content's fine detail that is added to the result: of its
            difference to the content reduced to the painting's size.
        tile_scale: factor for the side of tiles, in (0, 1].
    """
    sizes = enlarged_sizes(size_of(content), max(size_of(painting)))
    coarse = resize(painting, fit(size_of(painting), kept_px))
    total, index = sum(len(_tiles(size, brush, tile_scale)) for size in sizes) + 1, 0
    image = painting
    for size in sizes:
        image = restore_detail(image, resize(content, size)).clamp_(0, 1)
        paint, repainted = _part_painter(image, visible, brush), image.clone()
        for tile in _tiles(size, brush, tile_scale):
            painted = paint(reflected_part(image, tile.outer))
            tile.inner.of(repainted).copy_(tile.inner.relative_to(tile.outer).of(painted))
            index += 1
            yield Step(index, total, painting)
        change = coarse - resize(repainted, size_of(coarse))
        image = repainted.add_(resize(change, size)).clamp_(0, 1)
    if sizes and photo_detail:
        detail = content - resize(resize(content, size_of(painting)), size_of(content))
        image = detail.mul_(photo_detail).add_(image).clamp_(0, 1)
    yield Step(total, total, image)


def _part_painter(image: Tensor, visible: Tensor | None, brush: Brush) -> PartPainter:
    """Measure the moments of an image on samples of it."""
    seen = None if visible is None else resize(visible, size_of(image)).clamp(0, 1)
    parts = _samples(size_of(image), seen)
    return PartPainter(
        *brush,
        torch.cat([reflected_part(image, part) for part in parts]),
        None if seen is None else torch.cat([reflected_part(seen, part) for part in parts]),
    )


def _samples(size: Size, seen: Tensor | None) -> list[Rectangle]:
    """Choose samples of equal size, evenly among all parts with visible pixels; `seen` is (1, 1, H, W)."""
    height, width = (min(SAMPLE_PX, max(LEAST_SAMPLE_PX, _aligned(side))) for side in size)
    corners = [tile.inner for tile in tiles(*size, side=SAMPLE_PX, halo=0, stride=ALIGNMENT_PX)]
    parts = [Rectangle(at.top, at.left, at.top + height, at.left + width) for at in corners]
    if seen is not None:
        are_seen = torch.stack([part.of(seen).any() for part in parts]).tolist()
        parts = [*itertools.compress(parts, are_seen)]
    chosen = torch.linspace(0, len(parts) - 1, min(SAMPLES, len(parts))).round().int()
    return [parts[number] for number in chosen.tolist()]


def _tiles(size: Size, brush: Brush, tile_scale: float) -> list[Tile]:
    """Tile a picture; all tiles have a whole halo, beyond the picture's edges too."""
    halo = _aligned(brush.painter.halo_px)
    side = tile_side(TILE_PX, tile_scale, ALIGNMENT_PX)
    return [
        Tile(tile.inner, _framed(tile.inner, halo))
        for tile in tiles(*size, side=side, halo=0, stride=ALIGNMENT_PX)
    ]


def _framed(inner: Rectangle, halo: int) -> Rectangle:
    """Return `inner` with a halo; its sides are rounded up to ALIGNMENT_PX."""
    return Rectangle(
        inner.top - halo,
        inner.left - halo,
        inner.top + _aligned(inner.bottom - inner.top) + halo,
        inner.left + _aligned(inner.right - inner.left) + halo,
    )


def _aligned(length: int) -> int:
    """Round a length up to a multiple of ALIGNMENT_PX."""
    return -(-length // ALIGNMENT_PX) * ALIGNMENT_PX
