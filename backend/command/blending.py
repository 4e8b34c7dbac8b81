"""Blending of two pictures in linear light, as GIMP does it.

Source: IEC 61966-2-1 (sRGB)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def blend(under: NDArray[Any], over: NDArray[Any], opacity: Array, colours: int) -> NDArray[Any]:
    """Blend `over` onto `under`, both (H, W, channels), with an opacity of (H, W, 1).

    Where the opacity is 0 or 1, the pixels are copied bit for bit. An alpha channel after the `colours`
    channels is blended as it is, and weights the colours.
    """
    largest = np.iinfo(under.dtype).max
    (below, below_alpha), (above, above_alpha) = (
        np.split(pixels / largest, [colours], axis=-1) for pixels in (under, over)
    )
    alpha = (1 - opacity) * below_alpha + opacity * above_alpha
    weight = opacity
    if alpha.size:
        weight = np.divide(opacity * above_alpha, alpha, out=opacity.copy(), where=alpha > 0)
    light = (1 - weight) * _to_linear(below) + weight * _to_linear(above)
    mixed = np.concatenate([_from_linear(light), alpha], axis=-1)
    blended = np.rint(largest * mixed).astype(under.dtype)
    return np.where(opacity == 0, under, np.where(opacity == 1, over, blended))


def _to_linear(coded: Array) -> Array:
    """Decode sRGB (IEC 61966-2-1)."""
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def _from_linear(linear: Array) -> Array:
    """Encode as sRGB (IEC 61966-2-1)."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
