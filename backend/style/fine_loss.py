"""Total loss of the fine method and its gradient, for pictures of any size: Gatys et al. 2016, eq. 7.

    L_total = α · Σ_l v_l · C_l + β · Σ_l w_l · E_l + γ · total variation + δ · Σ_l u_l · N_l

C_l is the content loss of a layer (eq. 1) and E_l its style loss (eq. 4), each divided by the mean square
of its target; `losses` has the formulas. N_l is C_l with another target, the style's most similar feature
for each position; see `neighbours`. Without neighbour layers the loss is that of Gatys et al. The v_l are
the weights of the content layers, the w_l of the style layers, the u_l of the neighbour layers; each set
sums to 1. α, β, γ and δ are the user's weights times the constants below.

A picture larger than one tile is processed in two passes. The first adds up the Gram matrices of the
whole picture, tile by tile. The second computes each tile's part of the gradient from them. The result
is the gradient of the whole picture, so the tiles leave no seams.

Sources:
    Gatys et al. 2016, *Image Style Transfer Using Convolutional Neural Networks*, CVPR, eq. 5 and 7
    Galerne et al. 2024, *Scaling Painting Style Transfer*, EGSR, algorithm 1
    Kolkin et al. 2022, *Neural Neighbor Style Transfer*, section 3.2
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from atelier_shared.sizes import Size

from ..imaging.resize import size_of
from ..imaging.style_image import Style, shares
from ..networks import tile_size
from ..networks.feature_network import FeatureNetwork
from ..networks.tiled_features import Piece, TiledFeatures
from .feature_targets import FeatureTargets, PiecesByLayer, normalised, scales
from .losses import (
    Count,
    gram_matrix,
    position_count,
    style_gradient,
    style_loss,
    total_variation,
    total_variation_gradient,
)
from .neighbours import feature_banks, nearest_neighbours

CONTENT_WEIGHT, STYLE_WEIGHT, SMOOTHNESS, NEIGHBOUR_WEIGHT = 1.0, 10.0, 10.0, 2.0
"""α, β, γ and δ at the user's weights of 1; chosen by eye."""
WHOLE_PIXELS = 1024 * 1024
"""Up to this many pixels, a picture is one tile on the processor (unless `tile_scale` < 1), which saves the
first pass."""
TILE_PX = 512
"""Side of a larger picture's tiles on the processor."""

TensorsByLayer = dict[str, Tensor]


@dataclass(frozen=True)
class LossWeights:
    """The weights in the total loss.

    Attributes:
        content: factor of CONTENT_WEIGHT, at least 0.
        style: factor of STYLE_WEIGHT, at least 0.
        smoothness: factor of SMOOTHNESS, the weight of the total variation, at least 0.
        content_layers: layers of the content loss and their relative weights.
        style_layers: layers of the style loss and their relative weights; at least one.
        neighbour_layers: layers compared with the nearest neighbours and their relative weights; none for
            the loss of Gatys et al. 2016. `style` is a factor of NEIGHBOUR_WEIGHT, too.
    """

    content: float
    style: float
    smoothness: float
    content_layers: Mapping[str, float]
    style_layers: Mapping[str, float]
    neighbour_layers: Mapping[str, float] = field(default_factory=dict)


class GramSum:
    """The Gram matrices of a whole picture, added up tile by tile, and its position counts, by layer."""

    def __init__(self) -> None:
        self._weighted_grams: TensorsByLayer = {}
        self.positions: dict[str, Count] = {}

    def add(self, pieces: PiecesByLayer, style_layers: Mapping[str, float]) -> None:
        """Add a tile's position counts, and its style layers' Gram matrices (C, C) multiplied by them."""
        sums = self._weighted_grams
        for layer, piece in pieces.items():
            count = position_count(*piece)
            self.positions[layer] = self.positions.get(layer, 0.0) + count
            if layer in style_layers:
                gram = gram_matrix(*piece).mul_(count)
                sums[layer] = gram.add_(sums[layer]) if layer in sums else gram

    def grams(self) -> TensorsByLayer:
        """Return the Gram matrix (C, C) of the whole picture for each style layer."""
        return {layer: total / self.positions[layer] for layer, total in self._weighted_grams.items()}


