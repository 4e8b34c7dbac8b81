"""From a request to the algorithm that answers it: the only place where the wire and torch meet.

Knows neither sockets nor how an algorithm works.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import torch
from torch import Tensor

from atelier_shared import estimate
from atelier_shared.deepdream import DeepDream
from atelier_shared.errors import JobFailed
from atelier_shared.messages import Picture, Progress, Result, Submit
from atelier_shared.requests import Identity
from atelier_shared.style_transfer import StyleTransfer
from atelier_shared.text_settings import weights_in_order

from ..compat import devices
from ..dream import deepdream
from ..imaging import colours, tiles
from ..imaging.resize import size_of
from ..imaging.step import Steps
from ..imaging.style_image import Style, without_frame
from ..weights.fetch import MissingWeights
from . import dispatch, picture_tensors, timings
from .dispatch import Scene
from .picture_arrays import crop

PREVIEW_PX = 256
PREVIEW_EVERY_S = 0.5
KEEPING_COLOURS = ("luminance", "kept")
TILE_SHARES = (1, 1 / 2, 1 / 4)
"""Of the usual tiles' sides, that are tried on a device as long as its memory does not suffice."""
SMALLER_TILES = "Memory did not suffice for the usual way, so the picture was made in smaller pieces."
ON_PROCESSOR = "The graphics card's memory did not suffice, so the processor made the picture."

Messages = Generator[Progress | Result, bool | None, None]
PaintingRequest = StyleTransfer | DeepDream


# ── A job ────────────────────────────────────────────────────────────────────────────────────────


def run(submit: Submit, models: Path) -> Messages:
    """Answer `submit`: `Progress` for every step, some with a preview, and the `Result` at last.

    The network sees the whole content; the result, and the previews, are its region alone. Where
    memory does not suffice, the job begins anew with smaller tiles, at last on the processor, and the
    result's note says so. How fast it went is noted beside `models`. To send True, and to go on so,
    asks it to finish early: the result is made of the picture so far.

    Raises:
        ValueError: the request cannot be met as it is, for the reason given.
        JobFailed: a network's weights are not in `models`.
        MemoryError: not even the smallest tiles fit into the processor's memory.
    """
    match submit.request:
        case Identity():
            yield Result(submit.job, crop(submit.content, submit.region))
        case StyleTransfer() | DeepDream() as request:
            try:
                yield from _with_what_memory_there_is(submit, request, models)
            except MissingWeights as error:
                raise JobFailed("missing-weights", str(error)) from error
        case unknown:
            raise ValueError(f"This backend has no filter for {type(unknown).__name__}.")


def _with_what_memory_there_is(submit: Submit, request: PaintingRequest, models: Path) -> Messages:
    for device, share, note in _ways(devices.choose(request.device)):
        try:
            with tiles.smaller(share):
                yield from _on_device(submit, request, models, device, note)
            return
        except RuntimeError as error:
            if not devices.is_out_of_memory(error):
                raise
            lacking = str(error)
        # Only here, past the exception and the tensors that it holds, can their memory be released.
        dispatch.forget_networks()
        devices.release(device)
    raise MemoryError(lacking)


def _ways(device: torch.device) -> Iterator[tuple[torch.device, float, str]]:
    """Where to try, with what share of the usual tiles' sides, and what to say if it succeeds."""
    for share in TILE_SHARES:
        yield device, share, "" if share == 1 else SMALLER_TILES
    if device.type != "cpu":
        for share in TILE_SHARES:
            yield torch.device("cpu"), share, ON_PROCESSOR


def _on_device(
    submit: Submit, request: PaintingRequest, models: Path, device: torch.device, note: str
) -> Messages:
    begun_s = time.monotonic()
    scene = _scene(submit, request, device)

    def shown(image: Tensor) -> Tensor:
        return _inside(submit, _coloured(request, image, scene))

    with closing(dispatch.steps(request, scene, models)) as steps:
        image, finished_early = yield from _reported(submit.job, steps, shown)
    like = crop(submit.content, submit.region)
    result = Result(
        submit.job, picture_tensors.write(shown(image), like, opaque=_is_from_noise(request)), note
    )
    if not finished_early:
        done = estimate.work(request, submit.content.width, submit.content.height)
        _note_speed(request, models.parent, device, time.monotonic() - begun_s, done)
    yield result


