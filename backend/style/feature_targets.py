"""Target features at every position of a picture, and the part of the loss that compares with them.

The content loss of Gatys et al. 2016, eq. 1, has the content's own features as targets. Nearest neighbours
in a style have the same form with other targets.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..networks.tiled_features import Piece
from .losses import TINY, Count, content_gradient, content_loss, position_count

PiecesByLayer = Mapping[str, Piece]
"""Each layer's features (1, C, h, w) of one tile, with their visibility (1, 1, h, w)."""


@dataclass(frozen=True)
class FeatureTargets:
    """Target features and the weight of each layer.

    Attributes:
        tiles: for each tile the target features by layer.
        scales: factor of each layer's loss in the total loss, ().
    """

    tiles: Sequence[PiecesByLayer]
    scales: Mapping[str, Tensor]

    def loss(self, index: int, pieces: PiecesByLayer, shares: Mapping[str, Count]) -> Tensor | int:
        """Compute the part of the total loss, (), of the tile number `index`, with the features `pieces`.

        `shares` has the tile's share of all positions of the picture by layer.
        """
        return sum(
            scale * shares[layer] * content_loss(pieces[layer].features, *self.tiles[index][layer])
            for layer, scale in self.scales.items()
        )

    def gradients(self, index: int, pieces: PiecesByLayer, shares: Mapping[str, Count]) -> dict[str, Tensor]:
        """Compute the gradient of `loss` with respect to the features, (1, C, h, w) by layer."""
        return {
            layer: content_gradient(pieces[layer].features, *self.tiles[index][layer]).mul_(
                scale * shares[layer]
            )
            for layer, scale in self.scales.items()
        }


def normalised(tiles: Sequence[PiecesByLayer], layers: Mapping[str, float], weight: float) -> FeatureTargets:
    """Return the targets `tiles` with `weight` shared out over `layers`.

    Each layer's share is divided by the mean square of its target.
    """
    mean_squares = {layer: mean_square([tile[layer] for tile in tiles]) for layer in layers}
    own = [{layer: tile[layer] for layer in layers} for tile in tiles]
    return FeatureTargets(own, scales(weight, layers, mean_squares))


def scales(
    weight: float, layers: Mapping[str, float], mean_squares: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Share `weight` out over the layers, and divide each share by the mean square of the layer's target."""
    total = sum(layers.values())
    return {
        layer: weight * share / total / mean_squares[layer].clamp_min(TINY) for layer, share in layers.items()
    }


def mean_square(pieces: Sequence[Piece]) -> Tensor:
    """Compute the mean square, (), of a layer's features over all tiles."""
    counts = [position_count(*piece) for piece in pieces]
    means = [content_loss(features, torch.zeros_like(features), visible) for features, visible in pieces]
    return torch.stack([*map(operator.mul, counts, means)]).sum() / sum(counts)
