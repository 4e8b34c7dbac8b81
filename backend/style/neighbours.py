"""Nearest neighbours: for each position of the content, the style's feature that is most similar.

Gram matrices describe which features occur together in the style, not where. Alone they also paint a
style's objects onto plain areas. A target at every position keeps them where the content resembles them.

Source: Kolkin et al. 2022, *Neural Neighbor Style Transfer*, section 3
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..imaging.style_image import Style, shares
from ..networks.matching import best_matches, visible_columns
from ..networks.tiled_features import Piece, TiledFeatures
from .feature_targets import PiecesByLayer

MOST_POSITIONS = 16384
"""Positions of the styles compared by the fine method, spread evenly; more change little."""


def feature_banks(
    styles: Sequence[Style], layers: Iterable[str], features: TiledFeatures
) -> dict[str, Tensor]:
    """Gather the features of the styles and of their mirror images, (C, n) by layer.

    `features` computes `layers`. The styles are at the size at which the network sees them. The number of
    positions of each style is in proportion to its weight.
    """
    banks: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    for style, share in zip(styles, shares(styles), strict=True):
        for image, visible in ((style.image, style.visible), _mirrored(style)):
            tiles = [
                {layer: visible_columns(tile.pieces[layer]) for layer in banks}
                for tile in features.compute(image, visible)
            ]
            for layer, bank in banks.items():
                columns = torch.cat([tile[layer] for tile in tiles], dim=1)
                bank.append(thinned(columns, round(MOST_POSITIONS * share / 2)))
    return {layer: torch.cat(bank, dim=1) for layer, bank in banks.items()}


def nearest_neighbours(
    content: Sequence[PiecesByLayer],
    init: Iterable[PiecesByLayer],
    banks: Mapping[str, Tensor],
    strength: float,
) -> list[PiecesByLayer]:
    """Return the targets: for each position of each tile its nearest neighbour in the bank of the layer.

    It is the neighbour of the mean of two features, the content's and the first image's. In plain areas the
    content's features are alike and would share one neighbour. The strokes of the first image vary them.
    Differs from Kolkin et al. 2022: they use the features of the image alone, which distorts faces.

    Args:
        content: the content's features, by tile.
        init: the features of the first image of the optimisation, by tile.
        banks: features of the styles (C, n) by layer.
        strength: interpolates from the content's own features (0) to the neighbours (1).
    """
    sought = [
        {layer: own[layer]._replace(features=_mean(own[layer], first[layer])) for layer in banks}
        for own, first in zip(content, init, strict=True)
    ]
    targets: list[dict[str, Piece]] = [{} for _ in content]
    for layer, bank in banks.items():
        matched = _matched([tile[layer] for tile in sought], bank)
        for target, tile, neighbour in zip(targets, content, matched, strict=True):
            target[layer] = tile[layer]._replace(features=tile[layer].features.lerp(neighbour, strength))
    return [*targets]


def _mirrored(style: Style) -> tuple[Tensor, Tensor | None]:
    return style.image.flip(-1), None if style.visible is None else style.visible.flip(-1)


def _mean(one: Piece, other: Piece) -> Tensor:
    return one.features.lerp(other.features, 0.5)


def thinned(columns: Tensor, most: int) -> Tensor:
    """Return at most `most` columns of (C, n), evenly spread."""
    step = -(-columns.shape[1] // max(most, 1))
    return columns[:, : columns.shape[1] if most else 0 : max(step, 1)].clone()


def _matched(pieces: Sequence[Piece], bank: Tensor) -> Iterator[Tensor]:
    """Yield the nearest neighbours in `bank` (C, n) of the features of each tile, (1, C, h, w).

    The similarity is the cosine after subtracting the mean feature, of the picture or of the bank, so that
    a difference in exposure does not matter.
    """
    columns = torch.cat([visible_columns(piece) for piece in pieces], dim=1)
    mean = columns.mean(dim=1)[None, :, None, None]
    directions = normalize(bank - bank.mean(dim=1, keepdim=True), dim=0)
    for piece in pieces:
        yield best_matches(piece.features - mean, bank, directions)
