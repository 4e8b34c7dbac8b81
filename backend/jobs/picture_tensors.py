"""Conversion between the protocol's pictures and image tensors (1, 3, H, W), with alpha kept apart.

Sources:
    Gortler et al. 1996, *The Lumigraph*, SIGGRAPH, section 3.4 (pull-push)
    ITU-R BT.709-6, item 3.2 (luma)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from atelier_shared.deferred_translation import N_
from atelier_shared.errors import Wrong
from atelier_shared.messages import CHANNELS, Picture
from atelier_shared.sizes import fit

from ..imaging.resize import resize, size_of
from . import picture_arrays, primaries
from .picture_arrays import as_array, as_picture

WHITE = {"u8": 255.0, "u16": 65535.0, "f32": 1.0}
REC_709_LUMA = (0.2126, 0.7152, 0.0722)


class VisibleImage(NamedTuple):
    """An image tensor (1, 3, H, W) and its visibility (1, 1, H, W) in [0, 1]; None for 1 everywhere."""

    image: Tensor
    visible: Tensor | None


def read(picture: Picture) -> VisibleImage:
    """Read the colours as an image tensor (1, 3, H, W), and alpha as its visibility unless fully opaque.

    Gray is replicated to three channels. Other primaries and curves are converted to those of sRGB. Values
    are clamped to [0, 1]. Fully transparent pixels have arbitrary colours; these are replaced by the colours
    of the nearest other pixels.

    Raises:
        ValueError: a value of a float picture is infinite or not a number.
    """
    planes = np.moveaxis(as_array(picture), -1, 0).astype(np.float32, order="C")
    if not np.isfinite(planes).all():
        raise Wrong(N_("The picture has infinite or undefined pixel values. Flatten or repair it first."))
    planes /= WHITE[picture.depth]
    colours, alpha = torch.from_numpy(planes)[None].tensor_split([_colour_channels(picture)], dim=1)
    if primaries.differ(picture):
        colours = primaries.in_srgb(colours, picture)
    colours, alpha = colours.clamp_(0, 1), alpha.clamp_(0, 1)
    hides = _has_alpha(picture) and bool((alpha < 1).any())
    if hides:
        colours = fill_transparent(colours, alpha)
    return VisibleImage(colours.expand(1, 3, -1, -1).contiguous(), alpha if hides else None)


def write(image: Tensor, like: Picture, *, opaque: bool = False) -> Picture:
    """Convert an image tensor (1, 3, H, W) to the channels and depth of `like`, a picture of its size.

    The alpha of `like` and the colours of its fully transparent pixels are kept bit for bit, unless
    `opaque` is set: then alpha is 1. Gray is the Rec. 709 luma of the encoded values. Colours are converted
    to the primaries of `like`. Values are clamped to [0, 1].
    """
    image = image.detach().to("cpu", torch.float32).clamp(0, 1)[0]
    colours = _colour_channels(like)
    if colours == 1:
        image = torch.tensordot(torch.tensor(REC_709_LUMA), image, dims=1)[None]
    if primaries.differ(like):
        image = primaries.in_those_of(like, _colours(like), image[None]).clamp(0, 1)[0]
    if like.depth != "f32":
        image = (image * WHITE[like.depth]).round()
    made = as_array(like).copy()
    made[..., :colours] = np.moveaxis(image.numpy(), 0, -1)
    if opaque and _has_alpha(like):
        made[..., -1] = WHITE[like.depth]
    elif _has_alpha(like):
        hidden = made[..., -1] <= 0
        made[hidden] = as_array(like)[hidden]
    return picture_arrays.like(like, made)


def preview(image: Tensor, longest_px: int) -> Picture:
    """Reduce an image tensor (1, 3, H, W) to an 8-bit RGB picture of at most `longest_px` a side."""
    reduced = resize(image.detach(), fit(size_of(image), longest_px))
    pixels = (reduced[0].clamp(0, 1) * 255).round().to("cpu", torch.uint8)
    return as_picture(np.moveaxis(pixels.numpy(), 0, -1), "RGB", "u8")


def fill_transparent(image: Tensor, alpha: Tensor) -> Tensor:
    """Replace each fully transparent pixel by the mean colour of its neighbourhood, weighted by alpha.

    Args:
        image: (1, C, H, W), finite.
        alpha: (1, 1, H, W) in [0, 1].
    """
    hidden = alpha <= 0
    return torch.where(hidden, _pull_push(image, alpha), image) if hidden.any() else image


def _pull_push(image: Tensor, weight: Tensor) -> Tensor:
    """Fill pixels of weight 0, image (1, C, H, W), weight (1, 1, H, W): Gortler et al. 1996, section 3.4.

    Pull: halve the size by weighted means until no pixel is missing. Push: fill from coarse to fine.
    """
    if weight.numel() == 1 or (weight >= 1).all():
        return image
    total = _sum_of_blocks(weight)
    average = _sum_of_blocks(image * weight) / total.clamp_min(torch.finfo(total.dtype).tiny)
    coarse = _pull_push(average, total.clamp_max(1))
    return torch.lerp(interpolate(coarse, image.shape[-2:], mode="bilinear"), image, weight)


def _sum_of_blocks(values: Tensor) -> Tensor:
    return avg_pool2d(values, 2, ceil_mode=True, divisor_override=1)


def _colours(picture: Picture) -> Tensor:
    """Return the colours as a tensor (1, C, H, W), in the picture's own coding."""
    planes = np.moveaxis(as_array(picture)[..., : _colour_channels(picture)], -1, 0)
    return torch.from_numpy(planes.astype(np.float32) / WHITE[picture.depth])[None]


def _colour_channels(picture: Picture) -> int:
    return CHANNELS[picture.channels] - _has_alpha(picture)


def _has_alpha(picture: Picture) -> bool:
    return picture.channels.endswith("A")
