"""Conversion between the protocol's pictures and numpy arrays (H, W, channels); crops of regions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atelier_shared.colour_space import Matrix
from atelier_shared.messages import CHANNELS, Picture, Region

DTYPES: dict[str, np.dtype[Any]] = {
    "u8": np.dtype("<u1"),
    "u16": np.dtype("<u2"),
    "f32": np.dtype("<f4"),
}


def as_array(picture: Picture) -> NDArray[Any]:
    """Return the pixels as an array (H, W, channels): a view, not to be written to."""
    values = np.frombuffer(picture.pixels, DTYPES[picture.depth])
    return values.reshape(picture.height, picture.width, CHANNELS[picture.channels])


def as_picture(values: NDArray[Any], channels: str, depth: str, to_srgb: Matrix = ()) -> Picture:
    """Return a picture of an array (H, W, channels) of the depth's type; copied only if not contiguous."""
    height, width = values.shape[:2]
    pixels = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
    return Picture(width, height, channels, depth, pixels, to_srgb)


def like(picture: Picture, values: NDArray[Any]) -> Picture:
    """Return a picture of an array (H, W, channels) in the coding of another picture."""
    made = as_picture(values, picture.channels, picture.depth, picture.to_srgb)
    return replace(made, gamma=picture.gamma)


def crop(picture: Picture, region: Region) -> Picture:
    """Crop `picture` to `region`; a region of the full size returns the picture itself, not a copy."""
    if (region.width, region.height) == (picture.width, picture.height):
        return picture
    return like(picture, as_array(picture)[inside(region)])


def inside(region: Region) -> tuple[slice, slice]:
    """Return the slices of rows and columns of a region."""
    rows = slice(region.y, region.y + region.height)
    return rows, slice(region.x, region.x + region.width)
