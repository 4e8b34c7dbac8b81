"""Blending of two pictures in linear light, as GIMP does it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .pixels import DEPTHS, WHITE, coded, light

Array = NDArray[np.float64]


def blend(under: NDArray[Any], over: NDArray[Any], opacity: Array, colours: int) -> NDArray[Any]:
    """Blend `over` onto `under`, both (H, W, channels), with an opacity of (H, W, 1).

    Where the opacity is 0 or 1, the pixels are copied bit for bit. An alpha channel after the `colours`
    channels is blended as it is, and weights the colours.
    """
    largest = WHITE[DEPTHS[under.dtype]]
    (below, below_alpha), (above, above_alpha) = (
        np.split(pixels / largest, [colours], axis=-1) for pixels in (under, over)
    )
    alpha = (1 - opacity) * below_alpha + opacity * above_alpha
    weight = opacity
    if alpha.size:
        weight = np.divide(opacity * above_alpha, alpha, out=opacity.copy(), where=alpha > 0)
    mixture = (1 - weight) * light(below) + weight * light(above)
    mixed = largest * np.concatenate([coded(mixture), alpha], axis=-1)
    blended = (mixed if under.dtype.kind == "f" else np.rint(mixed)).astype(under.dtype)
    return np.where(opacity == 0, under, np.where(opacity == 1, over, blended))
