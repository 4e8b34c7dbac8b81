"""Pictures of the wire as numpy arrays, (H, W, channels), and back; regions as parts of them.

Knows bytes and shapes, nothing of what the numbers mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from atelier_shared.messages import CHANNELS, Picture, Region

DTYPES: dict[str, np.dtype[Any]] = {
    "u8": np.dtype("<u1"),
    "u16": np.dtype("<u2"),
    "f32": np.dtype("<f4"),
}


def as_array(picture: Picture) -> NDArray[Any]:
    """The pixels of a picture, not copied and not to be written to."""
    values = np.frombuffer(picture.pixels, DTYPES[picture.depth])
    return values.reshape(picture.height, picture.width, CHANNELS[picture.channels])


def as_picture(values: NDArray[Any], channels: str, depth: str) -> Picture:
    """A picture of values of the depth's own type; copied only where they do not lie in a row."""
    height, width = values.shape[:2]
    pixels = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
    return Picture(width, height, channels, depth, pixels)


def crop(picture: Picture, region: Region) -> Picture:
    """The part of `picture` inside `region`, value for value; the picture itself where that is all."""
    if (region.width, region.height) == (picture.width, picture.height):
        return picture
    return as_picture(as_array(picture)[inside(region)], picture.channels, picture.depth)


def inside(region: Region) -> tuple[slice, slice]:
    """The rows and the columns of a region."""
    rows = slice(region.y, region.y + region.height)
    return rows, slice(region.x, region.x + region.width)
