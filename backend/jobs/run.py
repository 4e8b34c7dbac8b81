"""Running of a job: from a request and its pictures to progress messages, previews and the result."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from atelier_shared.deferred_translation import N_
from atelier_shared.errors import JobFailed
from atelier_shared.messages import Help, Message, Progress, Result, Submit
from atelier_shared.request import PaintingRequest

from ..compat import devices
from ..imaging import colours
from ..imaging.step import Steps
from ..weights.store import MissingWeights
from . import dispatch, job_pictures, loaded_networks, picture_tensors, predictions, tile_helper, timings
from .algorithm import Tiling
from .picture_arrays import crop
from .shared_tiles import Peers, SharedTiles

PREVIEW_PX = 256
PREVIEW_EVERY_S = 0.5
TILE_SCALES = (1.0, 1 / 2, 1 / 4)
"""Factors for the usual side of tiles, tried in turn while a device runs out of memory."""
SMALLER_TILES = N_(
    "There was not enough memory for the usual tiles, so the picture was made in smaller ones."
)
ON_PROCESSOR = N_("The graphics card does not have enough memory, so the processor made the picture.")

Messages = Generator[Message, bool | None, None]


class Attempt(NamedTuple):
    """A device and a tile scale to try, and the note in the result if it succeeds."""

    device: torch.device
    tile_scale: float
    note: str


def begin(message: Submit | Help, peers: Peers, models: Path) -> Messages:
    """Run a job, or help with another worker's. `peers` are the other workers of the cluster."""
    if isinstance(message, Help):
        return tile_helper.run(message, peers, models)
    return run(message, models, peers)


def run(submit: Submit, models: Path, peers: Peers | None = None) -> Messages:
    """Run a job: yield `Progress` for each step, some with a preview, then one `Result`.

    The network sees the whole content; the result and the previews show only the region. When memory
    runs out, the job restarts with smaller tiles, finally on the processor, and the result has a note.
    The speed is noted in the folder above `models`. Send True to finish early with the current image.
    `peers` may compute tiles of a large picture.

    Raises:
        ValueError: the request does not suit the pictures or the network.
        JobFailed: the weights of a network are not in `models`.
        MemoryError: not even the smallest tiles fit into the processor's memory.
    """
    if not isinstance(submit.request, PaintingRequest):  # the identity test
        if submit.previous:
            predictions.require_opencv()
        yield Result(submit.job, crop(submit.content, submit.region))
        return
    try:
        yield from _paint(submit, submit.request, models, peers)
    except MissingWeights as error:
        raise JobFailed("missing-weights", error.template, **error.values) from error


def _paint(submit: Submit, request: PaintingRequest, models: Path, peers: Peers | None) -> Messages:
    workers = SharedTiles(peers) if peers else None
    for attempt in _attempts(devices.choose(request.device)):
        try:
            yield from _try(attempt, submit, request, models, workers)
            return
        except RuntimeError as error:
            if not devices.is_out_of_memory(error):
                raise
            message = str(error)
        # Only after the except block: until then the exception keeps its tensors in memory.
        loaded_networks.forget()
        devices.release(attempt.device)
    raise MemoryError(message)


def _attempts(device: torch.device) -> Iterator[Attempt]:
    for scale in TILE_SCALES:
        yield Attempt(device, scale, "" if scale == 1 else SMALLER_TILES)
    if device.type != "cpu":
        for scale in TILE_SCALES:
            yield Attempt(torch.device("cpu"), scale, ON_PROCESSOR)


def _try(
    attempt: Attempt, submit: Submit, request: PaintingRequest, models: Path, workers: SharedTiles | None
) -> Messages:
    started_s = time.monotonic()
    pictures = job_pictures.read(submit, request, attempt.device)

    def in_region(image: Tensor) -> Tensor:
        coloured = colours.with_colours_of(image, pictures.content) if request.keeps_colours else image
        return _crop_to_region(submit, coloured)

    with closing(dispatch.steps(request, pictures, models, Tiling(attempt.tile_scale, workers))) as steps:
        image, finished_early = yield from _report(submit.job, steps, in_region)
    like = crop(submit.content, submit.region)
    painted = picture_tensors.write(in_region(image), like, opaque=request.is_opaque)
    if not finished_early and submit.previous is None:  # a further frame takes fewer steps
        seconds = time.monotonic() - started_s
        _note_slowness(submit, request, models.parent, attempt.device, seconds)
    yield Result(submit.job, painted, attempt.note)


def _note_slowness(
    submit: Submit, request: PaintingRequest, home: Path, device: torch.device, seconds: float
) -> None:
    """Note the slowness of a device, also under the name "auto" if this is the default device."""
    usual_s = request.usual_seconds(submit.content.width, submit.content.height)
    for name in (device.type, "auto") if device == devices.choose("auto") else (device.type,):
        timings.note(home, request.kind_of_job(name), seconds, usual_s)


def _report(
    job: int, steps: Steps, in_region: Callable[[Tensor], Tensor]
) -> Generator[Progress, bool | None, tuple[Tensor, bool]]:
    """Yield a `Progress` for each step; return the last image and whether it was finished early.

    A picture that is not painted yet is left out, because the client may have a better preview of it.
    """
    finish_early, next_preview_s = None, 0.0
    while True:
        try:
            step = steps.send(finish_early)
        except StopIteration:
            return step.image, bool(finish_early)
        preview = None
        if step.is_painted and time.monotonic() >= next_preview_s:
            preview = picture_tensors.preview(in_region(step.image), PREVIEW_PX)
            next_preview_s = time.monotonic() + PREVIEW_EVERY_S
        finish_early = yield Progress(job, step.index, step.total, preview)


def _crop_to_region(submit: Submit, image: Tensor) -> Tensor:
    """Crop an image (1, 3, h, w) of the whole content, at any size, to the region."""
    rows = _span(submit.region.y, submit.region.height, submit.content.height, image.shape[-2])
    columns = _span(submit.region.x, submit.region.width, submit.content.width, image.shape[-1])
    return image[..., rows, columns]


def _span(start: int, length: int, whole: int, scaled: int) -> slice:
    """Map a span of a side `whole` long onto that side scaled to `scaled`; at least one element."""
    first = min(start * scaled // whole, scaled - 1)
    return slice(first, max(first + 1, round((start + length) * scaled / whole)))