def _note_speed(
    request: PaintingRequest, home: Path, device: torch.device, seconds: float, done: float
) -> None:
    """Note how fast a device was, also as what is chosen by itself if it is that."""
    for name in (device.type, "auto") if device == devices.choose("auto") else (device.type,):
        timings.note(home, estimate.kind(request, name), seconds, done)


def _reported(
    job: int, steps: Steps, shown: Callable[[Tensor], Tensor]
) -> Generator[Progress, bool | None, tuple[Tensor, bool]]:
    """Report on every step; return the last one's image, and whether it finished early."""
    finish_early, next_preview_s = None, 0.0
    while True:
        try:
            step = steps.send(finish_early)
        except StopIteration:
            return step.image, bool(finish_early)
        preview = None
        if time.monotonic() >= next_preview_s:
            preview = picture_tensors.small(shown(step.image), PREVIEW_PX)
            next_preview_s = time.monotonic() + PREVIEW_EVERY_S
        finish_early = yield Progress(job, step.index, step.total, preview)


def _inside(submit: Submit, image: Tensor) -> Tensor:
    """The region's part of an image of the whole content, whatever size that image has."""
    rows = _span(submit.region.y, submit.region.height, submit.content.height, image.shape[-2])
    columns = _span(submit.region.x, submit.region.width, submit.content.width, image.shape[-1])
    return image[..., rows, columns]


def _span(start: int, length: int, whole: int, scaled: int) -> slice:
    """`length` from `start` on of `whole`, in an image that has `scaled` for `whole`; never empty."""
    first = min(start * scaled // whole, scaled - 1)
    return slice(first, max(first + 1, round((start + length) * scaled / whole)))


# ── What it is made of ───────────────────────────────────────────────────────────────────────────


def _scene(submit: Submit, request: PaintingRequest, device: torch.device) -> Scene:
    """What is painted and what from; raises ValueError where the pictures do not suffice for the request."""
    content, visible = _content(submit.content, request, device)
    if visible is not None and not visible.any():
        raise ValueError("Nothing is to be seen here, all is transparent: choose another part or layer.")
    styles = _styles(submit.styles, request, device) if request.needs_style else []
    if request.colours == "matched":
        styles = [colours.matched(style, content, visible) for style in styles]
    return Scene(content, visible, styles)


def _content(picture: Picture, request: PaintingRequest, device: torch.device) -> picture_tensors.Seen:
    content, visible = _read(picture, device)
    if isinstance(request, DeepDream):
        if request.start == "noise":
            content, visible = deepdream.noise(size_of(content), request.seed, device), None
        if request.zoom > 1:
            content = deepdream.zoomed(content, request.zoom)
            visible = None if visible is None else deepdream.zoomed(visible, request.zoom)
    return picture_tensors.Seen(content, visible)


def _styles(pictures: Sequence[Picture], request: PaintingRequest, device: torch.device) -> list[Style]:
    """The style pictures, each with its weight, or the guide; without their frames."""
    if not pictures:
        raise ValueError(_NO_GUIDE if isinstance(request, DeepDream) else _NO_STYLE)
    weights = _weights(request, len(pictures))
    seen = (_read(picture, device) for picture in pictures)
    return [
        without_frame(Style(image, weight, visible))
        for (image, visible), weight in zip(seen, weights, strict=True)
    ]


_NO_STYLE = "Style transfer needs at least one style picture; choose one."
_NO_GUIDE = "To dream of what a guide picture has takes a guide picture; choose one."


def _read(picture: Picture, device: torch.device) -> picture_tensors.Seen:
    image, visible = picture_tensors.read(picture)
    return picture_tensors.Seen(image.to(device), None if visible is None else visible.to(device))


def _weights(request: PaintingRequest, count: int) -> Sequence[float]:
    equal = [1.0] * count
    if isinstance(request, DeepDream):
        return equal
    weights = weights_in_order(request.style_weights) or equal
    if len(weights) != count:
        raise ValueError(f"There are {len(weights)} weights for {count} style pictures: give each its own.")
    return weights


def _coloured(request: PaintingRequest, image: Tensor, scene: Scene) -> Tensor:
    """An image of the whole content, with the content's colours where these are to be kept."""
    return colours.with_colours_of(image, scene.content) if request.colours in KEEPING_COLOURS else image


def _is_from_noise(request: PaintingRequest) -> bool:
    return isinstance(request, DeepDream) and request.start == "noise"
