"""Pixels of a file as an array, and their coding on the wire: sRGB's curve, straight alpha."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from gettext import gettext as _
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atelier_shared.messages import CHANNELS

from ...jobs.picture_arrays import DTYPES

MODES = {"Y": "L", "YA": "LA", "RGB": "RGB", "RGBA": "RGBA"}
"""Pillow's mode of 8 bits for the channels of a `Picture`."""
WHITE = {"u8": 255, "u16": 65535, "f32": 1}
DEPTHS = {dtype: depth for depth, dtype in DTYPES.items()}
CHANNELS_BY_COUNT = {count: name for name, count in CHANNELS.items()}


@dataclass(frozen=True)
class Pixels:
    """An array (H, W, channels) of 8 or 16 bits or floats, in sRGB's or another profile's coding."""

    values: NDArray[Any]

    @classmethod
    def of(cls, values: NDArray[Any]) -> Pixels:
        """Return pixels of an array (H, W) or (H, W, channels)."""
        return cls(values if values.ndim == 3 else values[..., None])

    @property
    def channels(self) -> str:
        """The name of the channels, as in a `Picture`."""
        return CHANNELS_BY_COUNT[self.values.shape[-1]]

    @property
    def depth(self) -> str:
        """The depth, as in a `Picture`."""
        return DEPTHS[self.values.dtype]

    @property
    def colours(self) -> int:
        """The number of channels without alpha."""
        return CHANNELS[self.channels.removesuffix("A")]


def split_alpha(pixels: Pixels) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the colours (H, W, 1 or 3) and alpha (H, W, 0 or 1)."""
    return pixels.values[..., : pixels.colours], pixels.values[..., pixels.colours :]


def in_depth(pixels: Pixels, depth: str) -> Pixels:
    """Return pixels of another depth, rounded and limited to its range."""
    if pixels.depth == depth:
        return pixels
    values = pixels.values.astype(np.float32) * np.float32(1 / WHITE[pixels.depth])
    if depth != "f32":
        values = np.rint(np.clip(values, 0, 1) * np.float32(WHITE[depth]))
    return Pixels(values.astype(DTYPES[depth]))


def inverted(values: NDArray[Any]) -> NDArray[Any]:
    """Return the colours (H, W, 1 or 2) of a negative; alpha stays."""
    made = values.copy()
    made[..., 0] = WHITE[DEPTHS[values.dtype]] - values[..., 0]
    return made


def in_channels(pixels: Pixels, held: Collection[str]) -> Pixels:
    """Return pixels with possible channels of a file: gray becomes red, green and blue if need be.

    Raises:
        ValueError: the file can hold no alpha.
    """
    if pixels.channels in held:
        return pixels
    colours, alpha = split_alpha(pixels)
    wider = Pixels(np.concatenate([np.repeat(colours, 3 // pixels.colours, axis=-1), alpha], axis=-1))
    if wider.channels not in held:
        raise ValueError(_("this format holds no transparency"))
    return wider


# ── Light ────────────────────────────────────────────────────────────────────────────────────────


def coded(values: NDArray[Any]) -> NDArray[Any]:
    """Encode light by sRGB's curve (IEC 61966-2-1), beyond 0 to 1 as well."""
    large = np.abs(values)
    with np.errstate(over="ignore"):  # in the branch that is not taken
        curve = np.where(large <= 0.0031308, large * 12.92, 1.055 * large ** (1 / 2.4) - 0.055)
    signed: NDArray[Any] = np.copysign(curve, values)
    return signed.astype(values.dtype)


def light(values: NDArray[Any]) -> NDArray[Any]:
    """Decode values in sRGB's coding to light; the inverse of `coded`."""
    large = np.abs(values)
    with np.errstate(over="ignore"):
        curve = np.where(large <= 0.04045, large / 12.92, ((large + 0.055) / 1.055) ** 2.4)
    signed: NDArray[Any] = np.copysign(curve, values)
    return signed.astype(values.dtype)
