"""Style transfer in one pass, in any mixture of 26 styles that need no picture.

Knows image tensors, the styles' names and a painter; nothing of where it comes from or who asked.

Source: Dumoulin, Shlens and Kudlur 2017, *A Learned Representation for Artistic Style*, ICLR: one
network for all styles, which differ in the gammas and betas of its normalisations alone (eq. 5), and
are mixed by mixing those (section 3.3).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from .painter import Painter, paint
from .step import Step, Steps

GALLERY: tuple[str, ...] = (
    *("peach and sky", "yellow and ink", "charcoal", "electric mosaic", "crimson and cream", "embers"),
    *("indigo speckle", "primary colours", "coloured pencil", "pebbles", "umber", "parchment"),
    *("lavender and gold", "linocut", "pale fresco", "leaded glass", "cobalt strokes", "woven", "woodcut"),
    *("starry", "scarlet", "cut-outs", "stone", "dusk", "great wave", "rough oil"),
)
"""The styles by what they look like, in the order of the network's own numbers; it came without names."""


def stylize(
    content: Tensor,
    mix: Mapping[str, float],
    *,
    network: Painter,
    visible: Tensor | None = None,
    strength: float,
    size: int,
) -> Steps:
    """Paint `content` in a mixture of styles, one step for every tile of every layer.

    Args:
        content: image tensor.
        mix: the styles by name, and how much of each; their sum does not matter.
        network: the gallery's painter.
        visible: (1, 1, H, W) in [0, 1], how much each pixel of the content counts; None for all in full.
        strength: from 0, the content itself, to 1; the share of the painting in the picture.
        size: longest side in pixels at which the picture is painted. A larger content keeps its
            own fine detail.

    Raises:
        ValueError: there is no style of such a name, or none of them has a weight.
    """
    if strength == 0 or (visible is not None and not visible.any()):
        yield Step(1, 1, content)
        return
    vector = mixture(mix).to(content)
    for step in paint(content, vector, painter=network, visible=visible, size=size):
        if step.index == step.total:
            step = Step(step.index, step.total, torch.lerp(content, step.image, strength))
        yield step


def mixture(mix: Mapping[str, float]) -> Tensor:
    """How much there is of each style, (1, 26), 1 in all.

    Raises:
        ValueError: there is no style of such a name, or none of them has a weight.
    """
    if unknown := mix.keys() - set(GALLERY):
        raise ValueError(f"There is no style {', '.join(sorted(unknown))}; there are {', '.join(GALLERY)}.")
    weights = torch.tensor([[mix.get(name, 0.0) for name in GALLERY]])
    if not weights.sum() > 0:
        raise ValueError("The weights of the styles are all 0; give at least one style a weight.")
    return weights / weights.sum()