class Targets(NamedTuple):
    """The targets of the optimisation, computed once per size of the coarse-to-fine schedule.

    Attributes:
        features: the content's features in the content layers, and their nearest neighbours in the styles
            in the neighbour layers.
        grams: the target Gram matrices (C, C) of the style layers.
        style_scales: factor of each style layer's loss in the total loss, ().
        positions: position count of the whole picture in each layer.
    """

    features: tuple[FeatureTargets, FeatureTargets]
    grams: TensorsByLayer
    style_scales: dict[str, Tensor]
    positions: dict[str, Count]


class StyleObjective:
    """The objective function: from an image (1, 3, H, W) to its total loss () and the gradient (1, 3, H, W).

    Differs from Gatys et al. 2016: the loss of each layer is divided by the mean square of its target,
    so the balance of layers, and of content and style, is the same for every picture and every network.

    Args:
        content: image tensor (1, 3, H, W); the optimised images have the same size.
        styles: at the size at which the network sees them; their Gram matrices are averaged by weight.
        network: the network with the layers of `weights`.
        visible: visibility of the content (1, 1, H, W) in [0, 1]; None for 1 everywhere.
        strength: interpolates the target Gram matrices from the content's (0) to the styles' (1).
        weights: weights of the terms and of the layers.
        init: first image of the optimisation (1, 3, H, W), whose features also determine the nearest
            neighbours; None for the content.
        tile_scale: factor for the side of tiles, in (0, 1].

    Raises:
        ValueError: the network lacks a layer, or all styles have the weight 0.
    """

    def __init__(
        self,
        content: Tensor,
        styles: Sequence[Style],
        *,
        network: FeatureNetwork,
        visible: Tensor | None,
        strength: float,
        weights: LossWeights,
        init: Tensor | None = None,
        tile_scale: float = 1.0,
    ) -> None:
        self._network, self._visible, self._weights = network, visible, weights
        self._tile_scale = tile_scale
        self._extractors: dict[Size, TiledFeatures] = {}
        self._targets = self._compute_targets(content, styles, strength, content if init is None else init)

    @torch.no_grad()
    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the total loss () of an image (1, 3, H, W) and its gradient with respect to it."""
        targets, smoothness = self._targets, self._weights.smoothness * SMOOTHNESS
        loss = smoothness * total_variation(image, self._visible)
        gradient = total_variation_gradient(image, self._visible).mul_(smoothness)
        one_tile = len(targets.features[0].tiles) == 1
        grams = {} if one_tile else self._gram_sum(image, self._visible).grams()
        for index, tile in enumerate(
            self._features(image).compute(image, self._visible, differentiable=True)
        ):
            if one_tile:
                grams = {layer: gram_matrix(*tile.pieces[layer]) for layer in targets.grams}
            tile_shares = _tile_shares(tile.pieces, targets)
            loss += sum(term.loss(index, tile.pieces, tile_shares) for term in targets.features)
            tile.add_gradient(_feature_gradients(index, tile.pieces, tile_shares, grams, targets), gradient)
            del tile  # frees the tile's features before the next tile
        return loss + _style_term(grams, targets), gradient

    def _features(self, image: Tensor) -> TiledFeatures:
        """Return the tiled feature extractor for an image of this size."""
        size = size_of(image)
        if size not in self._extractors:  # once, because the free memory changes
            self._extractors[size] = self._extractor(image)
        return self._extractors[size]

    def _extractor(self, image: Tensor) -> TiledFeatures:
        weights = self._weights
        layers = list({**weights.content_layers, **weights.style_layers, **weights.neighbour_layers})
        height, width = size_of(image)
        usual_px = max(height, width) if height * width <= WHOLE_PIXELS else TILE_PX
        tile_px = tile_size.tile_px(self._network, layers, image, usual_px)
        return TiledFeatures(self._network, layers, tile_px, self._tile_scale)

    def _gram_sum(self, image: Tensor, visible: Tensor | None) -> GramSum:
        total = GramSum()
        for tile in self._features(image).compute(image, visible):
            total.add(tile.pieces, self._weights.style_layers)
            del tile
        return total

    @torch.no_grad()
    def _compute_targets(
        self, content: Tensor, styles: Sequence[Style], strength: float, init: Tensor
    ) -> Targets:
        weights, own, tiles = self._weights, GramSum(), list[PiecesByLayer]()
        compared = dict.fromkeys([*weights.content_layers, *weights.neighbour_layers])
        for tile in self._features(content).compute(content, self._visible):
            own.add(tile.pieces, weights.style_layers)
            tiles.append({layer: _copy(tile.pieces[layer]) for layer in compared})
            del tile
        grams = self._interpolated_grams(own.grams(), styles, strength)
        gram_mean_squares = {layer: gram.square().mean() for layer, gram in grams.items()}
        neighbours = self._neighbours(tiles, init, styles, strength)
        return Targets(
            (
                normalised(tiles, weights.content_layers, weights.content * CONTENT_WEIGHT),
                normalised(neighbours, weights.neighbour_layers, weights.style * NEIGHBOUR_WEIGHT),
            ),
            grams,
            scales(weights.style * STYLE_WEIGHT, weights.style_layers, gram_mean_squares),
            own.positions,
        )

    def _neighbours(
        self, content: Sequence[PiecesByLayer], init: Tensor, styles: Sequence[Style], strength: float
    ) -> list[PiecesByLayer]:
        layers = self._weights.neighbour_layers
        if not layers:
            return [{} for _ in content]
        features = TiledFeatures(self._network, list(layers), TILE_PX, self._tile_scale)
        banks = feature_banks(styles, layers, features)
        started = (tile.pieces for tile in self._features(init).compute(init, self._visible))
        return nearest_neighbours(content, started, banks, strength)

    def _interpolated_grams(
        self, own: TensorsByLayer, styles: Sequence[Style], strength: float
    ) -> TensorsByLayer:
        """Interpolate from the content's own Gram matrices (0) to the weighted mean of the styles' (1)."""
        grams = {layer: gram * (1 - strength) for layer, gram in own.items()}
        for style, share in zip(styles, shares(styles), strict=True):
            for layer, gram in self._gram_sum(style.image, style.visible).grams().items():
                grams[layer].add_(gram, alpha=strength * share)
        return grams


def _style_term(grams: TensorsByLayer, targets: Targets) -> Tensor | int:
    """Compute β · Σ_l w_l · E_l, (): Gatys et al. 2016, eq. 5."""
    return sum(
        targets.style_scales[layer] * style_loss(gram, targets.grams[layer]) for layer, gram in grams.items()
    )


def _feature_gradients(
    index: int,
    pieces: PiecesByLayer,
    tile_shares: Mapping[str, Count],
    grams: TensorsByLayer,
    targets: Targets,
) -> TensorsByLayer:
    """Compute the gradient of the total loss with respect to a tile's features, (1, C, h, w) by layer."""
    gradients: TensorsByLayer = {}
    for layer, gram in grams.items():
        difference = (gram - targets.grams[layer]) * (tile_shares[layer] * targets.style_scales[layer])
        gradients[layer] = style_gradient(pieces[layer].features, difference, pieces[layer].visible)
    for term in targets.features:
        for layer, gradient in term.gradients(index, pieces, tile_shares).items():
            gradients[layer] = gradients[layer].add_(gradient) if layer in gradients else gradient
    return gradients


def _tile_shares(pieces: PiecesByLayer, targets: Targets) -> dict[str, Count]:
    """Return the tile's share of all positions of the picture by layer."""
    return {layer: position_count(*piece) / targets.positions[layer] for layer, piece in pieces.items()}


def _copy(piece: Piece) -> Piece:
    """Copy the features, because a view would keep the whole tile with its halo in memory."""
    return piece._replace(features=piece.features.clone())
