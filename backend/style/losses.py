"""What style transfer minimises: content, style and total variation, each with its gradient.

Pure functions of feature maps and images; they know neither networks nor the optimiser. In all of
them `visible` (1, 1, h, w), at least 0, weighs the positions; None stands for one everywhere. The
gradients are written out because autograd would keep several copies of every feature map for them.
Sums over all positions are written as 1×1 convolutions: torch's products of long, narrow matrices
take twice the time on some processors.

Sources:
    Gatys et al. 2016, *Image Style Transfer Using Convolutional Neural Networks*, CVPR, eq. 1-6
    Gatys et al. 2017, *Controlling Perceptual Factors in Neural Style Transfer*, CVPR, eq. 5 (masks)
    Mahendran and Vedaldi 2015, *Understanding Deep Image Representations*, CVPR, section 3.1
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d
from torch.nn.grad import conv2d_weight

TINY = 1e-30
"""Keeps nothing divided by nothing at 0."""


def positions(features: Tensor, visible: Tensor | None = None) -> float:
    """How many positions features (1, C, h, w) have, each counted as far as it is visible."""
    height, width = features.shape[-2:]
    return float(height * width) if visible is None else visible.sum().item()


def content_loss(features: Tensor, target: Tensor, visible: Tensor | None = None) -> Tensor:
    """Gatys et al. 2016, eq. 1, of two feature maps (1, C, h, w).

    Differs from Gatys et al. 2016: the mean of the squares and not half their sum, so that it
    weighs the same at every size.
    """
    squares = (features - target).square_()
    return _weighed(squares, visible).sum() / _values(features, visible)


def content_gradient(features: Tensor, target: Tensor, visible: Tensor | None = None) -> Tensor:
    """Gatys et al. 2016, eq. 2: that of `content_loss` with respect to its features."""
    return _weighed((features - target).mul_(2 / _values(features, visible)), visible)


def gram_matrix(features: Tensor, visible: Tensor | None = None) -> Tensor:
    """Gatys et al. 2016, eq. 3: how the channels of (1, C, h, w) go together, as (C, C).

    Differs from Gatys et al. 2016: divided by the number of positions h·w, so that pictures of
    different sizes can be compared.
    """
    channels = features.shape[1]
    size, weighed = (channels, channels, 1, 1), _weighed(features, visible)
    products: Tensor = conv2d_weight(features, size, weighed)  # type: ignore[no-untyped-call]
    return products[:, :, 0, 0] / max(positions(features, visible), TINY)


def style_loss(gram: Tensor, target: Tensor) -> Tensor:
    """Gatys et al. 2016, eq. 4, of two Gram matrices (C, C)."""
    return (gram - target).square().mean()


def style_gradient(features: Tensor, difference: Tensor, visible: Tensor | None = None) -> Tensor:
    """Gatys et al. 2016, eq. 6: that of `style_loss` with respect to the features (1, C, h, w).

    `difference` (C, C), symmetric, is the features' Gram matrix less the target.
    """
    scale = 4 / (difference.numel() * max(positions(features, visible), TINY))
    return _weighed(conv2d(features, (difference * scale)[:, :, None, None]), visible)


def total_variation(image: Tensor, visible: Tensor | None = None) -> Tensor:
    """Mean of the squared differences between neighbours of (1, C, H, W), H and W at least 2.

    Two neighbours count as far as both of them are visible.
    """
    down, right = (content_loss(*_neighbours(image, axis), _both(visible, axis)) for axis in (-2, -1))
    return down + right


def total_variation_gradient(image: Tensor, visible: Tensor | None = None) -> Tensor:
    """That of `total_variation` with respect to the image."""
    gradient = torch.zeros_like(image)
    for axis in (-2, -1):
        change = content_gradient(*_neighbours(image, axis), _both(visible, axis))
        first, second = _neighbours(gradient, axis)
        first.add_(change)
        second.sub_(change)
    return gradient


def _neighbours(values: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """All but the last along an axis, and all but the first: views of `values`."""
    length = values.shape[axis] - 1
    return values.narrow(axis, 0, length), values.narrow(axis, 1, length)


def _both(visible: Tensor | None, axis: int) -> Tensor | None:
    return None if visible is None else torch.mul(*_neighbours(visible, axis))


def _weighed(values: Tensor, visible: Tensor | None) -> Tensor:
    return values if visible is None else values * visible


def _values(features: Tensor, visible: Tensor | None) -> float:
    """How many values a mean over all channels and positions is taken of; never 0."""
    return max(features.shape[1] * positions(features, visible), TINY)
