"""From a request to the algorithm that answers it: the only place where the wire and torch meet.

Knows neither sockets nor how an algorithm works.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import torch
from torch import Tensor

from atelier_protocol import JobFailed, Progress, Result, Submit
from atelier_requests import DeepDream, Identity, StyleTransfer

from . import deepdream, devices, fast_style, images, networks, style_transfer
from .arrays import crop
from .pyramid import fit, resize, size_of
from .step import Step
from .weights import MissingWeights

PREVIEW_PX = 256
PREVIEW_EVERY_S = 0.5
INIT_PX = 512
"""Longest side of the fast pastiche that the fine method begins with, coarsely anyway."""

Messages = Generator[Progress | Result, None, None]

_load_network = functools.lru_cache(maxsize=4)(networks.load_network)
_load_decoder = functools.lru_cache(maxsize=1)(networks.load_decoder)


def run(submit: Submit, models: Path) -> Messages:
    """Answer `submit`: `Progress` for every step, some with a preview, and the `Result` at last.

    The network sees the whole content; the result, and the previews, are its region alone. Where an
    accelerator's memory does not suffice, the processor begins anew, and the result's note says so.

    Raises:
        ValueError: the request cannot be met as it is, for the reason given.
        JobFailed: a network's weights are not in `models`.
    """
    match submit.request:
        case Identity():
            yield Result(submit.job, crop(submit.content, submit.region))
        case StyleTransfer() | DeepDream() as request:
            try:
                yield from _on_some_device(submit, request, models)
            except MissingWeights as error:
                raise JobFailed("missing-weights", str(error)) from error
        case unknown:
            raise ValueError(f"This backend has no filter for {type(unknown).__name__}.")


def _on_some_device(submit: Submit, request: StyleTransfer | DeepDream, models: Path) -> Messages:
    device = devices.choose(request.device)
    try:
        yield from _on_device(submit, request, models, device)
        return
    except torch.OutOfMemoryError:
        if device.type == "cpu":
            raise
    # Only here, past the exception and the tensors that it holds, can their memory be released.
    _load_network.cache_clear()
    _load_decoder.cache_clear()
    devices.release(device)
    note = "The graphics card's memory did not suffice, so the processor made the picture."
    yield from _on_device(submit, request, models, torch.device("cpu"), note)


def _on_device(
    submit: Submit, request: StyleTransfer | DeepDream, models: Path, device: torch.device, note: str = ""
) -> Messages:
    next_preview_s = 0.0
    with closing(_steps(submit, request, models, device)) as steps:
        for step in steps:
            preview = None
            if time.monotonic() >= next_preview_s:
                preview = images.small(_inside(submit, step.image), PREVIEW_PX)
                next_preview_s = time.monotonic() + PREVIEW_EVERY_S
            yield Progress(submit.job, step.index, step.total, preview)
    like = crop(submit.content, submit.region)
    yield Result(submit.job, images.write(_inside(submit, step.image), like), note)


def _inside(submit: Submit, image: Tensor) -> Tensor:
    """The region's part of an image of the whole content, whatever size that image has."""
    rows = _span(submit.region.y, submit.region.height, submit.content.height, image.shape[-2])
    columns = _span(submit.region.x, submit.region.width, submit.content.width, image.shape[-1])
    return image[..., rows, columns]


def _span(start: int, length: int, whole: int, scaled: int) -> slice:
    """`length` from `start` on of `whole`, in an image that has `scaled` for `whole`; never empty."""
    first = min(start * scaled // whole, scaled - 1)
    return slice(first, max(first + 1, round((start + length) * scaled / whole)))


def _steps(
    submit: Submit, request: StyleTransfer | DeepDream, models: Path, device: torch.device
) -> Generator[Step, None, None]:
    content = images.read(submit.content).to(device)
    if isinstance(request, DeepDream):
        yield from _dream(request, content, models)
        return
    if not submit.styles:
        raise ValueError("Style transfer needs at least one style picture; choose one.")
    styles = [images.read(style).to(device) for style in submit.styles]
    stylize = _fast if request.method == "fast" else _fine
    yield from stylize(request, content, styles, models)


def _dream(request: DeepDream, content: Tensor, models: Path) -> Iterator[Step]:
    return deepdream.dream(
        content,
        network=_load_network(request.network, models, content.device),
        layer=request.layer,
        strength=request.strength,
        iterations=request.iterations,
        step_size=request.step_size,
        octaves=request.octaves,
        octave_scale=request.octave_scale,
        jitter=request.jitter,
        size=request.size,
        seed=request.seed,
    )


def _fast(request: StyleTransfer, content: Tensor, styles: list[Tensor], models: Path) -> Iterator[Step]:
    return fast_style.stylize(
        content,
        styles,
        network=_load_network("vgg19", models, content.device),
        decoder=_load_decoder(models, content.device),
        strength=request.strength,
        size=request.size,
    )


def _fine(request: StyleTransfer, content: Tensor, styles: list[Tensor], models: Path) -> Iterator[Step]:
    return style_transfer.stylize(
        content,
        styles,
        network=_load_network(request.network, models, content.device),
        strength=request.strength,
        size=request.size,
        iterations=request.iterations,
        content_weight=request.content_weight,
        style_weight=request.style_weight,
        smoothness=request.smoothness,
        seed=request.seed,
        init=_fast_pastiche(request, content, styles, models),
    )


def _fast_pastiche(
    request: StyleTransfer, content: Tensor, styles: list[Tensor], models: Path
) -> Tensor | None:
    """What the fine method begins with; without the fast one's weights, nothing but the content."""
    small = resize(content, fit(size_of(content), INIT_PX))
    try:
        *_, last = _fast(request, small, styles, models)
    except MissingWeights:
        return None
    return last.image
