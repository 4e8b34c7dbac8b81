"""Dreams of dreams: a job that is done again and again, each time upon its last result.

Knows pictures and regions; neither GIMP nor files nor what a job computes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from .messages import Picture, Region, Result
from .request import Request

Compute = Callable[[Request, Picture, Region], Result]


def frames(
    compute: Compute, request: Request, content: Picture, region: Region, count: int
) -> Iterator[Result]:
    """The result of `compute`, and of the same upon that, `count` in all.

    Only the first one may start from noise: the others would not see what came before them.
    """
    for _ in range(count):
        result = compute(request, content, region)
        yield result
        content = with_part(content, region, result.picture)
        if getattr(request, "start", "") == "noise":
            request = dataclasses.replace(request, start="picture")  # type: ignore[call-arg]


def with_part(whole: Picture, region: Region, part: Picture) -> Picture:
    """A picture with another one, of its channels and depth, in the place of a region of it."""
    if (region.width, region.height) == (whole.width, whole.height):
        return part
    pixels, source = bytearray(whole.pixels), memoryview(part.pixels)
    stride, width = whole.width * whole.pixel_bytes, region.width * whole.pixel_bytes
    start = region.y * stride + region.x * whole.pixel_bytes
    for row in range(region.height):
        pixels[start + row * stride : start + row * stride + width] = source[row * width : (row + 1) * width]
    return dataclasses.replace(whole, pixels=pixels)
