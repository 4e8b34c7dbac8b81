"""Objectives of a dream: layers, their channels, a class of ImageNet, or the features of a guide picture.

An objective gives every position of a feature map a score. DeepDream increases the sum of all scores;
since it is a sum over positions, it can be computed tile by tile.

Sources:
    Mordvintsev, Olah and Tyka 2015, *Inceptionism: Going Deeper into Neural Networks*, and the
    notebook that its authors published with it (google/deepdream): layers, guide
    Simonyan, Vedaldi and Zisserman 2014, *Deep Inside Convolutional Networks*, ICLR workshop,
    section 2: classes
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from atelier_shared.deferred_translation import N_
from atelier_shared.errors import Wrong
from atelier_shared.sizes import fit

from ..imaging.resize import resize, size_of
from ..networks.feature_network import FeatureNetwork, check_channels
from ..networks.matching import best_matches, visible_columns
from ..networks.tiled_features import TiledFeatures
from ..networks.torchvision_models import CLASSES

GUIDE_PX = 512
"""Longest side at which the guide's features are computed."""


@dataclass(frozen=True)
class DreamObjective:
    """A differentiable function of a network's features, to be increased.

    Attributes:
        weights: share of each layer in the ascent, by name. It is independent of the features' scale.
        scores: from a layer's name and features of any part of the picture, (1, C, h, w), to the score
            of each position, (1, h, w).
    """

    weights: Mapping[str, float]
    scores: Callable[[str, Tensor], Tensor]

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of its layers."""
        return tuple(self.weights)


def activation(layers: Mapping[str, float], channels: range | None = None) -> DreamObjective:
    """Return the objective of the authors' notebook: half the sum of the squared features.

    Args:
        layers: names and weights.
        channels: the channels that count in each of the layers; None for all. `scores` raises a
            ValueError for a layer without these channels.
    """

    def scores(layer: str, features: Tensor) -> Tensor:
        if channels is not None:
            features = _select(channels, features, layer)
        return features.square().sum(dim=1) / 2  # (1, C, h, w) to (1, h, w)

    return DreamObjective(layers, scores)


def class_logit(index: int) -> DreamObjective:
    """Return the logit of ImageNet's class `index`, computed by the network's classifier at every position.

    A network without a classifier has no such layer; it raises a ValueError.
    """

    def scores(layer: str, features: Tensor) -> Tensor:
        return _select(range(index, index + 1), features, layer)[:, 0]

    return DreamObjective({CLASSES: 1.0}, scores)


def guide(
    image: Tensor, layers: Mapping[str, float], network: FeatureNetwork, visible: Tensor | None = None
) -> DreamObjective:
    """Return the dot product of every position's features with the guide's features that match it best.

    Args:
        image: the guide, an image tensor of any size.
        layers: names and weights.
        network: the network of the dream.
        visible: visibility (1, 1, H, W) of the guide; hidden positions are no matches. None for 1
            everywhere.

    Raises:
        ValueError: the guide is fully transparent.
    """
    if visible is not None and not visible.any():
        raise Wrong(N_("The guide picture is fully transparent. Choose another picture or another area."))
    size = fit(size_of(image), GUIDE_PX, network.minimum_px)
    small_visible = None if visible is None else resize(visible, size).clamp(0, 1)
    tiled = TiledFeatures(network, list(layers), tile_px=max(size))
    (whole,) = tiled.compute(resize(image, size).clamp(0, 1), small_visible)
    guides = {layer: visible_columns(piece) for layer, piece in whole.pieces.items()}

    def scores(layer: str, features: Tensor) -> Tensor:
        return (features * best_matches(features, guides[layer])).sum(dim=1)  # (1, C, h, w) to (1, h, w)

    return DreamObjective(layers, scores)


def _select(channels: range, features: Tensor, layer: str) -> Tensor:
    """Return these channels of a layer's features; raise a ValueError if it does not have them all."""
    check_channels(layer, channels, features.shape[1])
    return features[:, channels.start : channels.stop]
