"""Frames of a zoom: a job repeated, each time with its last result as the content."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from .messages import Picture, Region, Result
from .request import Request

Compute = Callable[[Request, Picture, Region], Result]


def frames(
    compute: Compute, request: Request, content: Picture, region: Region, count: int
) -> Iterator[Result]:
    """Yield `count` results: that of `compute` on `content`, then each on the last one."""
    for _ in range(count):
        result = compute(request, content, region)
        yield result
        content = with_part(content, region, result.picture)
        request = request.for_next_frame()


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
