"""Frames of an animation: each one is computed with the frame before it, and follows the motion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from .messages import Picture, PreviousFrame, Region, Result
from .request import Request

ComputeFrame = Callable[[Request, Picture, Region, PreviousFrame | None], Result]


def coherent_frames(
    compute: ComputeFrame, request: Request, frames: Iterable[tuple[Picture, Region]]
) -> Iterator[Result]:
    """Yield the result of `compute` for each frame, given as its content and the region to change."""
    previous: PreviousFrame | None = None
    for number, (content, region) in enumerate(frames):
        result = compute(request.for_frame(number), content, region, previous)
        yield result
        previous = following(request, content, result.picture)


def following(request: Request, content: Picture, result: Picture) -> PreviousFrame | None:
    """Return a finished frame for the computation of the next one; None if all frames are independent."""
    return PreviousFrame(content, result) if request.is_coherent else None
