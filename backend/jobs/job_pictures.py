"""Reading of a job's pictures: content and styles as tensors, without frames, with matched colours."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from atelier_shared.deferred_translation import N_
from atelier_shared.errors import Wrong
from atelier_shared.messages import Picture, Submit
from atelier_shared.request import PaintingRequest

from ..imaging import colours
from ..imaging.style_image import Style, without_frame
from . import dispatch, picture_tensors, predictions
from .algorithm import Pictures
from .picture_tensors import VisibleImage
from .predictions import Prediction


def read(submit: Submit, request: PaintingRequest, device: torch.device) -> Pictures:
    """Read the pictures of a job to `device`.

    Raises:
        ValueError: a picture is missing, fully transparent or damaged, or OpenCV is not installed.
    """
    content, visible = dispatch.prepare(request, _to_device(submit.content, device))
    if visible is not None and not visible.any():
        raise Wrong(N_("The selected area is fully transparent. Choose another area or layer."))
    styles = _read_styles(submit.styles, request, device) if request.needs_picture else []
    if request.recolours_pictures:
        styles = [colours.matched(style, content, visible) for style in styles]
    return Pictures(content, visible, styles, _prediction(submit, request, content))


def _prediction(submit: Submit, request: PaintingRequest, content: Tensor) -> Prediction | None:
    """Predict the frame from the one before, unless it is to be independent."""
    if submit.previous is None or not request.is_coherent:
        return None
    before, result = (_to_device(picture, content.device) for picture in submit.previous)
    before = dispatch.prepare(request, before)
    return predictions.predict(content, before.image, result, submit.region)


def _read_styles(pictures: Sequence[Picture], request: PaintingRequest, device: torch.device) -> list[Style]:
    """Read the style pictures with their weights, or the guide picture, without their frames."""
    if not pictures:
        raise Wrong(request.picture_missing)
    weights = request.picture_weights(len(pictures))
    images = (_to_device(picture, device) for picture in pictures)
    return [
        without_frame(Style(image, weight, visible))
        for (image, visible), weight in zip(images, weights, strict=True)
    ]


def _to_device(picture: Picture, device: torch.device) -> VisibleImage:
    image, visible = picture_tensors.read(picture)
    return VisibleImage(image.to(device), None if visible is None else visible.to(device))
