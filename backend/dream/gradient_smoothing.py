"""A dream's gradient without its high-frequency noise.

Knows gradients of images, (1, 3, H, W); nothing of where they come from. Their scale has no meaning
here: whoever takes a step normalises it.

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
LEVELS = 4


def gaussian(gradient: Tensor) -> Tensor:
    """The gradient, blurred with a standard deviation of 1.5 px: what is smaller does not grow."""
    side = min(*size_of(gradient), 11)
    blurred: Tensor = torchvision.transforms.functional.gaussian_blur(gradient, side - 1 + side % 2, SIGMA_PX)
    return blurred


def laplacian(gradient: Tensor, levels: int = LEVELS) -> Tensor:
    """The gradient with every octave of its frequencies at the same strength, a root mean square of 1.

    Differs from Mordvintsev 2016: the pyramid shrinks and enlarges with an antialiased bicubic
    filter, not with Burt and Adelson's, and ends early where a side is a single pixel.
    """
    height, width = size_of(gradient)
    if levels == 0 or min(height, width) == 1:
        return _normalised(gradient)
    coarse = resize(gradient, (height // 2, width // 2))
    fine = gradient - resize(coarse, (height, width))
    return _normalised(fine).add_(resize(laplacian(coarse, levels - 1), (height, width)))


def _normalised(band: Tensor) -> Tensor:
    return band / band.square().mean().sqrt().clamp_min(torch.finfo(band.dtype).tiny)
