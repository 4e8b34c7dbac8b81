"""Parts of pictures: cut out, put back, and examined for visible pixels."""

from __future__ import annotations

import dataclasses

from .messages import DEPTH_BYTES, Picture, Region


def part_of(picture: Picture, region: Region) -> Picture:
    """Return a region of a picture."""
    if (region.width, region.height) == (picture.width, picture.height):
        return picture
    source, size = memoryview(picture.pixels), picture.pixel_bytes
    starts = (((region.y + row) * picture.width + region.x) * size for row in range(region.height))
    rows = (source[start : start + region.width * size] for start in starts)
    return dataclasses.replace(picture, width=region.width, height=region.height, pixels=b"".join(rows))


def with_part(whole: Picture, region: Region, part: Picture) -> Picture:
    """Return `whole` with the pixels of `part`, of the same channels and depth, in `region`."""
    if (region.width, region.height) == (whole.width, whole.height):
        return part
    pixels, source = bytearray(whole.pixels), memoryview(part.pixels)
    stride, width = whole.width * whole.pixel_bytes, region.width * whole.pixel_bytes
    start = region.y * stride + region.x * whole.pixel_bytes
    for row in range(region.height):
        pixels[start + row * stride : start + row * stride + width] = source[row * width : (row + 1) * width]
    return dataclasses.replace(whole, pixels=pixels)


def is_fully_transparent(picture: Picture) -> bool:
    """Return whether no pixel of a picture is visible."""
    if not picture.channels.endswith("A"):
        return False
    pixels, size = memoryview(picture.pixels), picture.pixel_bytes
    # The last byte of an alpha first: in a 32-bit float of 1.0, the first two are 0.
    alpha_bytes = range(size - 1, size - DEPTH_BYTES[picture.depth] - 1, -1)
    return not any(any(pixels[byte::size]) for byte in alpha_bytes)
