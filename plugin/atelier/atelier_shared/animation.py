"""Frames of an animation: each one is computed with the frame before it, and follows the motion.

A fully transparent frame is its own result, and the frame after it begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from .messages import Picture, PreviousFrame, Region, Result
from .picture_parts import is_fully_transparent, part_of
from .request import PaintingRequest, Request

ComputeFrame = Callable[[Request, Picture, Region, PreviousFrame | None], Result]


def coherent_frames(
    compute: ComputeFrame, request: Request, frames: Iterable[tuple[Picture, Region]]
) -> Iterator[Result]:
    """Yield the result of `compute` for each frame, given as its content and the region to change."""
    previous: PreviousFrame | None = None
    for number, (content, region) in enumerate(frames):
        if is_unchanged(request, content):
            result = Result(0, part_of(content, region))
        else:
            result = compute(request.for_frame(number), content, region, previous)
        yield result
        previous = following(request, content, result.picture)


def following(request: Request, content: Picture, result: Picture) -> PreviousFrame | None:
    """Return a finished frame for the computation of the next one; None if that one is independent."""
    follows = request.is_coherent and not is_unchanged(request, content)
    return PreviousFrame(content, result) if follows else None


def is_unchanged(request: Request, content: Picture) -> bool:
    """Return whether a frame is fully transparent and the request leaves transparent pixels unchanged."""
    is_opaque = isinstance(request, PaintingRequest) and request.is_opaque
    return not is_opaque and is_fully_transparent(content)
