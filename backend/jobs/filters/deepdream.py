"""DeepDream: its start, its objective, and the frames of an animation."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from atelier_shared.deepdream import DeepDream
from atelier_shared.imagenet_classes import class_index
from atelier_shared.networks import NETWORKS
from atelier_shared.text_settings import channel_range, weights_by_name

from ...compat import allocator
from ...dream import amount, deepdream, objectives
from ...imaging import colours
from ...imaging.resize import size_of
from ...imaging.step import Steps
from ...imaging.style_image import Style
from ...networks.feature_network import FeatureNetwork
from .. import loaded_networks
from ..algorithm import Pictures, Tiling, renumbered
from ..picture_tensors import VisibleImage
from ..predictions import Prediction

FRESH_ITERATIONS = 3
"""Additional iterations where no dream is carried over, such as in newly visible parts."""


def start(request: DeepDream, content: VisibleImage) -> VisibleImage:
    """Replace the content by noise, or enlarge its centre, as `request` asks."""
    image, visible = content
    if request.start == "noise":
        image, visible = deepdream.noise(size_of(image), request.seed, image.device), None
    if request.zoom > 1:
        image = deepdream.zoomed(image, request.zoom)
        visible = None if visible is None else deepdream.zoomed(visible, request.zoom)
    return VisibleImage(image, visible)


def dream(request: DeepDream, pictures: Pictures, models: Path, tiling: Tiling) -> Steps:
    """Dream on the picture, or on the frame with the dream of the previous one."""
    if request.largest_octave == "layer":
        allocator.keep_for(math.prod(size_of(pictures.content)))
    network = loaded_networks.feature_network(request.network, models, pictures.content.device, pooling="max")
    image, visible, iterations = pictures.content, pictures.visible, request.iterations
    if prediction := pictures.prediction:
        iterations = request.further_iterations + FRESH_ITERATIONS
        fresh = 1 - request.coherence * prediction.reliability * FRESH_ITERATIONS / iterations
        image = _carried_over(request, image, prediction)
        visible = fresh if visible is None else visible * fresh
    settings = deepdream.DreamSettings(
        size=request.size,
        octaves=request.octaves,
        octave_scale=request.octave_scale,
        to_full_size=request.largest_octave == "layer",
        iterations=iterations,
        step_size=request.step_size,
        jitter=request.jitter,
        smoothing=request.smoothing,
        strength=request.strength,
        seed=request.seed,
    )
    dreaming = deepdream.dream(
        image,
        _objective(request, network, pictures.styles),
        settings,
        network=network,
        visible=visible,
        tile_scale=tiling.scale,
    )
    last = yield from renumbered(dreaming, lambda step: step)
    if prediction:
        yield replace(last, image=_in_amount(request, pictures.content, prediction, last.image))


def _carried_over(request: DeepDream, content: Tensor, prediction: Prediction) -> Tensor:
    """Add to the content the dream of the previous frame of an animation, moved along the motion."""
    share = request.coherence * prediction.reliability
    return (content + share * (prediction.result - prediction.content)).clamp(0, 1)


def _in_amount(request: DeepDream, content: Tensor, prediction: Prediction, image: Tensor) -> Tensor:
    """Scale a dream to the amounts of the previous frame's. Otherwise it grows, and its detail fades."""
    if request.keeps_colours:  # as the previous result does
        image = colours.with_colours_of(image, content)
    return amount.with_amount_of(prediction.change, image, content, prediction.region)


def _objective(request: DeepDream, network: FeatureNetwork, guides: list[Style]) -> objectives.DreamObjective:
    if request.objective == "class":
        network.check_classes()
        return objectives.class_logit(class_index(request.imagenet_class))
    layers = weights_by_name(request.layers) or {NETWORKS[request.network].defaults.dream: 1.0}
    if request.objective == "guide":
        return objectives.guide(guides[0].image, layers, network, guides[0].visible)
    return objectives.activation(layers, channel_range(request.channels))
