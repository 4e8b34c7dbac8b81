"""Nearest neighbours: for each position of the content, the style's feature that is most similar.

Gram matrices describe which features occur together in the style, not where. Alone they also paint a
style's objects onto plain areas. A target at every position keeps them where the content resembles them.

Source: Kolkin et al. 2022, *Neural Neighbor Style Transfer*, section 3.2
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..imaging.style_image import Style, shares
from ..networks.feature_network import FeatureNetwork
from ..networks.tiled_features import Piece, TiledFeatures
from .feature_targets import PiecesByLayer

MOST_POSITIONS = 16384
"""Positions of the styles that are compared, spread evenly; more take longer and change little."""
TILE_PX = 512
"""Side of a style's tiles."""
CHUNK = 1024
"""Positions of the content that are compared at a time: it needs CHUNK × MOST_POSITIONS floats."""


def nearest_neighbours(
    content: Sequence[PiecesByLayer],
    styles: Sequence[Style],
    layers: Mapping[str, float],
    strength: float,
    *,
    network: FeatureNetwork,
    tile_scale: float,
) -> list[PiecesByLayer]:
    """Return for each of the content's tiles the nearest neighbours of its features, by layer.

    Args:
        content: the features of the tiles.
        styles: at the size at which the network sees them; each has the share of the positions of its weight.
        layers: the layers to compare, each by itself; may be empty.
        strength: interpolates from the content's own features (0) to their nearest neighbours (1).
        network: the network with these layers.
        tile_scale: factor for the side of tiles, in (0, 1].
    """
    targets: list[dict[str, Piece]] = [{} for _ in content]
    if not layers:
        return [*targets]
    features = TiledFeatures(network, list(layers), TILE_PX, tile_scale)
    for layer, bank in _banks(styles, layers, features).items():
        own = [tile[layer] for tile in content]
        for target, piece, nearest in zip(targets, own, _matched(own, bank), strict=True):
            target[layer] = piece._replace(features=piece.features.lerp(nearest, strength))
    return [*targets]


def _banks(
    styles: Sequence[Style], layers: Mapping[str, float], features: TiledFeatures
) -> dict[str, Tensor]:
    """Gather the features of the styles and of their mirror images, (C, n) by layer."""
    banks: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    for style, share in zip(styles, shares(styles), strict=True):
        for image, visible in ((style.image, style.visible), _mirrored(style)):
            tiles = [
                {layer: _columns(tile.pieces[layer]) for layer in layers}
                for tile in features.compute(image, visible)
            ]
            for layer, bank in banks.items():
                bank.append(_thinned(torch.cat([tile[layer] for tile in tiles], dim=1), share / 2))
    return {layer: torch.cat(bank, dim=1) for layer, bank in banks.items()}


def _mirrored(style: Style) -> tuple[Tensor, Tensor | None]:
    return style.image.flip(-1), None if style.visible is None else style.visible.flip(-1)


def _columns(piece: Piece) -> Tensor:
    """Return the features at the visible positions, (C, n)."""
    columns = piece.features[0].flatten(1)
    return columns if piece.visible is None else columns[:, piece.visible.flatten() > 0]


def _thinned(columns: Tensor, share: float) -> Tensor:
    """Take evenly spread columns of (C, n), at most `share` of MOST_POSITIONS."""
    most = round(MOST_POSITIONS * share)
    step = -(-columns.shape[1] // max(most, 1))
    return columns[:, : columns.shape[1] if most else 0 : max(step, 1)].clone()


def _matched(pieces: Sequence[Piece], bank: Tensor) -> Iterator[Tensor]:
    """Yield the nearest neighbours in `bank` (C, n) of the features of each piece, (1, C, h, w).

    The similarity is the cosine after subtracting the mean feature, of the content or of the bank, so that
    a difference in exposure does not matter.
    """
    columns = torch.cat([_columns(piece) for piece in pieces], dim=1)
    mean = columns.mean(dim=1)[:, None, None]
    directions = normalize(bank - bank.mean(dim=1, keepdim=True), dim=0)
    for features, _ in pieces:
        centred = (features[0] - mean).flatten(1).T  # (h·w, C); the length does not change the nearest
        nearest = torch.cat([(part @ directions).argmax(dim=1) for part in torch.split(centred, CHUNK)])
        yield bank[:, nearest].view_as(features)
