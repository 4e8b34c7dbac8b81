"""Conversion between sRGB, which networks are trained on, and pictures with other primaries and curves.

Image tensors are (1, C, H, W) with one or three channels; values below 0 and above 1 are allowed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from atelier_shared.colour_space import Matrix
from atelier_shared.messages import Picture

ROWS = 256
"""Rows to convert at a time, to limit the memory for light."""
FAR = 0.2
"""A colour that changes by this much or more loses its saturation beyond sRGB."""
UNCHANGED = 1e-6
"""A smaller change is rounding."""
SRGB = 0.0
"""The gamma that stands for sRGB's curve."""


def differ(picture: Picture) -> bool:
    """Return whether a picture has other primaries or another curve than sRGB."""
    return bool(picture.to_srgb or picture.gamma)


def in_srgb(image: Tensor, picture: Picture) -> Tensor:
    """Convert an image in the coding of a picture to sRGB."""
    return _converted(image, picture.to_srgb, picture.gamma, SRGB)


def in_those_of(picture: Picture, own: Tensor, image: Tensor) -> Tensor:
    """Return an sRGB image in the primaries and with the curve of a picture, from which it was painted.

    `own` are the colours of the picture in its own coding. sRGB has no place for its most saturated
    colours; they are kept as far as the painting has not changed them. An unchanged pixel is returned bit
    for bit.
    """
    seen = in_srgb(own, picture).clamp(0, 1)
    back = _inverse(picture.to_srgb)
    change = (image - seen).abs().amax(dim=1, keepdim=True)
    kept = (1 - change / FAR).clamp(min=0)
    beyond = own - _converted(seen, back, SRGB, picture.gamma)
    return torch.where(change < UNCHANGED, own, _converted(image, back, SRGB, picture.gamma) + kept * beyond)


def _converted(image: Tensor, matrix: Matrix, own_gamma: float, gamma: float) -> Tensor:
    """Convert an image by a matrix of light, if there is one, from a curve to another one."""
    factors = torch.tensor(matrix, dtype=torch.float64).reshape(3, 3).float() if matrix else None
    made = torch.empty_like(image)
    for start in range(0, image.shape[-2], ROWS):
        rows = slice(start, start + ROWS)
        light = _light(image[..., rows, :], own_gamma)
        if factors is not None:
            light = torch.einsum("ij,bjhw->bihw", factors, light)
        made[..., rows, :] = _coded(light, gamma)
    return made


def _inverse(matrix: Matrix) -> Matrix:
    if not matrix:
        return matrix
    return tuple(torch.linalg.inv(torch.tensor(matrix, dtype=torch.float64).reshape(3, 3)).flatten().tolist())


def _light(values: Tensor, gamma: float) -> Tensor:
    """Decode a power or sRGB's curve (IEC 61966-2-1), also of negative values."""
    size = values.abs()
    if gamma:
        return (size**gamma).copysign(values)
    return torch.where(size <= 0.04045, size / 12.92, ((size + 0.055) / 1.055) ** 2.4).copysign(values)


def _coded(light: Tensor, gamma: float) -> Tensor:
    """Encode light by a power or by sRGB's curve; the inverse of `_light`."""
    size = light.abs()
    if gamma:
        return (size ** (1 / gamma)).copysign(light)
    return torch.where(size <= 0.0031308, size * 12.92, 1.055 * size ** (1 / 2.4) - 0.055).copysign(light)
