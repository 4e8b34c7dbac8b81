"""What to ask for so that a small preview looks like what a run will make, and comes within a second.

A preview's picture is sent small, or is a small part of the whole one at its full size. Knows
requests and sizes; neither pictures nor GIMP. `benchmarks/preview.py` measures what stands here.
"""

from __future__ import annotations

import math
from dataclasses import replace

from atelier_shared.deepdream import DeepDream
from atelier_shared.estimate import work
from atelier_shared.request import Request
from atelier_shared.settings import Number, settings
from atelier_shared.style_transfer import SMALLEST_PX, StyleTransfer

DELAY_S = 0.2
"""A preview is asked for when nothing has changed for so long."""
SIDE_PX = 340
"""Longest side of a preview."""
DREAM_PX = 224
"""Longest side dreamt at in a preview of a whole picture; finer octaves would only be seen enlarged."""
WORK = {
    "inception-v3": 180_000,
    "squeezenet": 1_000_000,
    "vgg19": 60_000,
    "vgg16": 75_000,
    "googlenet": 180_000,
    "resnet50": 120_000,
    "inception-v3-torchvision": 180_000,
}
"""The pixel-steps, as `durations` counts them, that two cores do in half a second, by network."""
FEWEST_STEPS = 3
BOLDEST = 3.0
"""How much larger than asked for a step may be where there are fewer of them."""


def light(request: Request, width: int, height: int, part: float = 1.0) -> Request:
    """A request for a picture of that size that shows what `request` would make of the whole.

    `part` is 1 where the picture is the whole, made small; where it is cut out of the whole, it is how
    much of the whole's longest side its own is.
    """
    if isinstance(request, StyleTransfer):
        return _light_style(request, part)
    if isinstance(request, DeepDream):
        return _light_dream(request, width, height, part)
    return request


def _light_style(request: StyleTransfer, part: float) -> StyleTransfer:
    """The gallery as it is, and the light method for the others, with the same strokes beside the whole."""
    size = max(SMALLEST_PX, min(SIDE_PX, round(request.working_px * part)))
    method = request.method if request.method == "gallery" else "light"
    style_size = _within("style_size", request.style_size / part)
    return replace(request, method=method, size=size, style_size=style_size)


def _light_dream(request: DeepDream, width: int, height: int, part: float) -> DeepDream:
    """The same octaves, smaller, with fewer and bolder steps; smaller still where those are too many."""
    size = max(SMALLEST_PX, min(DREAM_PX if part == 1 else SIDE_PX, round(request.size * part)))
    affordable = WORK[request.network]
    one_step = work(replace(request, iterations=1, size=size), width, height)
    steps = min(request.iterations, max(FEWEST_STEPS, int(affordable / one_step)))
    if steps * one_step > affordable:
        size = max(SMALLEST_PX, int(size * math.sqrt(affordable / (steps * one_step))))
    bolder = min(BOLDEST, request.iterations / steps)
    step_size = _within("step_size", request.step_size * bolder)
    return replace(request, size=size, iterations=steps, step_size=step_size)


BOUNDED = {
    setting.name: setting
    for request in (StyleTransfer, DeepDream)
    for setting in settings(request)
    if isinstance(setting, Number)
}


def _within(name: str, value: float) -> float:
    return min(BOUNDED[name].high, max(BOUNDED[name].low, value))
