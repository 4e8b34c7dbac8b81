"""Animations: layers as frames, each computed with the one before it.

The result is a new image with a layer for each frame, because GIMP plays and exports the layers of an image
that are in no group; a group is a single frame. Its layers can also replace the frames in their image.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gi.repository import Gimp

from atelier_shared.animation import coherent_frames
from atelier_shared.deferred_translation import N_
from atelier_shared.errors import JobCancelled
from atelier_shared.messages import Picture, PreviousFrame, Region, Result
from atelier_shared.picture_parts import part_of
from atelier_shared.request import Request
from atelier_shared.requests import Identity

from .cutouts import Area, area_of_canvas
from .event_loop_client import EventLoopClient
from .frame_layers import name_of_result
from .frame_pictures import frame_pictures
from .monitor import RunMonitor
from .new_layers import Destination, attach_settings, new_image, new_layer, show_image
from .output import DEFAULT_OUTPUT
from .replacement import is_locked
from .task import Task

FRAMES_NOT_REPLACED = N_(
    "A frame was locked or deleted, or the image was resized, so the animation is a new image."
)
PIXEL = Picture(1, 1, "Y", "u8", b"\0")


class NewFrame(NamedTuple):
    """A finished frame: its layer's name, the result, and the unfiltered picture if they are blended."""

    name: str
    result: Result
    before: Picture | None


def make_animation(
    task: Task, styles: Sequence[Picture], client: EventLoopClient, monitor: RunMonitor
) -> tuple[Gimp.Layer, Sequence[str]]:
    """Compute the frames of a task; return the layer of the last one, and notes for the user.

    GIMP's images are unchanged until the last frame is computed. Raises the errors of `make_layers`.
    """
    image, area = task.layers[0].get_image(), area_of_canvas(task.layers[0], monitor.poll)
    size = image.get_width(), image.get_height()
    if task.request.is_coherent:
        _check_motion(client, monitor)
    frames = list(_compute(task, area, styles, client, monitor))
    made, note = _output(task, area, size, frames, monitor)
    return made, [*(frame.result.note for frame in frames), note]


def _check_motion(client: EventLoopClient, monitor: RunMonitor) -> None:
    """Raise the error of a backend that cannot estimate motion before the first frame is computed."""
    whole, previous = Region(0, 0, 1, 1), PreviousFrame(PIXEL, PIXEL)
    client.result_of(Identity(), PIXEL, whole, [], lambda _: None, monitor.job_started, previous)


# ── Computation ──────────────────────────────────────────────────────────────────────────────────


def _compute(
    task: Task, area: Area, styles: Sequence[Picture], client: EventLoopClient, monitor: RunMonitor
) -> Iterator[NewFrame]:
    """Yield the finished frames; if the run finishes early, at least the first one as it is then."""
    names = [name_of_result(layer.get_name()) for layer in task.layers]
    is_blended = _is_blended(task, area)
    number, whole = -1, PIXEL

    def compute(request: Request, content: Picture, region: Region, previous: PreviousFrame | None) -> Result:
        progressed = functools.partial(monitor.progressed, number)
        return client.result_of(request, content, region, styles, progressed, monitor.job_started, previous)

    def contents() -> Iterator[tuple[Picture, Region]]:
        nonlocal number, whole
        for whole in frame_pictures(task.layers, monitor.poll):
            number += 1
            around = area.box.with_context(whole.width, whole.height)
            yield part_of(whole, around), area.box.within(around)

    try:
        for result in coherent_frames(compute, task.request, contents()):
            if number == 0 or not monitor.finishes_early:
                yield NewFrame(names[number], result, whole if is_blended else None)
            if monitor.finishes_early:
                break
    except JobCancelled:
        if not (monitor.finishes_early and number > 0):
            raise


def _is_blended(task: Task, area: Area) -> bool:
    """Return whether the unfiltered frames are visible in the animation."""
    return area.mask is not None or task.output.is_blended


# ── Output ───────────────────────────────────────────────────────────────────────────────────────


def _output(
    task: Task, area: Area, size: tuple[int, int], frames: Sequence[NewFrame], monitor: RunMonitor
) -> tuple[Gimp.Layer, str]:
    """Give the frames to GIMP; return the layer of the last one, and a note if it had to go elsewhere."""
    replaces = task.output.place == "replace"
    with new_image(area.kind, *size) as image:
        image.undo_disable()
        for frame in frames:
            _add(frame, task, Destination(image, area.box.x, area.box.y, None, task.output), area, monitor)
        if replaces and _are_in_place(task.layers, size):
            made = _replace(task.layers, image)
            image.delete()
            return made, ""
        image.undo_enable()
        show_image(image)
        return image.get_layers()[0], FRAMES_NOT_REPLACED if replaces else ""


def _add(frame: NewFrame, task: Task, destination: Destination, area: Area, monitor: RunMonitor) -> None:
    """Add a frame above the others, blended with its unfiltered picture unless the result covers it."""
    image, record = destination.image, task.record()
    layer = new_layer(destination, area, frame.result.picture, frame.name, record, monitor.poll)
    image.insert_layer(layer, None, 0)
    if frame.before is None:
        return
    whole = Region(0, 0, frame.before.width, frame.before.height)
    canvas = dataclasses.replace(area, box=whole, mask=None)
    below = Destination(image, 0, 0, None, DEFAULT_OUTPUT)
    under = new_layer(below, canvas, frame.before, frame.name, record, monitor.poll)
    image.insert_layer(under, None, 1)
    merged = image.merge_down(layer, Gimp.MergeType.CLIP_TO_BOTTOM_LAYER)
    merged.set_name(frame.name)
    attach_settings(merged, record)


def _are_in_place(layers: Sequence[Gimp.Layer], size: tuple[int, int]) -> bool:
    """Return whether new layers can replace the frames."""
    if not all(layer.is_valid() and not is_locked(layer) for layer in layers):
        return False
    image = layers[0].get_image()
    return (image.get_width(), image.get_height()) == size


def _replace(layers: Sequence[Gimp.Layer], animation: Gimp.Image) -> Gimp.Layer:
    """Replace the first frames of an image by those of an animation, as one undo step; return the last."""
    image = layers[0].get_image()
    image.undo_group_start()
    try:
        for layer, frame in zip(layers, reversed(animation.get_layers()), strict=False):
            new = Gimp.Layer.new_from_drawable(frame, image)
            parent, place = layer.get_parent(), image.get_item_position(layer)
            image.remove_layer(layer)
            image.insert_layer(new, parent, place)
            new.set_name(frame.get_name())
    finally:
        image.undo_group_end()
    return new
