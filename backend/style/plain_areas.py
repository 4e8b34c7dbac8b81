"""Plain areas of a painting get the strokes of the style picture, in place of the network's own pattern.

Where the content has no detail in an octave, the small network paints a weave there, the same for every
style. The style picture has strokes in that octave. So each octave of the painting is mixed: the painting's
own where the content has detail, and the style's where it has none.

Source: Burt and Adelson 1983, *A Multiresolution Spline With Application to Image Mosaics*, ACM
Transactions on Graphics 2(4) (pictures are joined octave by octave)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from ..imaging.framed_tiles import framed_tiles
from ..imaging.resize import resize, size_of
from ..imaging.style_image import Style
from ..imaging.tiles import reflected_part
from .style_detail import StyleDetail, style_detail

OCTAVES = 3
"""Three, because the weave has a period of up to 16 pixels."""
LEAST_PX = 32
"""Shortest side of a picture with octaves to mix."""
DETAILED = 0.03
"""Root mean square of the content's octave around a pixel. At this value and above, the painting's octave is
kept whole."""
AROUND_PX = 9
"""Side of the square around a pixel."""


@torch.no_grad()
def with_strokes(
    painting: Tensor,
    content: Tensor,
    styles: Sequence[Style],
    *,
    strength: float = 1.0,
    tile_scale: float = 1.0,
    octaves: int = OCTAVES,
) -> Tensor:
    """Return `painting` with the styles' strokes where `content` has no detail, in the finest octaves.

    Args:
        painting: image tensor (1, 3, H, W).
        content: image tensor (1, 3, H, W).
        styles: not fully transparent.
        strength: the largest share, in [0, 1], of the styles' detail.
        tile_scale: factor for the side of tiles, in (0, 1].
        octaves: number of octaves to mix, the finest ones.
    """
    size = size_of(painting)
    if not octaves or min(size) < LEAST_PX:
        return painting
    half = round(size[0] / 2), round(size[1] / 2)
    reduced, coarse = resize(painting, half), resize(content, half)
    mixed = with_strokes(
        reduced, coarse, styles, strength=strength, tile_scale=tile_scale, octaves=octaves - 1
    )
    base, own = resize(mixed, size), painting - resize(reduced, size)
    strokes = _strokes_for(base, style_detail(styles, max(size), reduction=2), tile_scale)
    share = strength * (1 - _amount(content - resize(coarse, size)))
    return torch.lerp(own, strokes, share).add_(base).clamp_(0, 1)


def _amount(octave: Tensor) -> Tensor:
    """Return how much detail an octave (1, 3, H, W) has around each pixel, (1, 1, H, W) in [0, 1]."""
    power = pad(octave.square().mean(1, keepdim=True), [AROUND_PX // 2] * 4, mode="reflect")
    return avg_pool2d(power, AROUND_PX, stride=1).sqrt_().div_(DETAILED).clamp_(0, 1)


def _strokes_for(base: Tensor, detail: StyleDetail, tile_scale: float) -> Tensor:
    """Compute the styles' detail for an image (1, 3, H, W), of the same size."""
    strokes = torch.empty_like(base)
    for tile in framed_tiles(size_of(base), detail.halo_px, tile_scale):
        part = reflected_part(base, tile.outer)
        tile.inner.of(strokes).copy_(tile.inner.relative_to(tile.outer).of(detail.detail_for(part)))
    return strokes
