"""The fine method's loss of one tile.

It is computed from the tile's pixels, its targets, and the Gram matrices of the whole picture. So any process
can compute it, in any order; see `TileWorkers`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ..imaging.tiles import Tile
from ..networks.tiled_features import FeatureTile, TiledFeatures
from .feature_targets import FeatureTargets, PiecesByLayer
from .losses import Count, gram_matrix, position_count, style_gradient

TensorsByLayer = dict[str, Tensor]


class GramSum:
    """The Gram matrices of a whole picture, added up tile by tile, and its position counts, by layer.

    `weighted_grams` has the Gram matrices (C, C) of the style layers, multiplied by the position counts.
    """

    def __init__(
        self,
        weighted_grams: TensorsByLayer | None = None,
        positions: dict[str, Count] | None = None,
    ) -> None:
        self.weighted_grams = weighted_grams or {}
        self.positions = positions or {}

    @classmethod
    def of(cls, pieces: PiecesByLayer, style_layers: Container[str]) -> GramSum:
        """Compute the sum of a single tile."""
        positions = {layer: position_count(*piece) for layer, piece in pieces.items()}
        grams = {
            layer: gram_matrix(*piece).mul_(positions[layer])
            for layer, piece in pieces.items()
            if layer in style_layers
        }
        return cls(grams, positions)

    def add(self, other: GramSum) -> None:
        """Add the sum of a further tile, whose memory is reused."""
        sums, positions = self.weighted_grams, self.positions
        for layer, count in other.positions.items():
            positions[layer] = positions.get(layer, 0.0) + count
        for layer, gram in other.weighted_grams.items():
            sums[layer] = gram.add_(sums[layer]) if layer in sums else gram

    def grams(self) -> TensorsByLayer:
        """Return the Gram matrix (C, C) of the whole picture for each style layer."""
        return {layer: total / self.positions[layer] for layer, total in self.weighted_grams.items()}


class StyleTargets(NamedTuple):
    """The targets of the whole picture.

    Attributes:
        grams: the target Gram matrices (C, C) of the style layers.
        scales: factor of each style layer's loss in the total loss, ().
        positions: position count of the whole picture in each layer.
    """

    grams: TensorsByLayer
    scales: dict[str, Tensor]
    positions: dict[str, Count]


@dataclass(frozen=True)
class TileLoss:
    """The part of the total loss that belongs to a tile, without the style loss of the whole picture.

    A tile's image is its pixels with the halo, (1, 3, H, W).

    Attributes:
        features: computes the features of all layers of the loss.
        tile: the place of the tile without its halo in the tile's image.
        visible: visibility of the tile's image (1, 1, H, W) in [0, 1]; None for 1 everywhere.
        compared: target features of the tile, with their scales in the total loss.
        style: targets of the whole picture.
    """

    features: TiledFeatures
    tile: Tile
    visible: Tensor | None
    compared: Sequence[FeatureTargets]
    style: StyleTargets

    @torch.no_grad()
    def gram_sum(self, image: Tensor) -> GramSum:
        """Compute the tile's part of the picture's Gram matrices."""
        seen = self.features.compute_tile(self.tile, image, self.visible)
        return GramSum.of(seen.pieces, self.style.grams)

    def see(self, image: Tensor) -> FeatureTile:
        """Compute the features of the tile's image for `loss_and_gradient`."""
        return self.features.compute_tile(self.tile, image, self.visible, differentiable=True)

    @torch.no_grad()
    def loss_and_gradient(self, seen: FeatureTile, grams: TensorsByLayer) -> tuple[Tensor | int, Tensor]:
        """Compute the content and neighbour loss, (), and the gradient of the total loss but its smoothness.

        The gradient is that of the tile's image, (1, 3, H, W). It includes the style loss of the whole
        picture, whose Gram matrices (C, C) are `grams`.
        """
        shares = self._shares(seen.pieces)
        loss = sum(term.loss(seen.pieces, shares) for term in self.compared)
        return loss, seen.gradient(self._feature_gradients(seen.pieces, shares, grams))

    def result(self, image: Tensor, grams: TensorsByLayer) -> tuple[Tensor | int, Tensor]:
        """Compute `loss_and_gradient` of an image."""
        return self.loss_and_gradient(self.see(image), grams)

    def _shares(self, pieces: PiecesByLayer) -> dict[str, Count]:
        """Return the tile's share of all positions of the picture by layer."""
        whole = self.style.positions
        return {layer: position_count(*piece) / whole[layer] for layer, piece in pieces.items()}

    def _feature_gradients(
        self, pieces: PiecesByLayer, shares: Mapping[str, Count], grams: TensorsByLayer
    ) -> TensorsByLayer:
        """Compute the gradient of the total loss with respect to the features, (1, C, h, w) by layer."""
        gradients: TensorsByLayer = {}
        for layer, gram in grams.items():
            difference = (gram - self.style.grams[layer]) * (shares[layer] * self.style.scales[layer])
            gradients[layer] = style_gradient(pieces[layer].features, difference, pieces[layer].visible)
        for term in self.compared:
            for layer, gradient in term.gradients(pieces, shares).items():
                gradients[layer] = gradients[layer].add_(gradient) if layer in gradients else gradient
        return gradients


TileResult = tuple[int, Tensor | int, Tensor]
"""A tile's number, its loss (), and the gradient of its image (1, 3, H, W)."""


class TileWorkers(Protocol):
    """Computes the losses of many tiles, whose images are given with them, in any order."""

    def gram_sums(self, tiles: Sequence[TileLoss], images: Sequence[Tensor]) -> Iterable[GramSum]:
        """Compute the Gram sum of each tile."""

    def losses_and_gradients(
        self, tiles: Sequence[TileLoss], images: Sequence[Tensor], grams: TensorsByLayer
    ) -> Iterable[TileResult]:
        """Yield the number, the loss and the gradient of each tile.

        The images are those of the last call of `gram_sums`, and `grams` are the matrices of their picture.
        """


class ThisProcess:
    """Computes one tile after the other, in the memory of one."""

    def gram_sums(self, tiles: Sequence[TileLoss], images: Sequence[Tensor]) -> Iterable[GramSum]:
        """Compute the Gram sum of each tile."""
        return map(TileLoss.gram_sum, tiles, images)

    def losses_and_gradients(
        self, tiles: Sequence[TileLoss], images: Sequence[Tensor], grams: TensorsByLayer
    ) -> Iterable[TileResult]:
        """Yield the number, the loss and the gradient of each tile."""
        for number, (tile, image) in enumerate(zip(tiles, images, strict=True)):
            yield number, *tile.result(image, grams)
