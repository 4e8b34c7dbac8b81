"""From a painting at working size to the layer's own size, with brush strokes down to the last pixel.

The painting is enlarged in several steps, each at most twice, and gets finer strokes after each. A network
that paints in one pass paints them, with the style vector of the same style. If there are style pictures,
the finest strokes of each size come from their pixels. Then the network paints none at the layer's own size.

Sources:
    Gatys et al. 2017, *Controlling Perceptual Factors in Neural Style Transfer*, CVPR, section 6 (a
    painting at low resolution is the start for a higher one)
    Burt and Adelson 1983, *The Laplacian Pyramid as a Compact Image Code* (the coarse levels stay, only
    finer ones are added)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from atelier_shared.sizes import Size, doubled_sizes, fit

from ..imaging.framed_tiles import framed_tiles
from ..imaging.resize import detail_of, resize, restore_detail, size_of
from ..imaging.samples import samples
from ..imaging.step import Step, Steps
from ..imaging.style_image import Style
from ..imaging.tiles import reflected_part
from ..networks.style_painter import Painter, PartPainter
from .style_detail import StyleDetail, style_detail


class Brush(NamedTuple):
    """What paints the strokes.

    Attributes:
        painter: a network that paints in one pass.
        style: its style vector (1, style_length).
        styles: pictures from which the finest strokes are taken; without any, the network paints all.
        styles_px: longest side of a style of scale 1, as for the painting. No style is enlarged.
        strength: share, in [0, 1], of the style pictures' detail; the rest is the content's.
    """

    painter: Painter
    style: Tensor
    styles: Sequence[Style] = ()
    styles_px: int = 0
    strength: float = 1.0


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
    sizes = doubled_sizes(size_of(content), max(size_of(painting)))
    coarse = resize(painting, fit(size_of(painting), kept_px))
    # The halo does not change the number of tiles.
    total, index = sum(len(framed_tiles(size, 0, tile_scale)) for size in sizes) + 1, 0
    image = painting
    for size in sizes:
        image, paints = _enlarged(image, content, size, brush, visible)
        repainted = image.clone()
        for tile in framed_tiles(size, sum(paint.halo_px for paint in paints), tile_scale):
            painted = reflected_part(image, tile.outer)
            for paint in paints:
                painted = paint(painted)
            tile.inner.of(repainted).copy_(tile.inner.relative_to(tile.outer).of(painted))
            index += 1
            yield Step(index, total, painting)
        change = coarse - resize(repainted, size_of(coarse))
        image = repainted.add_(resize(change, size)).clamp_(0, 1)
    if sizes and photo_detail:
        image = detail_of(content, size_of(painting)).mul_(photo_detail).add_(image).clamp_(0, 1)
    yield Step(total, total, image)


def _enlarged(
    image: Tensor, content: Tensor, size: Size, brush: Brush, visible: Tensor | None
) -> tuple[Tensor, Sequence[PartPainter | StyleDetail]]:
    """Enlarge an image to `size`, and return it with what paints its finer strokes, one after the other."""
    details = []
    if brush.styles:
        reduction = max(size) / max(size_of(image))
        details = [style_detail(brush.styles, brush.styles_px, reduction, brush.strength)]
    if details and size == size_of(content):
        return _with_detail_of(image, content, 1 - brush.strength), details
    image = restore_detail(image, resize(content, size)).clamp_(0, 1)
    return image, [_part_painter(image, visible, brush), *details]


def _with_detail_of(image: Tensor, content: Tensor, share: float) -> Tensor:
    """Enlarge an image to the content's size, with a share of the content's finer detail."""
    enlarged = resize(image, size_of(content))
    if share:
        enlarged = detail_of(content, size_of(image)).mul_(share).add_(enlarged)
    return enlarged.clamp_(0, 1)


def _part_painter(image: Tensor, visible: Tensor | None, brush: Brush) -> PartPainter:
    """Measure the moments of an image on samples of it."""
    seen = None if visible is None else resize(visible, size_of(image)).clamp(0, 1)
    parts = samples(size_of(image), seen)
    return PartPainter(
        brush.painter,
        brush.style,
        torch.cat([reflected_part(image, part) for part in parts]),
        None if seen is None else torch.cat([reflected_part(seen, part) for part in parts]),
    )
