"""What the fine method minimises, and its gradient, for pictures of any size.

Knows image tensors and features; nothing of how the minimum is looked for. A picture that is larger
than a tile is gone through twice: first its tiles add up the Gram matrices of the whole, then each
gives its part of the gradient that these lead to. No seam can show, for none is computed.

Sources:
    Gatys et al. 2016, *Image Style Transfer Using Convolutional Neural Networks*, CVPR, eq. 7
    Galerne et al. 2024, *Scaling Painting Style Transfer*, EGSR, algorithm 1
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..imaging.resize import size_of
from ..imaging.style_image import Style, shares
from ..networks.registry import Network
from ..networks.tiled_features import Piece, TiledFeatures
from .losses import (
    TINY,
    content_gradient,
    content_loss,
    gram_matrix,
    positions,
    style_gradient,
    style_loss,
    total_variation,
    total_variation_gradient,
)

CONTENT_WEIGHT, STYLE_WEIGHT, SMOOTHNESS = 1.0, 10.0, 10.0
"""What the three settings' value of 1 stands for; chosen by eye."""
WHOLE_PIXELS = 1024 * 1024
"""A picture of no more is one tile, which takes half the time."""
TILE_PX = 512
"""Side of a larger picture's tiles."""

Values = dict[str, Tensor]
"""Gradients of features (1, C, h, w) or Gram matrices (C, C) by layer."""
Pieces = Mapping[str, Piece]


class Weights(NamedTuple):
    """What each part of the loss counts: multiples of the constants above, and the layers' shares."""

    content: float
    style: float
    smoothness: float
    content_layers: Mapping[str, float]
    style_layers: Mapping[str, float]


class Sums:
    """What the tiles of a picture add up to: Gram matrices and visible positions, by layer."""

    def __init__(self) -> None:
        self._grams: Values = {}
        self.positions: dict[str, float] = {}

    def add(self, pieces: Mapping[str, Piece], style_layers: Mapping[str, float]) -> None:
        """Count the pieces of one more tile."""
        for layer, piece in pieces.items():
            count = positions(*piece)
            self.positions[layer] = self.positions.get(layer, 0.0) + count
            if layer in style_layers:
                gram = gram_matrix(*piece).mul_(count)
                self._grams[layer] = gram.add_(self._grams[layer]) if layer in self._grams else gram

    def grams(self) -> Values:
        """The Gram matrices of the picture as a whole."""
        return {layer: total / max(self.positions[layer], TINY) for layer, total in self._grams.items()}


class Aim(NamedTuple):
    """What a picture is held against, found once in the content and the styles.

    `shapes` are the content layers' features of each tile, `grams` the style layers' Gram matrices.
    The scales are what a layer's loss counts in the sum, `positions` how many a layer has in all.
    """

    shapes: list[Pieces]
    grams: Values
    content_scales: dict[str, float]
    style_scales: dict[str, float]
    positions: dict[str, float]


