"""Style transfer in one pass with two small networks: one sums up the style, the other paints.

Knows image tensors and the two networks; nothing of where they come from or who asked.

Source: Ghiasi et al. 2017, *Exploring the Structure of a Real-Time, Arbitrary Neural Artistic
Stylization Network*, BMVC: section 2, and figure 6 for strength, which lies between the style vectors
of the content and the style.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..imaging.resize import fit, size_of
from ..imaging.step import Step, Steps
from ..imaging.style_image import Style, fitted, shares
from ..networks.style_painter import Painter, paint
from ..networks.style_predictor import STYLE_PX, StylePredictor

MINIMUM_PX = 32
MARGIN_PX = 16
"""Around what is painted, and cut off again: the painter leaves a pale line along the upper edge."""


def stylize(
    content: Tensor,
    styles: Sequence[Style],
    *,
    predictor: StylePredictor,
    painter: Painter,
    visible: Tensor | None = None,
    strength: float,
    size: int,
    style_size: float,
    stretch: bool,
) -> Steps:
    """Paint `content` in the manner of `styles`, one step for every tile of every layer.

    Args:
        content: image tensor.
        styles: of several, the mean of their style vectors by weight.
        predictor: from a style picture to its vector.
        painter: the network that takes such a vector.
        visible: (1, 1, H, W) in [0, 1], how much each pixel of the content counts; None for all in full.
        strength: from 0, the content itself, to 1; in between, so is the style vector.
        size: longest side in pixels at which the picture is painted. A larger content keeps its
            own fine detail.
        style_size: the styles' longest side as a multiple of the content's when they are looked at.
        stretch: whether the styles take on the content's proportions.

    Raises:
        ValueError: nothing of a style is visible, or none has a weight.
    """
    if strength == 0 or (visible is not None and not visible.any()):
        yield Step(1, 1, content)
        return
    seen_size = fit(size_of(content), STYLE_PX, MINIMUM_PX)
    own = fitted(Style(content, 1.0, visible), seen_size, style_size=1.0, stretch=True, minimum_px=MINIMUM_PX)
    seen = [
        fitted(style, seen_size, style_size=style_size, stretch=stretch, minimum_px=MINIMUM_PX)
        for style in styles
    ]
    with torch.no_grad():
        vectors = [
            share * predictor(style.image, style.visible)
            for share, style in zip(shares(styles), seen, strict=True)
        ]
        own_vector = predictor(own.image, own.visible)
        vector = torch.lerp(own_vector, torch.stack(vectors).sum(dim=0), strength)
    yield from paint(content, vector, painter=painter, visible=visible, size=size, margin=MARGIN_PX)
