"""Colours of content and style.

There are two ways to keep the content's: recolour the style beforehand, or the pastiche afterwards. A third
function takes colours away that the styles lack.

Source: Gatys, Bethge, Hertzmann and Shechtman 2016, *Preserving Color in Neural Artistic Style
Transfer*, arXiv 1606.05897, sections 3.1 (colour histogram matching) and 3.2 (luminance only).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from atelier_shared.sizes import fit

from .resize import resize, size_of
from .style_image import Style, refuse_hidden, shares

YIQ_LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luminance Y of YIQ."""
MIN_VARIANCE = 255.0**-2
"""Lower limit of a colour's variance, that of one 8-bit step, so that noise is not amplified."""
MEASURED_PX = 256
"""Longest side of a picture whose variety of colours is measured."""
VIVIDNESS = 2.0
"""Styles with half the content's variety of colours count as equally colourful."""


def matched(style: Style, content: Tensor, visible: Tensor | None) -> Style:
    """Recolour the style linearly, so that its RGB have the mean and covariance of the content's.

    Gatys et al. 2016, eq. 2 to 6, with the symmetric square roots of Image Analogies. The moments are
    weighted by visibility, in the style and in the content. The result is clipped to [0, 1].

    Args:
        style: a style of any size.
        content: image tensor of any size.
        visible: visibility (1, 1, H, W) of the content, not 0 everywhere; None for 1 everywhere.

    Raises:
        ValueError: the style is fully transparent.
    """
    refuse_hidden(style)
    mean, covariance = _moments(content, visible)
    own_mean, own_covariance = _moments(style.image, style.visible)
    linear = _power(covariance, 0.5) @ _power(own_covariance, -0.5)  # (3, 3)
    offset = mean - linear @ own_mean
    image = torch.einsum("ij,bjhw->bihw", linear, style.image) + offset[:, None, None]
    return style._replace(image=image.clamp(0, 1))


def with_colours_of(image: Tensor, content: Tensor) -> Tensor:
    """Combine the luminance of `image` with the chrominance of `content`, at the size of `image`.

    Differs from Gatys et al. 2016, section 3.2: it accepts any pastiche, not only one made from
    luminances. So the user can choose it after painting, at no cost.
    """
    content = resize(content, size_of(image))
    # In YIQ, a change of luminance adds the same amount to red, green and blue.
    return (content + _luminance(image) - _luminance(content)).clamp(0, 1)


def subdued(image: Tensor, visible: Tensor | None, styles: Sequence[Style], strength: float = 1.0) -> Tensor:
    """Return `image` (1, 3, H, W) with fewer colours if the styles have few.

    Networks recognise things by their colours, too. So a painting in a grey style would have coloured specks
    where the photograph has colours. The variety of colours is the deviation of the chrominance. If that of
    the styles is at least 1 / VIVIDNESS of the image's, the image is returned as it is. Otherwise its
    chrominance comes closer to the styles' mean.

    Args:
        image: image tensor.
        visible: visibility (1, 1, h, w) of the image; None for 1 everywhere.
        styles: their colours are averaged by weight.
        strength: from 0, the image itself, to 1.
    """
    mean, variance = _chrominance(image, visible)
    style_mean, style_variance = _mixed_chrominance(styles)
    share = VIVIDNESS * (style_variance / variance.clamp_min(MIN_VARIANCE)).sqrt()
    kept = 1 - strength * (1 - share)
    grey, centre = _luminance(image), torch.lerp(style_mean, mean, kept)
    made = ((image - grey - mean) * kept + centre + grey).clamp_(0, 1)
    return torch.where(share < 1, made, image)  # an `if` would wait for the device


def _mixed_chrominance(styles: Sequence[Style]) -> tuple[Tensor, Tensor]:
    """Return mean and variance of the chrominance of several styles together."""
    found = zip(*(_chrominance(style.image, style.visible) for style in styles), strict=True)
    means, variances = (torch.cat(values) for values in found)  # (n, 3, 1, 1) and (n, 1, 1, 1)
    weights = means.new_tensor(shares(styles))[:, None, None, None]
    mean = (weights * means).sum(dim=0, keepdim=True)
    variances = variances + (means - mean).square().sum(dim=1, keepdim=True)
    return mean, (weights * variances).sum(dim=0, keepdim=True)


def _chrominance(image: Tensor, visible: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return mean (1, 3, 1, 1) and variance (1, 1, 1, 1) of an image's colours minus their luminance."""
    size = fit(size_of(image), MEASURED_PX)
    image, visible = resize(image, size), None if visible is None else resize(visible, size).clamp(0, 1)
    mean, covariance = _moments(image - _luminance(image), visible)
    return mean[None, :, None, None], covariance.trace()[None, None, None, None]


def _luminance(image: Tensor) -> Tensor:
    """Return the luminance (1, 1, H, W) of an image tensor (1, 3, H, W)."""
    return torch.einsum("c,bchw->bhw", image.new_tensor(YIQ_LUMA), image)[:, None]


def _moments(image: Tensor, visible: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the mean (3,) and the covariance (3, 3) of an image's colours, weighted by visibility."""
    colours = image[0].flatten(start_dim=1)  # (3, H*W)
    weights = torch.ones_like(colours[0]) if visible is None else visible.flatten()
    weights = weights / weights.sum()
    mean = (colours * weights).sum(dim=1)  # a matrix product would accumulate rounding errors
    colours = colours - mean[:, None]
    return mean, colours * weights @ colours.T


def _power(covariance: Tensor, exponent: float) -> Tensor:
    """Return the symmetric power of a covariance matrix (3, 3), by its eigenvalues."""
    values, vectors = torch.linalg.eigh(covariance.cpu())  # MPS has no eigh
    power: Tensor = vectors @ values.clamp_min(MIN_VARIANCE).pow(exponent).diag() @ vectors.T
    return power.to(covariance.device)
