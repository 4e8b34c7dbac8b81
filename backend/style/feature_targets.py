"""Target features at every position of a picture, and the part of the loss that compares with them.

The content loss of Gatys et al. 2016, eq. 1, has the content's own features as targets. Nearest neighbours
in a style have the same form with other targets.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..networks.tiled_features import Piece
from .losses import TINY, Count, content_gradient, content_loss, position_count

PiecesByLayer = Mapping[str, Piece]
"""Each layer's features (1, C, h, w) of one tile, with their visibility (1, 1, h, w)."""


@dataclass(frozen=True)
class FeatureTargets:
    """Target features of a tile and the weight of each layer.

    Attributes:
        features: the target features (1, C, h, w) by layer.
        scales: factor of each layer's loss in the total loss, ().
    """

    features: Mapping[str, Tensor]
    scales: Mapping[str, Tensor]

    def loss(self, pieces: PiecesByLayer, shares: Mapping[str, Count]) -> Tensor | int:
        """Compute the part of the total loss, (), of the tile with the features `pieces`.

        `shares` has the tile's share of all positions of the picture by layer.
        """
        return sum(
            scale * shares[layer] * content_loss(seen, self.features[layer], visible)
            for layer, scale, (seen, visible) in self._compared(pieces)
        )

    def gradients(self, pieces: PiecesByLayer, shares: Mapping[str, Count]) -> dict[str, Tensor]:
        """Compute the gradient of `loss` with respect to the features, (1, C, h, w) by layer."""
        return {
            layer: content_gradient(seen, self.features[layer], visible).mul_(scale * shares[layer])
            for layer, scale, (seen, visible) in self._compared(pieces)
        }

    def _compared(self, pieces: PiecesByLayer) -> Iterator[tuple[str, Tensor, Piece]]:
        return ((layer, scale, pieces[layer]) for layer, scale in self.scales.items())


def normalised(
    tiles: Sequence[PiecesByLayer], layers: Mapping[str, float], weight: float
) -> list[FeatureTargets]:
    """Return the targets of each of `tiles`, with `weight` shared out over `layers`.

    Each layer's share is divided by the mean square of its target in the whole picture.
    """
    mean_squares = {layer: mean_square([tile[layer] for tile in tiles]) for layer in layers}
    shared = scales(weight, layers, mean_squares)
    return [FeatureTargets({layer: tile[layer].features for layer in layers}, shared) for tile in tiles]


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
