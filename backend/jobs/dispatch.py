"""From a request and its pictures as tensors to the algorithm that works on them, with its networks.

Knows every algorithm's arguments and none of their insides; neither the wire nor devices' shortcomings.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from torch import Tensor

from atelier_shared.deepdream import DeepDream
from atelier_shared.gallery_styles import GALLERY
from atelier_shared.style_transfer import StyleTransfer
from atelier_shared.text_settings import channel_range, gallery_mix, weights_by_name

from ..compat import allocator
from ..dream import deepdream, objectives
from ..imaging.resize import fit, resize, restore_detail, size_of
from ..imaging.step import Step, Steps
from ..imaging.style_image import Style
from ..networks import registry
from ..style import fast, fine, gallery, light
from ..weights.fetch import MissingWeights
from .imagenet_classes import class_index

INIT_PX = 512
"""Longest side of the fast pastiche that the fine method begins with, coarsely anyway."""
NOISE = {"fast": 0.05, "content": 0.05, "noise": 0.8}
"""How much of what the fine method starts with is noise; from noise alone a draft never finds the photo."""

_load_network = functools.lru_cache(maxsize=3)(registry.load_network)
_load_decoder = functools.lru_cache(maxsize=1)(registry.load_decoder)
_load_gallery = functools.lru_cache(maxsize=1)(registry.load_gallery)
_load_light = functools.lru_cache(maxsize=1)(registry.load_light)


class Scene(NamedTuple):
    """The pictures of a job as tensors; `visible` is how much each of the content's pixels counts."""

    content: Tensor
    visible: Tensor | None
    styles: list[Style]


def forget_networks() -> None:
    """Let go of the networks that are kept for the next job, so that their memory can be used."""
    for loader in (_load_network, _load_decoder, _load_gallery, _load_light):
        loader.cache_clear()


def steps(request: StyleTransfer | DeepDream, scene: Scene, models: Path) -> Steps:
    """The steps of the algorithm that `request` asks for; to close them ends their work.

    Raises:
        ValueError: the request does not suit the network or the pictures, for the reason given.
        MissingWeights: a network's weights are not in `models`.
    """
    longest_px = request.size if isinstance(request, DeepDream) else request.working_px
    height, width = fit(size_of(scene.content), longest_px)
    allocator.keep_for(height * width)
    if isinstance(request, DeepDream):
        yield from _dream(request, scene, models)
    else:
        yield from STYLIZE[request.method](request, scene, models)


def _dream(request: DeepDream, scene: Scene, models: Path) -> Steps:
    network = _load_network(request.network, models, scene.content.device, pooling="max")
    return deepdream.dream(
        scene.content,
        network=network,
        objective=_objective(request, network, scene.styles),
        visible=scene.visible,
        strength=request.strength,
        iterations=request.iterations,
        step_size=request.step_size,
        octaves=request.octaves,
        octave_scale=request.octave_scale,
        jitter=request.jitter,
        size=request.size,
        smoothing=cast(deepdream.Smoothing, request.smoothing),
        seed=request.seed,
    )


def _objective(
    request: DeepDream, network: registry.Network, guides: Sequence[Style]
) -> objectives.Objective:
    if request.objective == "class":
        return objectives.class_logit(class_index(request.imagenet_class, network.classes))
    layers = weights_by_name(request.layers) or {registry.DEFAULTS[request.network].dream: 1.0}
    if request.objective == "guide":
        return objectives.guide(guides[0].image, layers, network, guides[0].visible)
    return objectives.activation(layers, channel_range(request.channels))


def _fine(request: StyleTransfer, scene: Scene, models: Path) -> Steps:
    device, usual = scene.content.device, registry.DEFAULTS[request.network]
    network = _load_network(request.network, models, device, pooling=request.pooling)
    begun, finish_early = Step(0, 0, scene.content), None
    for begun in _beginning(request, scene, models):
        finish_early = yield Step(begun.index, begun.total + request.steps, begun.image)
    if finish_early:
        total = begun.total + request.steps
        yield Step(total, total, restore_detail(begun.image, scene.content).clamp(0, 1))
        return
    painting = fine.stylize(
        scene.content,
        scene.styles,
        network=network,
        visible=scene.visible,
        strength=request.strength,
        size=request.working_px,
        iterations=request.steps,
        content_weight=request.content_weight,
        style_weight=request.style_weight,
        smoothness=request.smoothness,
        content_layers=weights_by_name(request.content_layers) or usual.content,
        style_layers=weights_by_name(request.style_layers) or usual.style,
        style_size=request.style_size,
        stretch=request.style_shape == "stretch",
        optimizer=request.optimizer,
        init=begun.image,
        noise=NOISE[request.start],
        tolerance=request.tolerance,
        seed=request.seed,
    )
    yield from _counted_on(painting, begun.total)


def _counted_on(steps: Steps, done: int) -> Steps:
    """The steps of an algorithm that others were done before, counted from there on."""
    finish_early = None
    while True:
        try:
            step = steps.send(finish_early)
        except StopIteration:
            return
        finish_early = yield Step(done + step.index, done + step.total, step.image)


def _beginning(request: StyleTransfer, scene: Scene, models: Path) -> Iterator[Step]:
    """The steps to the fast pastiche that the fine method begins with, where it does and has its weights."""
    if request.start != "fast" or request.strength == 0:
        return iter(())
    size = fit(size_of(scene.content), INIT_PX)
    visible = None if scene.visible is None else resize(scene.visible, size).clamp(0, 1)
    small = Scene(resize(scene.content, size).clamp(0, 1), visible, scene.styles)
    try:
        return _fast(request, small, models)
    except MissingWeights:
        return iter(())


def _fast(request: StyleTransfer, scene: Scene, models: Path) -> Steps:
    device = scene.content.device
    return fast.stylize(
        scene.content,
        scene.styles,
        network=_load_network("vgg19", models, device, pooling="max"),
        decoder=_load_decoder(models, device),
        visible=scene.visible,
        strength=request.strength,
        size=request.working_px,
        style_size=request.style_size,
        stretch=request.style_shape == "stretch",
    )


def _gallery(request: StyleTransfer, scene: Scene, models: Path) -> Steps:
    mix = {request.gallery_style: 1.0} | gallery_mix(request.gallery_mix)
    return gallery.stylize(
        scene.content,
        [mix.get(name, 0.0) for name in GALLERY],
        network=_load_gallery(models, scene.content.device),
        visible=scene.visible,
        strength=request.strength,
        size=request.working_px,
    )


def _light(request: StyleTransfer, scene: Scene, models: Path) -> Steps:
    predictor, painter = _load_light(models, scene.content.device)
    return light.stylize(
        scene.content,
        scene.styles,
        predictor=predictor,
        painter=painter,
        visible=scene.visible,
        strength=request.strength,
        size=request.working_px,
        style_size=request.style_size,
        stretch=request.style_shape == "stretch",
    )


STYLIZE: dict[str, Callable[[StyleTransfer, Scene, Path], Steps]] = {
    "fine": _fine,
    "fast": _fast,
    "gallery": _gallery,
    "light": _light,
}
