"""The gallery method: style transfer in one pass, in any mixture of 26 built-in styles.

Source: Dumoulin, Shlens and Kudlur 2017, *A Learned Representation for Artistic Style*, ICLR. One network
serves all styles; they differ only in the γ and β of its instance normalisations (eq. 5). Mixing these
mixes the styles (section 3.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from atelier_shared.deferred_translation import N_
from atelier_shared.errors import Wrong

from ..imaging.step import Step, Steps
from ..networks.style_painter import Painter, paint


@dataclass(frozen=True)
class GallerySettings:
    """The settings of the gallery method.

    Attributes:
        mix: weights of the 26 styles, each at least 0; only their proportions matter.
        size: longest side of the painting, in pixels; a larger content is reduced.
    """

    mix: Sequence[float]
    size: int


def stylize(
    content: Tensor,
    settings: GallerySettings,
    *,
    network: Painter,
    visible: Tensor | None = None,
    tile_scale: float = 1.0,
) -> Steps:
    """Paint `content` in a mixture of styles; yield a step for each tile of each layer.

    Args:
        content: image tensor (1, 3, H, W).
        settings: settings of the method.
        network: the gallery's painter.
        visible: visibility of the content (1, 1, H, W) in [0, 1]; None for 1 everywhere.
        tile_scale: factor for the side of tiles, in (0, 1].

    Raises:
        ValueError: all weights are 0.
    """
    if visible is not None and not visible.any():
        yield Step(1, 1, content)
        return
    vector = mixture(settings.mix).to(content)
    yield from paint(
        content, vector, painter=network, visible=visible, longest_px=settings.size, tile_scale=tile_scale
    )


def mixture(mix: Sequence[float]) -> Tensor:
    """Return the style vector (1, 26): the weights divided by their sum.

    Raises:
        ValueError: all weights are 0.
    """
    weights = torch.tensor([mix])
    if not weights.sum() > 0:
        raise Wrong(N_("The weights of all styles are 0. Give at least one style a weight above 0."))
    return weights / weights.sum()
