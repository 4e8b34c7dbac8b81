"""What style transfer minimises: content, style and total variation.

Pure functions of feature maps and images; they know neither networks nor the optimiser.

Sources:
    Gatys et al. 2016, *Image Style Transfer Using Convolutional Neural Networks*, CVPR, eq. 1-5
    Mahendran and Vedaldi 2015, *Understanding Deep Image Representations*, CVPR, section 3.1
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import mse_loss


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """Gatys et al. 2016, eq. 1, of two feature maps (1, C, h, w).

    Differs from Gatys et al. 2016: the mean of the squares and not half their sum, so that it
    weighs the same at every size.
    """
    return mse_loss(features, target)


def gram_matrix(features: Tensor) -> Tensor:
    """Gatys et al. 2016, eq. 3: how the channels of (1, C, h, w) go together, as (C, C).

    Differs from Gatys et al. 2016: divided by the number of positions h·w, so that pictures of
    different sizes can be compared.
    """
    rows = features.flatten(start_dim=2)[0]  # (C, h*w)
    return rows @ rows.T / rows.shape[1]


def style_loss(features: Tensor, target: Tensor) -> Tensor:
    """Gatys et al. 2016, eq. 4, of a feature map (1, C, h, w) and the style's Gram matrix (C, C)."""
    return mse_loss(gram_matrix(features), target)


def total_variation(image: Tensor) -> Tensor:
    """Mean of the squared differences between neighbours of (..., H, W), H and W at least 2."""
    down = image[..., 1:, :] - image[..., :-1, :]
    right = image[..., :, 1:] - image[..., :, :-1]
    return down.square().mean() + right.square().mean()
