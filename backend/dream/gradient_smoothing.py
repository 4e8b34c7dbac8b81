"""Filters against high-frequency noise in a dream's gradient, (1, 3, H, W) to (1, 3, H, W).

The scale of the results has no meaning, because a step normalises the gradient.

Sources:
    Mordvintsev 2016, *DeepDreaming with TensorFlow*, section "Laplacian Pyramid Gradient Normalization"
    Burt and Adelson 1983, *The Laplacian Pyramid as a Compact Image Code*
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..compat.torchvision_import import torchvision
from ..imaging.resize import resize, size_of

SIGMA_PX = 1.5
MAX_KERNEL_PX = 11
LEVELS = 4


def gaussian(gradient: Tensor) -> Tensor:
    """Blur the gradient with a standard deviation of 1.5 px, so that smaller patterns do not grow."""
    side = min(*size_of(gradient), MAX_KERNEL_PX)
    odd_side = side - 1 + side % 2
    blurred: Tensor = torchvision.transforms.functional.gaussian_blur(gradient, odd_side, SIGMA_PX)
    return blurred


def laplacian(gradient: Tensor, levels: int = LEVELS) -> Tensor:
    """Scale every octave of the gradient's frequencies to a root mean square of 1.

    Differs from Mordvintsev 2016: the pyramid is built with an antialiased bicubic filter, not Burt
    and Adelson's, and ends early if a side is a single pixel.
    """
    height, width = size_of(gradient)
    if levels == 0 or min(height, width) == 1:
        return _normalised(gradient)
    coarse = resize(gradient, (height // 2, width // 2))  # (1, 3, H // 2, W // 2)
    fine = gradient - resize(coarse, (height, width))
    return _normalised(fine).add_(resize(laplacian(coarse, levels - 1), (height, width)))


def _normalised(band: Tensor) -> Tensor:
    return band / band.square().mean().sqrt().clamp_min(torch.finfo(band.dtype).tiny)
