"""Style Transfer: the painting at the working size, the repainting at the content's, and further frames."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from atelier_shared.style_transfer import StyleTransfer

from ...compat import allocator
from ...imaging import colours
from ...imaging.resize import size_of
from ...imaging.step import Step, Steps
from ...style import full_size
from ...style import gallery as gallery_method
from ...style import light as light_method
from ...style.full_size import Brush
from .. import loaded_networks
from ..algorithm import Pictures, Tiling, renumbered
from ..predictions import Prediction, blend
from . import fine, one_pass

KEPT = {"fine": 1.0, "fast": 1.0, "gallery": 0.5, "light": 0.5}
"""Share of the working size up to which the repainting keeps the painting. The strokes of fine and fast stay
as they are; with the other two, crisper new strokes replace the finest."""


def stylize(request: StyleTransfer, pictures: Pictures, models: Path, tiling: Tiling) -> Steps:
    """Paint at the working size, and repaint that at the content's own size if it is larger."""
    content = pictures.content
    if request.strength == 0:
        yield Step(1, 1, content)
        return
    stretch = request.style_shape == "stretch"
    styles = [style._replace(scale=request.style_size, stretch=stretch) for style in pictures.styles]
    pictures = pictures._replace(styles=styles)
    share = request.painting_share(content.shape[-1], content.shape[-2])
    # Before the painting, so that missing weights are reported at once.
    brush = _brush(request, pictures, models) if share < 1 else None
    painting = METHODS[request.method](request, pictures, models, tiling)
    step = yield from renumbered(painting, lambda step: replace(step, total=round(step.total / share)))
    if brush:
        step = yield from _repaint(request, pictures, step, brush, tiling)
    if request.method == "gallery" and request.strength < 1:
        step = replace(step, image=torch.lerp(content, step.image, request.strength))
        yield step
    if pictures.prediction and (brush or request.is_single_pass):
        yield replace(step, image=follow(request, content, pictures.prediction, step.image))


def follow(request: StyleTransfer, content: Tensor, prediction: Prediction, image: Tensor) -> Tensor:
    """Blend the result of one pass with the prediction from the previous frame of an animation."""
    if request.keeps_colours:  # as the previous result does
        image = colours.with_colours_of(image, content)
    return blend(image, prediction, request.coherence)


def _repaint(
    request: StyleTransfer, pictures: Pictures, painted: Step, brush: Brush, tiling: Tiling
) -> Generator[Step, bool | None, Step]:
    """Repaint the image of the step `painted`; the steps go on from its number. Return the last one."""
    allocator.keep_for(math.prod(size_of(pictures.content)))
    done, total = painted.index, painted.total
    repainting = full_size.repaint(
        painted.image,
        pictures.content,
        brush,
        visible=pictures.visible,
        kept_px=round(max(size_of(painted.image)) * KEPT[request.method]),
        photo_detail=request.photo_detail,
        tile_scale=tiling.scale,
    )
    return renumbered(
        repainting, lambda step: Step(done + (total - done) * step.index // step.total, total, step.image)
    )


def _brush(request: StyleTransfer, pictures: Pictures, models: Path) -> Brush:
    """Return what repaints: the gallery's own network; for the other methods the light one and the styles."""
    device = pictures.content.device
    if request.method == "gallery":
        return Brush(
            loaded_networks.gallery_painter(models, device),
            gallery_method.mixture(one_pass.gallery_weights(request)).to(device),
        )
    predictor, painter = loaded_networks.light_networks(models, device)
    vector = light_method.style_vector(
        pictures.content, pictures.visible, pictures.styles, request.strength, predictor
    )
    return Brush(painter, vector, pictures.styles, request.working_px, request.strength)


METHODS: Mapping[str, Callable[[StyleTransfer, Pictures, Path, Tiling], Steps]] = {
    "fine": fine.steps,
    "fast": one_pass.fast,
    "gallery": one_pass.gallery,
    "light": one_pass.light,
}
