"""The content's colours kept: in the style before it is learnt, or in the pastiche after it is painted.

Knows image tensors; nothing of networks.

Source: Gatys, Bethge, Hertzmann and Shechtman 2016, *Preserving Color in Neural Artistic Style
Transfer*, arXiv 1606.05897, sections 3.1 (colour histogram matching) and 3.2 (luminance only).
"""

from __future__ import annotations

import torch
from torch import Tensor

from .resize import resize, size_of
from .style_image import Style, refuse_hidden

YIQ_LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luminance Y of YIQ."""
LEAST_VARIANCE = 255.0**-2
"""That of a difference of one 8-bit step: a colour that varies less is not spread any wider."""


def matched(style: Style, content: Tensor, visible: Tensor | None) -> Style:
    """The style in the content's colours: the mean and the covariance of its RGB become the content's.

    Gatys et al. 2016, eq. 2 to 6, with the symmetric square roots of Image Analogies. Only visible
    pixels count on either side; what leaves [0, 1] is clipped.

    Args:
        style: of any size.
        content: image tensor of any size.
        visible: (1, 1, H, W) of the content, not 0 everywhere; None for all of it.

    Raises:
        ValueError: nothing of the style is visible.
    """
    refuse_hidden(style)
    mean, covariance = _moments(content, visible)
    own_mean, own_covariance = _moments(style.image, style.visible)
    linear = _power(covariance, 0.5) @ _power(own_covariance, -0.5)
    offset = mean - linear @ own_mean
    image = torch.einsum("ij,bjhw->bihw", linear, style.image) + offset[:, None, None]
    return style._replace(image=image.clamp(0, 1))


def with_colours_of(image: Tensor, content: Tensor) -> Tensor:
    """The luminance of `image` with the chrominance of `content`, at the size of `image`.

    Differs from Gatys et al. 2016, section 3.2: any pastiche is taken, not one that was painted from
    luminances alone, so the choice costs nothing and can be made afterwards.
    """
    content = resize(content, size_of(image))
    # In YIQ a change of luminance alone adds the same to red, green and blue.
    return (content + _luminance(image) - _luminance(content)).clamp(0, 1)


def _luminance(image: Tensor) -> Tensor:
    return torch.einsum("c,bchw->bhw", image.new_tensor(YIQ_LUMA), image)[:, None]


def _moments(image: Tensor, visible: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean (3) and covariance (3, 3) of an image's colours."""
    colours = image[0].flatten(start_dim=1)
    weights = torch.ones_like(colours[0]) if visible is None else visible.flatten()
    weights = weights / weights.sum()
    mean = (colours * weights).sum(dim=1)  # a product of matrices would round too often
    colours = colours - mean[:, None]
    return mean, colours * weights @ colours.T


def _power(covariance: Tensor, exponent: float) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance.cpu())  # MPS has no eigh
    power: Tensor = vectors @ values.clamp_min(LEAST_VARIANCE).pow(exponent).diag() @ vectors.T
    return power.to(covariance.device)
