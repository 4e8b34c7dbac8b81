"""What a run of a filter is to do, by its settings, and the doing: from a layer's pixels to new layers.

Knows nothing of windows. Who is shown how far it is, and who may end it, is handed in as a Watch.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from gi.repository import Gimp

from atelier_shared import estimate, home
from atelier_shared.deepdream import FRAMES, DeepDream
from atelier_shared.errors import JobCancelled
from atelier_shared.messages import Picture, Progress, Queued, Region, Result
from atelier_shared.request import Request
from atelier_shared.settings import WrongSetting, settings
from atelier_shared.style_transfer import StyleTransfer
from atelier_shared.zoom_frames import frames

from . import cutouts, new_layers, source_pictures
from .event_loop_client import EventLoopClient
from .filters import Filter, argument, picture_in
from .picture_cache import GivenPictures
from .suitability import Unsuitable
from .translation import _, translated


class Watch(Protocol):
    """Whoever waits for a run: is told how far it is, and may end it."""

    @property
    def finishes_early(self) -> bool:
        """Whether the run is to end with the picture as it is now."""

    def turn(self) -> None:
        """Called every few hundredths of a second while GIMP's pixels are read and written.

        Raises:
            JobCancelled: nobody wants the layers any more.
        """

    def started(self, job: int) -> None:
        """A frame was asked for, under that number."""

    def heard(self, frame: int, message: Queued | Progress) -> None:
        """How far frame `frame` is, counted from 0."""


# ── What is to be done ───────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Task:
    """A request for some frames of a layer, and the files, layers or patterns that are given with it."""

    chosen: Filter
    request: StyleTransfer | DeepDream
    given: Sequence[Any]
    frames: int

    @property
    def title(self) -> str:
        """The filter's name, in GIMP's language."""
        return _(self.chosen.title)

    def seconds(self, width: int, height: int) -> float | None:
        """About how long it takes for a picture of that size; None where that was never measured."""
        speeds = estimate.read_speeds(home.atelier_home())
        seconds = estimate.estimate(self.request, width, height, speeds)
        return None if seconds is None else seconds * self.frames

    def record(self) -> str:
        """The settings as JSON, for the parasite of the layer that they made."""
        given = [source_pictures.place_of(each) for each in self.given]
        frames = {FRAMES.name: self.frames} if FRAMES in self.chosen.extras else {}
        pictures = {"pictures": given} if given else {}
        return json.dumps({"filter": self.request.name, **asdict(self.request), **frames, **pictures})

    def name(self, frame: int) -> str:
        """The name of the layer that a frame becomes, counted from 1."""
        name = f"{self.title}: {self._subject()}"
        return name if self.frames == 1 else _("{name}, frame {number}").format(name=name, number=frame)

    def _subject(self) -> str:
        """What it is made with: a style, the guide, a class, or the network's layers."""
        request = self.request
        if request.needs_style:
            return source_pictures.name_of(self.given[0])
        if isinstance(request, StyleTransfer):
            return request.gallery_style
        return request.imagenet_class if request.objective == "class" else request.layers or request.network


def task_of(config: Gimp.ProcedureConfig, chosen: Filter) -> Task:
    """What the arguments ask for.

    Raises:
        Unsuitable: a text that a person wrote has another form, or a picture that is needed is missing.
    """
    values = {setting.name: config.get_property(argument(setting)) for setting in settings(chosen.request)}
    # An empty text is None in GIMP.
    written: dict[str, Any] = {name: "" if value is None else value for name, value in values.items()}
    try:
        request = chosen.request(**written)
    except WrongSetting as error:
        label = _(error.setting.label).replace("_", "")
        raise Unsuitable(translated(error, setting=label)) from error
    given = pictures(config, chosen) if request.needs_style else []
    if request.needs_style and not given:
        raise Unsuitable(_(chosen.without))
    count = config.get_property(argument(FRAMES)) if FRAMES in chosen.extras else 1
    return Task(chosen, request, given, count)


def pictures(config: Gimp.ProcedureConfig, chosen: Filter) -> list[Any]:
    """What is given beside the layer: files, layers, patterns."""
    return [given for source in chosen.sources if (given := picture_in(config, source))]


# ── Doing it ─────────────────────────────────────────────────────────────────────────────────────


def make(
    task: Task, layer: Gimp.Layer, given: GivenPictures, link: EventLoopClient, watch: Watch
) -> Gimp.Layer:
    """Have the backend make the frames, and add them all when they are done; the last one is returned.

    No layer is made before that: GIMP's Cancel kills this process, and layers in no image would stay.

    Raises:
        JobCancelled: nobody wants them any more; the image is as it was.
        Unsuitable, JobFailed, BackendUnavailable, …: there will be none; the image is as it was.
    """
    styles = [given.latest(each, task.request.picture_px, watch.turn) for each in task.given]
    cutout = cutouts.cut_out(layer, watch.turn)
    results = _results(task, link, watch, styles, *cutouts.content_of(cutout, watch.turn))
    record = task.record()
    with _finished_layers() as made:
        for number, result in enumerate(results, start=1):
            made.append(new_layers.new_layer(cutout, result.picture, task.name(number), record, watch.turn))
        new_layers.insert(cutout, made)
    Gimp.displays_flush()
    for note in dict.fromkeys(result.note for result in results if result.note):
        Gimp.message(note)
    return made[-1]


def _results(
    task: Task,
    link: EventLoopClient,
    watch: Watch,
    styles: Sequence[Picture],
    content: Picture,
    region: Region,
) -> list[Result]:
    """The frames, or as many as there are when the watcher is content with them."""
    results: list[Result] = []

    def compute(request: Request, content: Picture, region: Region) -> Result:
        heard = functools.partial(watch.heard, len(results))
        return link.result_of(request, content, region, styles, heard, watch.started)

    try:
        for result in frames(compute, task.request, content, region, task.frames):
            results.append(result)
            if watch.finishes_early:
                break
    except JobCancelled:
        if not (watch.finishes_early and results):
            raise
    return results


@contextmanager
def _finished_layers() -> Iterator[list[Gimp.Layer]]:
    """Room for layers to be inserted together; those that then are not in the image are deleted."""
    made: list[Gimp.Layer] = []
    try:
        yield made
    except BaseException:
        for layer in made:
            layer.delete()
        raise
