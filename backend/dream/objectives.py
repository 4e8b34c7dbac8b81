"""What is dreamt of: layers, their channels, a class of ImageNet, or the features of a guide picture.

An objective says how much every position of a feature map is to be excited. Their sum is what
DeepDream raises, so it can be computed tile by tile. Knows features; neither octaves nor tiles.

Sources:
    Mordvintsev, Olah and Tyka 2015, *Inceptionism: Going Deeper into Neural Networks*, and the
    notebook that its authors published with it (google/deepdream): layers, guide
    Simonyan, Vedaldi and Zisserman 2014, *Deep Inside Convolutional Networks*, ICLR workshop,
    section 2: classes
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..imaging.resize import fit, resize, size_of
from ..networks.registry import Network
from ..networks.tiled_features import Piece, TiledFeatures
from ..networks.torchvision_models import CLASSES

GUIDE_PX = 512
"""Longest side at which a guide is looked at."""

MATCHES = 2**24
"""Dot products held at a time, 64 MiB: all of a picture's positions with all of a guide's are too many."""


@dataclass(frozen=True)
class Objective:
    """What is to rise: at each layer the sum of `excitement` over all positions.

    Attributes:
        weights: how much of the ascent each layer has, whatever the scale of its features.
        excitement: from a layer's name and any part of its features (1, C, h, w) to (1, h, w),
            what each position adds; differentiable.
    """

    weights: Mapping[str, float]
    excitement: Callable[[str, Tensor], Tensor]

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers it looks at."""
        return tuple(self.weights)


def activation(layers: Mapping[str, float], channels: range | None = None) -> Objective:
    """Half the sum of the squared features, the objective of the authors' notebook.

    Args:
        layers: names and weights.
        channels: those that count, in each of the layers; None is all of them. Where a layer does
            not have them all, looking at it raises a ValueError that says which ones it has.
    """

    def excitement(layer: str, features: Tensor) -> Tensor:
        if channels is not None:
            features = _only(channels, features, layer)
        return features.square().sum(dim=1) / 2

    return Objective(layers, excitement)


def class_logit(index: int) -> Objective:
    """The logit of ImageNet's class `index`, which the network's classifier finds at every position.

    A network that has no classifier has no layer of that name, and says so with a ValueError.
    """

    def excitement(layer: str, features: Tensor) -> Tensor:
        return _only(range(index, index + 1), features, layer)[:, 0]

    return Objective({CLASSES: 1.0}, excitement)


def guide(
    image: Tensor, layers: Mapping[str, float], network: Network, visible: Tensor | None = None
) -> Objective:
    """Every position is drawn to that of the guide with which its features' dot product is largest.

    Args:
        image: the guide, an image tensor of any size.
        layers: names and weights.
        network: the network that will dream.
        visible: (1, 1, H, W), where it is 0 the guide has nothing to offer; None for all of it.

    Raises:
        ValueError: nothing of the guide is visible.
    """
    if visible is not None and not visible.any():
        raise ValueError("Nothing of the guide picture is visible; choose another, or another part of it.")
    size = fit(size_of(image), GUIDE_PX, network.minimum_px)
    seen = None if visible is None else resize(visible, size).clamp(0, 1)
    features = TiledFeatures(network, list(layers), max(size))
    (whole,) = features.visits(resize(image, size).clamp(0, 1), seen)
    guides = {layer: _vectors(piece) for layer, piece in whole.pieces.items()}

    def excitement(layer: str, features: Tensor) -> Tensor:
        return (features * best_matches(features, guides[layer])).sum(dim=1)

    return Objective(layers, excitement)


def best_matches(features: Tensor, guide: Tensor) -> Tensor:
    """For every position of (1, C, h, w) that column of `guide` (C, n) with the largest dot product."""
    columns = features.detach().flatten(start_dim=2)[0]  # (C, h*w)
    at_a_time = max(1, MATCHES // guide.shape[1])
    best = [(part.T @ guide).argmax(dim=1) for part in torch.split(columns, at_a_time, dim=1)]
    return guide[:, torch.cat(best)].view_as(features)


def _vectors(piece: Piece) -> Tensor:
    """The features at positions at least half as visible as the most visible one, as columns (C, n)."""
    columns = piece.features.flatten(start_dim=2)[0]
    if piece.visible is None:
        return columns
    counts = piece.visible.flatten()
    return columns[:, counts >= counts.max() / 2]


def _only(channels: range, features: Tensor, layer: str) -> Tensor:
    count = features.shape[1]
    if not 0 <= channels.start < channels.stop <= count:
        wanted = f"{channels.start} to {channels.stop - 1}"
        raise ValueError(f"{layer} has the channels 0 to {count - 1}, not {wanted}; choose among those.")
    return features[:, channels.start : channels.stop]
