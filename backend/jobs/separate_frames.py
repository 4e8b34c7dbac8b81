"""Frames of an animation that are made at the same time: the cuts between them, and the blend in their order.

A method of a single pass paints a frame without the one before it. The blend with the previous result takes
place afterwards, here, as `style_transfer` does it after the painting of a frame in order.
"""

from __future__ import annotations

from atelier_shared.messages import Picture, PreviousFrame, Region
from atelier_shared.request import PaintingRequest
from atelier_shared.style_transfer import StyleTransfer

from . import dispatch, picture_tensors, predictions
from .filters import style_transfer
from .picture_arrays import crop, inside
from .picture_tensors import VisibleImage


def is_cut(request: PaintingRequest, before: Picture, frame: Picture) -> bool:
    """Return whether a new scene begins with a frame.

    Raises:
        ValueError: OpenCV is not installed.
    """
    predictions.require_opencv()
    from ..animation.motion import motion_between

    images = (predictions.as_array(_prepared(request, picture).image) for picture in (before, frame))
    return motion_between(*images).is_cut


def follow(
    request: StyleTransfer, content: Picture, painting: Picture, region: Region, previous: PreviousFrame
) -> Picture:
    """Blend the painting of a whole frame with its prediction, and return the region.

    Args:
        request: the settings.
        content: the frame.
        painting: the result of a single pass for all of it, made without a previous frame.
        region: the part to return, and the part with a result in the previous frame.
        previous: the frame before.

    Raises:
        ValueError: OpenCV is not installed.
    """
    image = _prepared(request, content).image
    before, result = _prepared(request, previous.content), picture_tensors.read(previous.result)
    prediction = predictions.predict(image, before.image, result, region)
    if prediction is None or request.strength == 0:
        return crop(painting, region)
    followed = style_transfer.follow(request, image, prediction, picture_tensors.read(painting).image)
    part = followed[(..., *inside(region))]
    return picture_tensors.write(part, crop(content, region), opaque=request.is_opaque)


def _prepared(request: PaintingRequest, picture: Picture) -> VisibleImage:
    return dispatch.prepare(request, picture_tensors.read(picture))