class Objective:
    """Gatys et al. 2016, eq. 7, with total variation: a function from an image to loss and gradient.

    Differs from Gatys et al. 2016: each layer's loss is relative to the mean square of its target,
    so that the layers and the terms keep their balance for every picture and every network.

    Args:
        content: image tensor; the images asked about later have its size.
        styles: at the sizes at which they are looked at; their weights count in proportion.
        network: whose layers `weights` names.
        visible: (1, 1, H, W), how much each of the content's pixels counts; None for all in full.
        strength: the Gram matrices aimed at lie so far from the content's own to the styles'.
        weights: of the parts of the loss.

    Raises:
        ValueError: the network has no such layer, or no style weighs anything.
    """

    def __init__(
        self,
        content: Tensor,
        styles: Sequence[Style],
        *,
        network: Network,
        visible: Tensor | None,
        strength: float,
        weights: Weights,
    ) -> None:
        self._network, self._visible, self._weights = network, visible, weights
        self._aim = self._find_aim(content, styles, strength)

    @torch.no_grad()
    def __call__(self, image: Tensor) -> tuple[float, Tensor]:
        """The loss of an image tensor, and its gradient with respect to the image."""
        aim, smoothness = self._aim, self._weights.smoothness * SMOOTHNESS
        loss = smoothness * total_variation(image, self._visible).item()
        gradient = total_variation_gradient(image, self._visible).mul_(smoothness)
        one_tile = len(aim.shapes) == 1
        grams = {} if one_tile else self._sums(image, self._visible).grams()
        visits = self._features(image).visits(image, self._visible, differentiable=True)
        for visit, shapes in zip(visits, aim.shapes, strict=True):
            if one_tile:
                grams = {layer: gram_matrix(*visit.pieces[layer]) for layer in aim.grams}
            loss += _content_term(visit.pieces, shapes, aim)
            visit.pull(_feature_gradients(visit.pieces, shapes, grams, aim), gradient)
            del visit
        return loss + _style_term(grams, aim), gradient

    def _features(self, image: Tensor) -> TiledFeatures:
        """Those of the content or of a style, each cut as its own size wants it."""
        layers = dict.fromkeys([*self._weights.content_layers, *self._weights.style_layers])
        height, width = size_of(image)
        tile_px = max(height, width) if height * width <= WHOLE_PIXELS else TILE_PX
        return TiledFeatures(self._network, list(layers), tile_px)

    def _sums(self, image: Tensor, visible: Tensor | None) -> Sums:
        sums = Sums()
        for visit in self._features(image).visits(image, visible):
            sums.add(visit.pieces, self._weights.style_layers)
            del visit
        return sums

    @torch.no_grad()
    def _find_aim(self, content: Tensor, styles: Sequence[Style], strength: float) -> Aim:
        weights, own, shapes = self._weights, Sums(), list[Pieces]()
        for visit in self._features(content).visits(content, self._visible):
            own.add(visit.pieces, weights.style_layers)
            shapes.append({layer: _copied(visit.pieces[layer]) for layer in weights.content_layers})
            del visit
        grams = self._between(own.grams(), styles, strength)
        shape_powers = {
            layer: _mean_square([tile[layer] for tile in shapes]) for layer in weights.content_layers
        }
        gram_powers = {layer: gram.square().mean().item() for layer, gram in grams.items()}
        return Aim(
            shapes,
            grams,
            _scales(weights.content * CONTENT_WEIGHT, weights.content_layers, shape_powers),
            _scales(weights.style * STYLE_WEIGHT, weights.style_layers, gram_powers),
            own.positions,
        )

    def _between(self, own: Values, styles: Sequence[Style], strength: float) -> Values:
        """The Gram matrices between the content's own and the mean of the styles', as far as `strength`."""
        grams = {layer: gram * (1 - strength) for layer, gram in own.items()}
        for style, share in zip(styles, shares(styles), strict=True):
            for layer, gram in self._sums(style.image, style.visible).grams().items():
                grams[layer].add_(gram, alpha=strength * share)
        return grams


def _content_term(pieces: Pieces, shapes: Pieces, aim: Aim) -> float:
    """What a tile adds to the content loss."""
    return sum(
        aim.content_scales[layer]
        * _share(pieces, layer, aim)
        * content_loss(pieces[layer].features, shape.features, shape.visible).item()
        for layer, shape in shapes.items()
    )


def _style_term(grams: Values, aim: Aim) -> float:
    scaled = ((aim.style_scales[layer], style_loss(gram, aim.grams[layer])) for layer, gram in grams.items())
    return sum(scale * loss.item() for scale, loss in scaled)


def _feature_gradients(pieces: Pieces, shapes: Pieces, grams: Values, aim: Aim) -> Values:
    """The loss' gradient with respect to a tile's own features."""
    gradients: Values = {}
    for layer, (features, visible) in pieces.items():
        share = _share(pieces, layer, aim)
        if layer in grams:
            difference = (grams[layer] - aim.grams[layer]) * (share * aim.style_scales[layer])
            gradients[layer] = style_gradient(features, difference, visible)
        if layer in shapes:
            pull = content_gradient(features, shapes[layer].features, visible)
            pull.mul_(share * aim.content_scales[layer])
            gradients[layer] = gradients[layer].add_(pull) if layer in gradients else pull
    return gradients


def _share(pieces: Pieces, layer: str, aim: Aim) -> float:
    """A tile's part of the positions that the means over the whole picture are taken of."""
    return positions(*pieces[layer]) / max(aim.positions[layer], TINY)


def _scales(weight: float, layers: Mapping[str, float], powers: Mapping[str, float]) -> dict[str, float]:
    total = sum(layers.values())
    return {layer: weight * share / total / max(powers[layer], TINY) for layer, share in layers.items()}


def _mean_square(pieces: Sequence[Piece]) -> float:
    counts = [positions(*piece) for piece in pieces]
    means = [content_loss(features, torch.zeros_like(features), seen).item() for features, seen in pieces]
    return sum(count * mean for count, mean in zip(counts, means, strict=True)) / max(sum(counts), TINY)


def _copied(piece: Piece) -> Piece:
    """The same without the tile that it is a view of."""
    return piece._replace(features=piece.features.clone())
