"""Runs of filters: from a layer's pixels, by way of the backend, to new layers."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from gi.repository import Gimp

from atelier_shared.errors import JobCancelled
from atelier_shared.messages import Picture, Region, Result
from atelier_shared.request import Request
from atelier_shared.zoom_frames import frames

from .animation import make_animation
from .cutouts import Cutout, cut_out
from .event_loop_client import EventLoopClient
from .monitor import RunMonitor
from .new_layers import OPENED_AS_IMAGE, Destination, destination_of, insert, new_layer, show_image
from .picture_cache import PictureCache
from .replacement import NOT_REPLACED, replace_pixels
from .task import Task
from .translation import _


def make_layers(
    task: Task, layer: Gimp.Layer, cache: PictureCache, client: EventLoopClient, monitor: RunMonitor
) -> Gimp.Layer:
    """Compute all frames of a task, add them above a layer, and return the last new layer.

    Layers are created only after the last frame is computed. GIMP's Cancel button kills the plug-in, and
    GIMP would keep layers that are not yet in an image.

    If the layer has changed too much meanwhile, the result becomes a new image. An animation also becomes a
    new image, unless it replaces its frames.

    Raises:
        JobCancelled: the user has cancelled the run.
        Unsuitable, JobFailed, BackendUnavailable, …: the run failed.
        The image is unchanged in all these cases.
    """
    styles = [cache.for_run(each, task.request.picture_px, monitor.poll) for each in task.pictures]
    make = make_animation if task.layers else functools.partial(_make, layer)
    made, notes = make(task, styles, client, monitor)
    Gimp.displays_flush()
    for note in dict.fromkeys(filter(None, notes)):
        Gimp.message(_(note))
    return made


def _make(
    layer: Gimp.Layer, task: Task, styles: Sequence[Picture], client: EventLoopClient, monitor: RunMonitor
) -> tuple[Gimp.Layer, Sequence[str]]:
    """Filter a layer; return the last new layer, and notes for the user."""
    cutout, content, region = cut_out(layer, monitor.poll)
    results = _compute(task, client, monitor, styles, content, region)
    made, note = _output(task, cutout, results, monitor)
    return made, [*(result.note for result in results), note]


def _compute(
    task: Task,
    client: EventLoopClient,
    monitor: RunMonitor,
    styles: Sequence[Picture],
    content: Picture,
    region: Region,
) -> list[Result]:
    """Return the results of all frames, or of the frames so far if the run finishes early."""
    results: list[Result] = []

    def compute(request: Request, content: Picture, region: Region) -> Result:
        on_progress = functools.partial(monitor.progressed, len(results))
        return client.result_of(request, content, region, styles, on_progress, monitor.job_started)

    try:
        for result in frames(compute, task.request, content, region, task.frames):
            results.append(result)
            if monitor.finishes_early:
                break
    except JobCancelled:
        if not (monitor.finishes_early and results):
            raise
    return results


def _output(
    task: Task, cutout: Cutout, results: Sequence[Result], monitor: RunMonitor
) -> tuple[Gimp.Layer, str]:
    """Give the results to GIMP; return the layer with the last one, and a note if it had to go elsewhere."""
    replaces = task.output.place == "replace"
    if replaces and replace_pixels(cutout, results[-1].picture, monitor.poll):
        return cutout.layer, ""
    with destination_of(cutout, task.output, monitor.poll) as destination:
        *_others, made = _insert_layers(task, cutout, destination, results, monitor)
    if destination.source:
        return made, NOT_REPLACED if replaces else ""
    show_image(destination.image)
    return made, "" if task.output.place == "image" else OPENED_AS_IMAGE


def _insert_layers(
    task: Task, cutout: Cutout, destination: Destination, results: Sequence[Result], monitor: RunMonitor
) -> list[Gimp.Layer]:
    """Make a layer of each result, and insert all of them together."""
    record = task.record()
    with _deleted_on_error() as layers:
        for number, result in enumerate(results, start=1):
            name = task.layer_name(number)
            layers.append(new_layer(destination, cutout, result.picture, name, record, monitor.poll))
        insert(destination, layers)
    return layers


@contextmanager
def _deleted_on_error() -> Iterator[list[Gimp.Layer]]:
    """Yield a list for new layers; delete the layers in it if the block raises."""
    layers: list[Gimp.Layer] = []
    try:
        yield layers
    except BaseException:
        for layer in layers:
            layer.delete()
        raise
