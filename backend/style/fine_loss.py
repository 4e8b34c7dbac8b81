"""Total loss of the fine method and its gradient, for pictures of any size: Gatys et al. 2016, eq. 7.

    L_total = α · Σ_l v_l · C_l + β · Σ_l w_l · E_l + γ · total variation + δ · Σ_l u_l · N_l

C_l is the content loss of a layer (eq. 1) and E_l its style loss (eq. 4), each divided by the mean square
of its target; `losses` has the formulas. N_l is C_l with another target, the style's most similar feature
for each position; see `neighbours`. Without neighbour layers the loss is that of Gatys et al. The v_l are
the weights of the content layers, the w_l of the style layers, the u_l of the neighbour layers; each set
sums to 1. α, β, γ and δ are those of `LossWeights` times the constants below.

A picture larger than one tile is processed in two passes. The first adds up the Gram matrices of the
whole picture, tile by tile. The second computes each tile's part of the gradient from them; see
`tile_loss`. The result is the gradient of the whole picture, so the tiles leave no seams.

Sources:
    Gatys et al. 2016, *Image Style Transfer Using Convolutional Neural Networks*, CVPR, eq. 5 and 7
    Galerne et al. 2024, *Scaling Painting Style Transfer*, EGSR, algorithm 1
    Kolkin et al. 2022, *Neural Neighbor Style Transfer*, section 3.2
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from atelier_shared.sizes import Size

from ..imaging.resize import size_of
from ..imaging.style_image import Style, shares
from ..networks import tile_size
from ..networks.feature_network import FeatureNetwork
from ..networks.tiled_features import Piece, TiledFeatures
from .feature_targets import PiecesByLayer, normalised, scales
from .losses import gram_matrix, style_loss, total_variation, total_variation_gradient
from .neighbours import feature_banks, nearest_neighbours
from .tile_loss import GramSum, StyleTargets, TensorsByLayer, ThisProcess, TileLoss, TileResult, TileWorkers

CONTENT_WEIGHT, STYLE_WEIGHT, SMOOTHNESS, NEIGHBOUR_WEIGHT = 1.0, 10.0, 10.0, 2.0
"""α, β, γ and δ at the user's weights of 1; chosen by eye."""
WHOLE_PIXELS = 1024 * 1024
"""Up to this many pixels, a picture is one tile on the processor (unless `tile_scale` < 1), which saves the
first pass."""
TILE_PX = 512
"""Side of a larger picture's tiles on the processor."""


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

    @property
    def layers(self) -> list[str]:
        """The names of all layers of the loss."""
        return list({**self.content_layers, **self.style_layers, **self.neighbour_layers})


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
        workers: compute the tiles, if there are several.

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
        workers: TileWorkers | None = None,
    ) -> None:
        self._network, self._visible, self._weights = network, visible, weights
        self._tile_scale, self._workers = tile_scale, workers or ThisProcess()
        self._extractors: dict[Size, TiledFeatures] = {}
        self._places = self._features(content).tiles(content)
        self._tiles = self._compute_tiles(content, styles, strength, content if init is None else init)

    @property
    def is_tiled(self) -> bool:
        """Whether the picture has several tiles, so that other processes may compute some."""
        return len(self._tiles) > 1

    @torch.no_grad()
    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the total loss () of an image (1, 3, H, W) and its gradient with respect to it."""
        smoothness = self._weights.smoothness * SMOOTHNESS
        loss = smoothness * total_variation(image, self._visible)
        gradient = total_variation_gradient(image, self._visible).mul_(smoothness)
        compute = self._compute_in_tiles if self.is_tiled else self._compute_whole
        grams, results = compute(image)
        for number, tile_loss, tile_gradient in results:
            loss += tile_loss
            self._places[number].outer.of(gradient).add_(tile_gradient)
        return loss + _style_term(grams, self._tiles[0].style), gradient

    def _compute_whole(self, image: Tensor) -> tuple[TensorsByLayer, Iterable[TileResult]]:
        """Return the Gram matrices of a single tile and its result, both from the same features."""
        (tile,) = self._tiles
        seen = tile.see(image)
        grams = {layer: gram_matrix(*seen.pieces[layer]) for layer in tile.style.grams}
        return grams, [(0, *tile.loss_and_gradient(seen, grams))]

    def _compute_in_tiles(self, image: Tensor) -> tuple[TensorsByLayer, Iterable[TileResult]]:
        """Return the Gram matrices of the picture, and yield the results of its tiles."""
        images = [place.outer.of(image) for place in self._places]
        total = GramSum()
        for each in self._workers.gram_sums(self._tiles, images):
            total.add(each)
        grams = total.grams()
        return grams, self._workers.losses_and_gradients(self._tiles, images, grams)

    def _features(self, image: Tensor) -> TiledFeatures:
        """Return the tiled feature extractor for an image of this size."""
        size = size_of(image)
        if size not in self._extractors:  # once, because the free memory changes
            self._extractors[size] = self._extractor(image)
        return self._extractors[size]

    def _extractor(self, image: Tensor) -> TiledFeatures:
        layers = self._weights.layers
        height, width = size_of(image)
        usual_px = max(height, width) if height * width <= WHOLE_PIXELS else TILE_PX
        tile_px = tile_size.tile_px(self._network, layers, image, usual_px)
        return TiledFeatures(self._network, layers, tile_px, self._tile_scale)

    def _gram_sum(self, image: Tensor, visible: Tensor | None) -> GramSum:
        total = GramSum()
        for tile in self._features(image).compute(image, visible):
            total.add(GramSum.of(tile.pieces, self._weights.style_layers))
            del tile
        return total

    @torch.no_grad()
    def _compute_tiles(
        self, content: Tensor, styles: Sequence[Style], strength: float, init: Tensor
    ) -> list[TileLoss]:
        """Compute the targets of each tile."""
        weights, own, tiles = self._weights, GramSum(), list[PiecesByLayer]()
        compared = dict.fromkeys([*weights.content_layers, *weights.neighbour_layers])
        for tile in self._features(content).compute(content, self._visible):
            own.add(GramSum.of(tile.pieces, weights.style_layers))
            tiles.append({layer: _copy(tile.pieces[layer]) for layer in compared})
            del tile
        style = self._style_targets(own, styles, strength)
        neighbours = self._neighbours(tiles, init, styles, strength)
        terms = (
            normalised(tiles, weights.content_layers, weights.content * CONTENT_WEIGHT),
            normalised(neighbours, weights.neighbour_layers, weights.style * NEIGHBOUR_WEIGHT),
        )
        return [
            TileLoss(
                self._features(content),
                place.alone(),
                None if self._visible is None else place.outer.of(self._visible),
                compared,
                style,
            )
            for place, *compared in zip(self._places, *terms, strict=True)
        ]

    def _style_targets(self, own: GramSum, styles: Sequence[Style], strength: float) -> StyleTargets:
        """Compute the targets of the whole picture; `own` is the Gram sum of the content."""
        weights, grams = self._weights, self._interpolated_grams(own.grams(), styles, strength)
        mean_squares = {layer: gram.square().mean() for layer, gram in grams.items()}
        return StyleTargets(
            grams, scales(weights.style * STYLE_WEIGHT, weights.style_layers, mean_squares), own.positions
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


def _style_term(grams: TensorsByLayer, targets: StyleTargets) -> Tensor | int:
    """Compute β · Σ_l w_l · E_l, (): Gatys et al. 2016, eq. 5."""
    return sum(
        targets.scales[layer] * style_loss(gram, targets.grams[layer]) for layer, gram in grams.items()
    )


def _copy(piece: Piece) -> Piece:
    """Copy the features, because a view would keep the whole tile with its halo in memory."""
    return piece._replace(features=piece.features.clone())
