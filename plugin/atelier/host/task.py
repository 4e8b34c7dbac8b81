"""Tasks: the work for one call of a filter, read from the procedure's arguments."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gi.repository import Gimp

from atelier_shared import estimate, home
from atelier_shared.deepdream import FRAMES
from atelier_shared.request import PaintingRequest
from atelier_shared.settings import Setting, WrongSetting

from .arguments import argument_name, given_pictures, setting_values
from .filters import Filter
from .frame_layers import Target
from .layers_as_frames import LAYERS_AS_FRAMES
from .output import DEFAULT_OUTPUT, OUTPUT_SETTINGS, Output
from .source_pictures import SourcePicture, name_of, place_of
from .suitability import Unsuitable
from .translation import _, translated


@dataclass(frozen=True)
class Task:
    """A request, its pictures, the number of frames to make, and where they go.

    `layers` are the frames of an animation, the first one first; none if a single layer is the content.
    """

    chosen: Filter
    request: PaintingRequest
    pictures: Sequence[SourcePicture]
    frames: int
    output: Output = DEFAULT_OUTPUT
    layers: Sequence[Gimp.Layer] = ()

    @property
    def title(self) -> str:
        """The filter's name in GIMP's language."""
        return _(self.chosen.title)

    def seconds(self, width: int, height: int) -> float | None:
        """Estimate the duration for content of a size; return None if no such job was measured yet."""
        slowness = estimate.read_slowness(home.atelier_home())
        is_zoom = not self.layers
        return estimate.estimate_frames(self.request, width, height, slowness, self.frames, is_zoom=is_zoom)

    def record(self) -> str:
        """Return the settings as JSON, for the parasite of the new layers."""
        places = [place_of(picture) for picture in self.pictures]
        zoom_frames = 1 if self.layers else self.frames
        frames = {FRAMES.name: zoom_frames} if FRAMES in self.chosen.extra_settings else {}
        pictures = {"pictures": places} if places else {}
        return json.dumps({"filter": self.request.name, **asdict(self.request), **frames, **pictures})

    @property
    def name(self) -> str:
        """The name of the result: the filter, and the style or the subject."""
        picture_name = name_of(self.pictures[0]) if self.pictures else ""
        return ": ".join(filter(None, (self.title, self.request.subject(picture_name))))

    def layer_name(self, frame: int) -> str:
        """Return the name of the layer of a frame of a zoom, counted from 1."""
        if self.frames == 1:
            return self.name
        return _("{name}, frame {number}").format(name=self.name, number=frame)


def task_of(config: Gimp.ProcedureConfig, chosen: Filter, target: Target) -> Task:
    """Read a task from the arguments of a call.

    Raises:
        Unsuitable: a setting is invalid, a required picture is missing, or the chosen layers do not suit.
    """
    request = _request(config, chosen)
    pictures = given_pictures(config, chosen) if request.needs_picture else []
    if request.needs_picture and not pictures:
        raise Unsuitable(_(request.picture_missing))
    output = Output(*(config.get_property(argument_name(each)) for each in OUTPUT_SETTINGS))
    layers = target.frames(extra_value(config, chosen, LAYERS_AS_FRAMES))
    frames = len(layers) or extra_value(config, chosen, FRAMES)
    return Task(chosen, request, pictures, frames, output, layers)


def extra_value(config: Gimp.ProcedureConfig, chosen: Filter, setting: Setting) -> Any:
    """Return the value of a setting outside the request; its default if the filter does not have it."""
    has_setting = setting in chosen.extra_settings
    return config.get_property(argument_name(setting)) if has_setting else setting.default


def _request(config: Gimp.ProcedureConfig, chosen: Filter) -> PaintingRequest:
    try:
        return chosen.request(**setting_values(config, chosen))
    except WrongSetting as error:
        label = _(error.setting.label).replace("_", "")
        raise Unsuitable(translated(error, setting=label)) from error
