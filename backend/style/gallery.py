"""Style transfer in one pass, in any mixture of 26 styles that need no picture.

Knows image tensors, the styles' numbers and a painter; nothing of where it comes from or who asked.

Source: Dumoulin, Shlens and Kudlur 2017, *A Learned Representation for Artistic Style*, ICLR: one
network for all styles, which differ in the gammas and betas of its normalisations alone (eq. 5), and
are mixed by mixing those (section 3.3).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..imaging.step import Step, Steps
from ..networks.style_painter import Painter, paint


def stylize(
    content: Tensor,
    mix: Sequence[float],
    *,
    network: Painter,
    visible: Tensor | None = None,
    strength: float,
    size: int,
) -> Steps:
    """Paint `content` in a mixture of styles, one step for every tile of every layer.

    Args:
        content: image tensor.
        mix: how much of each style, 26 numbers; their sum does not matter.
        network: the gallery's painter.
        visible: (1, 1, H, W) in [0, 1], how much each pixel of the content counts; None for all in full.
        strength: from 0, the content itself, to 1; the share of the painting in the picture.
        size: longest side in pixels at which the picture is painted. A larger content keeps its
            own fine detail.

    Raises:
        ValueError: none of the styles has a weight.
    """
    if strength == 0 or (visible is not None and not visible.any()):
        yield Step(1, 1, content)
        return
    vector = mixture(mix).to(content)
    for step in paint(content, vector, painter=network, visible=visible, size=size):
        if step.index == step.total:
            step = Step(step.index, step.total, torch.lerp(content, step.image, strength))
        yield step


def mixture(mix: Sequence[float]) -> Tensor:
    """How much there is of each style, (1, 26), 1 in all.

    Raises:
        ValueError: none of the styles has a weight.
    """
    weights = torch.tensor([mix])
    if not weights.sum() > 0:
        raise ValueError("The weights of the styles are all 0; give at least one style a weight.")
    return weights / weights.sum()
