"""Content loss, style loss and total variation, each with its gradient: Gatys et al. 2016, eq. 1 to 6.

Pure functions of one layer's features (1, C, h, w), of Gram matrices (C, C) or of images (1, 3, H, W).
In the paper's notation C is N_l, h·w is M_l, the features are F_l and the Gram matrix is G_l.
`fine_loss` adds the layers up to the total loss, eq. 7.

`visible` (1, 1, h, w), in [0, 1], weights the positions; None stands for 1 everywhere. The gradients
are explicit formulas because autograd would keep several copies of every feature map. Sums over all
positions are written as 1×1 convolutions because torch's products of long, narrow matrices take twice
the time on some processors.

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
"""Lower bound of divisors: 0 / 0 becomes 0."""


Count = float | Tensor
"""A number of positions. A sum stays on its device, (), because the processor would have to wait for it."""


def position_count(features: Tensor, visible: Tensor | None = None) -> Count:
    """Return the number of positions h·w of features (1, C, h, w), or the sum of `visible`; never 0."""
    height, width = features.shape[-2:]
    return float(height * width) if visible is None else visible.sum().clamp_min(TINY)


# ── Content: eq. 1 and 2 ───────────────────────────────────────────────────────────────────────────


def content_loss(features: Tensor, target: Tensor, visible: Tensor | None = None) -> Tensor:
    """Compute the mean squared difference of two feature maps (1, C, h, w): Gatys et al. 2016, eq. 1.

    Differs from Gatys et al. 2016: the mean of the squares instead of half their sum, so the loss does
    not grow with the size of the picture.
    """
    squares = (features - target).square_()
    return _weighted(squares, visible).sum() / _value_count(features, visible)


def content_gradient(features: Tensor, target: Tensor, visible: Tensor | None = None) -> Tensor:
    """Compute the gradient (1, C, h, w) of `content_loss` with respect to the features.

    Gatys et al. 2016, eq. 2. The paper's case F < 0 is left to the backward pass of the ReLU.
    """
    return _weighted((features - target).mul_(2 / _value_count(features, visible)), visible)


# ── Style: eq. 3, 4 and 6 ──────────────────────────────────────────────────────────────────────────


def gram_matrix(features: Tensor, visible: Tensor | None = None) -> Tensor:
    """Compute the Gram matrix (C, C) of features (1, C, h, w): Gatys et al. 2016, eq. 3.

    Each element is the inner product of two channels over all positions.
    Differs from Gatys et al. 2016: divided by the number of positions h·w, so the matrices of pictures
    of different sizes are comparable.
    """
    channels = features.shape[1]
    size, weighted = (channels, channels, 1, 1), _weighted(features, visible)
    products: Tensor = conv2d_weight(features, size, weighted)  # type: ignore[no-untyped-call]
    return products[:, :, 0, 0] / position_count(features, visible)  # (C, C, 1, 1) to (C, C)


def style_loss(gram: Tensor, target: Tensor) -> Tensor:
    """Compute the mean squared difference of two Gram matrices (C, C): Gatys et al. 2016, eq. 4.

    Differs from Gatys et al. 2016: without the factor 1/4. The division by M_l² is in `gram_matrix`.
    """
    return (gram - target).square().mean()


def style_gradient(features: Tensor, difference: Tensor, visible: Tensor | None = None) -> Tensor:
    """Compute the gradient of `style_loss` with respect to the features: Gatys et al. 2016, eq. 6.

    `difference` (C, C) is the Gram matrix of the features minus the target; it is symmetric.
    """
    scale = 4 / (difference.numel() * position_count(features, visible))
    return _weighted(conv2d(features, (difference * scale)[:, :, None, None]), visible)


# ── Smoothness: Mahendran and Vedaldi 2015 ─────────────────────────────────────────────────────────


def total_variation(image: Tensor, visible: Tensor | None = None) -> Tensor:
    """Compute the mean squared difference between neighbours in (1, C, H, W), H and W at least 2.

    Mahendran and Vedaldi 2015, section 3.1, with the exponent β = 2. A pair of neighbours is weighted
    by the product of their visibilities.
    """
    down, right = (
        content_loss(*_neighbours(image, axis), _pair_visibility(visible, axis)) for axis in (-2, -1)
    )
    return down + right


def total_variation_gradient(image: Tensor, visible: Tensor | None = None) -> Tensor:
    """Compute the gradient (1, C, H, W) of `total_variation` with respect to the image."""
    gradient = torch.zeros_like(image)
    for axis in (-2, -1):
        change = content_gradient(*_neighbours(image, axis), _pair_visibility(visible, axis))
        first, second = _neighbours(gradient, axis)
        first.add_(change)
        second.sub_(change)
    return gradient


def _neighbours(values: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Return two views of `values`: without the last and without the first position along `axis`."""
    length = values.shape[axis] - 1
    return values.narrow(axis, 0, length), values.narrow(axis, 1, length)


def _pair_visibility(visible: Tensor | None, axis: int) -> Tensor | None:
    return None if visible is None else torch.mul(*_neighbours(visible, axis))


def _weighted(values: Tensor, visible: Tensor | None) -> Tensor:
    return values if visible is None else values * visible


def _value_count(features: Tensor, visible: Tensor | None) -> Count:
    """Return the number of values C·h·w, each weighted by its visibility; never 0."""
    return features.shape[1] * position_count(features, visible)
