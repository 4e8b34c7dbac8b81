"""Frames of a zoom: a job repeated, each time with its last result as the content."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .messages import Picture, Region, Result
from .picture_parts import with_part
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
