"""The light method: style transfer in one pass with two small networks, a predictor and a painter.

The predictor reduces a style picture to a style vector; the painter paints with this vector.

Differs from Ghiasi et al. 2017: plain areas get the strokes of the style picture itself (`plain_areas`).

Source: Ghiasi et al. 2017, *Exploring the Structure of a Real-Time, Arbitrary Neural Artistic
Stylization Network*, BMVC, section 2; figure 6 for the strength, an interpolation between the style
vectors of the content and the style.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from atelier_shared.sizes import fit

from ..imaging.resize import resize, size_of
from ..imaging.step import Step, Steps
from ..imaging.style_image import Style, shares
from ..networks.style_painter import Painter, paint
from ..networks.style_predictor import STYLE_PX, StylePredictor
from . import plain_areas

MINIMUM_PX = 32
"""Shortest side of the pictures for the predictor."""
FRAME_PX = 16
"""Frame around the painting, cut off afterwards: the painter leaves a pale line along the upper edge."""


@dataclass(frozen=True)
class LightSettings:
    """The settings of the light method.

    Attributes:
        strength: from 0, the content itself, to 1; interpolates the style vector from the content's to
            the styles'.
        size: longest side of the painting, in pixels; a larger content is reduced.
    """

    strength: float
    size: int


def stylize(
    content: Tensor,
    styles: Sequence[Style],
    settings: LightSettings,
    *,
    predictor: StylePredictor,
    painter: Painter,
    visible: Tensor | None = None,
    tile_scale: float = 1.0,
) -> Steps:
    """Paint `content` in the style of `styles`; yield a step for each tile of each layer.

    Args:
        content: image tensor (1, 3, H, W).
        styles: their style vectors are averaged by weight.
        settings: settings of the method.
        predictor: network from a style picture to its style vector.
        painter: network from a picture and a style vector to a painting.
        visible: visibility of the content (1, 1, H, W) in [0, 1]; None for 1 everywhere.
        tile_scale: factor for the side of tiles, in (0, 1].

    Raises:
        ValueError: a style is fully transparent, or all weights are 0.
    """
    if settings.strength == 0 or (visible is not None and not visible.any()):
        yield Step(1, 1, content)
        return
    vector = style_vector(content, visible, styles, settings.strength, predictor)
    for step in paint(
        content,
        vector,
        painter=painter,
        visible=visible,
        longest_px=settings.size,
        frame_px=FRAME_PX,
        tile_scale=tile_scale,
    ):
        if step.index == step.total:
            step = replace(step, image=_with_strokes(step.image, content, styles, settings, tile_scale))
        yield step


def _with_strokes(
    painting: Tensor, content: Tensor, styles: Sequence[Style], settings: LightSettings, tile_scale: float
) -> Tensor:
    """Paint the plain areas with the strokes of the styles."""
    return plain_areas.with_strokes(
        painting,
        resize(content, size_of(painting)),
        styles,
        strength=settings.strength,
        tile_scale=tile_scale,
    )


@torch.no_grad()
def style_vector(
    content: Tensor,
    visible: Tensor | None,
    styles: Sequence[Style],
    strength: float,
    predictor: StylePredictor,
) -> Tensor:
    """Interpolate from the content's own style vector to the weighted mean of the styles': (1, 100)."""
    size = fit(size_of(content), STYLE_PX, MINIMUM_PX)
    fitted = [style.fitted(size, MINIMUM_PX) for style in styles]
    vectors = [
        share * predictor(style.image, style.visible)
        for share, style in zip(shares(styles), fitted, strict=True)
    ]
    own = Style(content, visible=visible, stretch=True).fitted(size, MINIMUM_PX)
    return torch.lerp(predictor(own.image, own.visible), torch.stack(vectors).sum(dim=0), strength)
