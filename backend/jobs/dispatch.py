"""The table of algorithms: maps each class of requests to its algorithm, with the networks and settings.

A new filter takes one row in ALGORITHMS. A new setting is passed on in the function of its algorithm.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from atelier_shared.deepdream import DeepDream
from atelier_shared.deferred_translation import N_
from atelier_shared.errors import Wrong
from atelier_shared.gallery_styles import GALLERY
from atelier_shared.imagenet_classes import class_index, class_indices
from atelier_shared.networks import NETWORKS
from atelier_shared.request import PaintingRequest
from atelier_shared.sizes import Size, fit
from atelier_shared.style_transfer import StyleTransfer
from atelier_shared.text_settings import channel_range, gallery_mix, weights_by_name
from atelier_shared.visualise import Visualise

from ..compat import allocator
from ..dream import amount, deepdream, objectives
from ..imaging import colours
from ..imaging.resize import resize, size_of
from ..imaging.step import Step, Steps
from ..imaging.style_image import Style
from ..networks import registry
from ..networks.feature_network import FeatureNetwork, check_channels
from ..networks.tiled_features import TiledFeatures
from ..networks.torchvision_models import CLASSES
from ..style import fast, fine, full_size, gallery, light
from ..style.fine_loss import TILE_PX, LossWeights
from ..style.full_size import Brush
from ..style.tile_loss import TileWorkers
from ..visualise import visualise
from ..visualise.vignette import GREY
from ..weights.store import MissingWeights
from .picture_tensors import VisibleImage
from .predictions import Prediction, blend

DRAFT_PX = 512
"""Longest side of the fast pastiche from which the fine method starts; its first size is coarse anyway."""
FURTHER_DRAFT_PX = 288
"""The same for a further frame of an animation: it fills only the parts that the previous frame lacks."""
NOISE = {"fast": 0.05, "content": 0.05, "noise": 0.8}
"""Share of noise in the fine method's first image; from noise alone, few steps never find the photo."""
KEPT = {"fine": 1.0, "fast": 1.0, "gallery": 0.5, "light": 0.5}
"""Share of the working size up to which the repainting keeps the painting. The strokes of fine and fast stay
as they are; with the other two, crisper new strokes replace the finest."""
FRESH_ITERATIONS = 3
"""Additional iterations where no dream is carried over, such as in newly visible parts."""
TEXTURE_SHARE = 0.5
"""Share of the robustness and smoothness for channels: they respond to textures, finer than things."""

_load_network = functools.lru_cache(maxsize=3)(registry.load_network)
_load_decoder = functools.lru_cache(maxsize=1)(registry.load_decoder)
_load_gallery = functools.lru_cache(maxsize=1)(registry.load_gallery)
_load_light = functools.lru_cache(maxsize=1)(registry.load_light)

AnyRequest = TypeVar("AnyRequest", bound=PaintingRequest)


class Pictures(NamedTuple):
    """The pictures of a job as image tensors on its device.

    Attributes:
        content: (1, 3, H, W).
        visible: visibility of the content (1, 1, H, W) in [0, 1]; None for 1 everywhere.
        styles: the style pictures, or the guide picture of a dream.
        prediction: from the previous frame of an animation, if this one is to follow it.
    """

    content: Tensor
    visible: Tensor | None
    styles: list[Style]
    prediction: Prediction | None = None


class Tiling(NamedTuple):
    """The way in which large pictures are computed.

    Attributes:
        scale: factor for the side of tiles, in (0, 1].
        workers: compute the tiles of the fine method; None for this process.
    """

    scale: float = 1.0
    workers: TileWorkers | None = None


ALONE = Tiling()


def _unchanged(_: PaintingRequest, content: VisibleImage) -> VisibleImage:
    return content


@dataclass(frozen=True)
class Algorithm(Generic[AnyRequest]):
    """The algorithm for a class of requests.

    Attributes:
        steps: starts the algorithm, given the request, the pictures, the folder of models and the tiling.
        prepare: changes the content before the algorithm starts.
    """

    steps: Callable[[AnyRequest, Pictures, Path, Tiling], Steps]
    prepare: Callable[[AnyRequest, VisibleImage], VisibleImage] = _unchanged


def prepare(request: PaintingRequest, content: VisibleImage) -> VisibleImage:
    """Return the content from which the algorithm of `request` starts."""
    return _algorithm_of(request).prepare(request, content)


def steps(request: PaintingRequest, pictures: Pictures, models: Path, tiling: Tiling = ALONE) -> Steps:
    """Yield the steps of the algorithm of `request`; closing the generator ends the work.

    Raises:
        ValueError: the request does not suit the network or the pictures.
        MissingWeights: the weights of a network are not in `models`.
    """
    _keep_memory_for(fit(size_of(pictures.content), request.working_px))
    yield from _algorithm_of(request).steps(request, pictures, models, tiling)


def _keep_memory_for(size: Size) -> None:
    height, width = size
    allocator.keep_for(height * width)


def _algorithm_of(request: PaintingRequest) -> Algorithm[Any]:
    try:
        return ALGORITHMS[type(request)]
    except KeyError:
        raise ValueError(f"This backend has no filter for {type(request).__name__}.") from None


def tile_features(request: StyleTransfer, models: Path, device: torch.device) -> TiledFeatures:
    """Return the extractor of the features in the loss of the fine method.

    Raises:
        MissingWeights: the weights of the network are not in `models`.
    """
    network = _load_network(request.network, models, device, pooling=request.pooling)
    return TiledFeatures(network, loss_weights(request).layers, TILE_PX)


def forget_networks() -> None:
    """Release the networks kept for the next job, to free their memory."""
    for loader in (_load_network, _load_decoder, _load_gallery, _load_light):
        loader.cache_clear()


# ── DeepDream ──────────────────────────────────────────────────────────────────────────────────────


def _dream_start(request: DeepDream, content: VisibleImage) -> VisibleImage:
    """Replace the content by noise, or enlarge its centre, as `request` asks."""
    image, visible = content
    if request.start == "noise":
        image, visible = deepdream.noise(size_of(image), request.seed, image.device), None
    if request.zoom > 1:
        image = deepdream.zoomed(image, request.zoom)
        visible = None if visible is None else deepdream.zoomed(visible, request.zoom)
    return VisibleImage(image, visible)


def _dream(request: DeepDream, pictures: Pictures, models: Path, tiling: Tiling) -> Steps:
    if request.largest_octave == "layer":
        _keep_memory_for(size_of(pictures.content))
    network = _load_network(request.network, models, pictures.content.device, pooling="max")
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
        _dream_objective(request, network, pictures.styles),
        settings,
        network=network,
        visible=visible,
        tile_scale=tiling.scale,
    )
    last = yield from _renumbered(dreaming, lambda step: step)
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


def _dream_objective(
    request: DeepDream, network: FeatureNetwork, guides: list[Style]
) -> objectives.DreamObjective:
    if request.objective == "class":
        _check_classes(network)
        return objectives.class_logit(class_index(request.imagenet_class))
    layers = weights_by_name(request.layers) or {NETWORKS[request.network].defaults.dream: 1.0}
    if request.objective == "guide":
        return objectives.guide(guides[0].image, layers, network, guides[0].visible)
    return objectives.activation(layers, channel_range(request.channels))


def _check_classes(network: FeatureNetwork) -> None:
    if not network.classes:
        raise Wrong(N_("This network has no classes. Choose one with classes, such as efficientnet-lite0."))


# ── Visualisation ──────────────────────────────────────────────────────────────────────────────────


def _blank(_: Visualise, content: VisibleImage) -> VisibleImage:
    """Replace the content by plain grey, which is visible everywhere."""
    return VisibleImage(torch.full_like(content.image, GREY), None)


def _visualise(request: Visualise, pictures: Pictures, models: Path, tiling: Tiling) -> Steps:
    network = _load_network(request.network, models, pictures.content.device, pooling="max")
    units = _units(request, network)
    height, width = size_of(pictures.content)
    share = TEXTURE_SHARE if request.units == "channels" else 1.0
    settings = visualise.VisualisationSettings(
        iterations=request.iterations,
        step_size=request.step_size,
        robustness=share * request.robustness,
        decay=share * request.smoothness,
        saturation=request.saturation,
        vignette=request.units == "classes",
        seed=request.seed,
    )
    return visualise.visualise(
        units,
        request.sheet(len(units.channels), width, height),
        settings,
        size=(height, width),
        device=pictures.content.device,
        tile_scale=tiling.scale,
    )


def _units(request: Visualise, network: FeatureNetwork) -> visualise.Units:
    """Return the classes or channels that `request` asks for.

    Raises:
        ValueError: the network has no classes, no such layer, or the layer no such channels.
    """
    if request.units == "classes":
        _check_classes(network)
        return visualise.Units(network, CLASSES, class_indices(request.classes))
    layer = request.layer or NETWORKS[request.network].defaults.dream
    count = network.channels_of(layer)
    channels = channel_range(request.channels) or range(count)
    check_channels(layer, channels, count)
    return visualise.Units(network, layer, channels)


# ── Style transfer ─────────────────────────────────────────────────────────────────────────────────


def _stylize(request: StyleTransfer, pictures: Pictures, models: Path, tiling: Tiling) -> Steps:
    """Paint at the working size, and repaint that at the content's own size if it is larger."""
    content = pictures.content
    if request.strength == 0:
        yield Step(1, 1, content)
        return
    stretch = request.style_shape == "stretch"
    styles = [style._replace(scale=request.style_size, stretch=stretch) for style in pictures.styles]
    pictures = pictures._replace(styles=styles)
    share = request.painting_share(content.shape[-1], content.shape[-2])
    # Before the painting, so that missing weights are reported at once.
    brush = _brush(request, pictures, models) if share < 1 else None
    painting = METHODS[request.method](request, pictures, models, tiling)
    step = yield from _renumbered(painting, lambda step: replace(step, total=round(step.total / share)))
    if brush:
        step = yield from _repaint(request, pictures, step, brush, tiling)
    if request.method == "gallery" and request.strength < 1:
        step = replace(step, image=torch.lerp(content, step.image, request.strength))
        yield step
    if pictures.prediction and (brush or request.is_single_pass):
        yield replace(step, image=follow(request, content, pictures.prediction, step.image))


def follow(request: StyleTransfer, content: Tensor, prediction: Prediction, image: Tensor) -> Tensor:
    """Blend the result of one pass with the prediction from the previous frame of an animation."""
    if request.keeps_colours:  # as the previous result does
        image = colours.with_colours_of(image, content)
    return blend(image, prediction, request.coherence)


def _repaint(
    request: StyleTransfer, pictures: Pictures, painted: Step, brush: Brush, tiling: Tiling
) -> Generator[Step, bool | None, Step]:
    """Repaint the image of the step `painted`; the steps go on from its number. Return the last one."""
    _keep_memory_for(size_of(pictures.content))
    done, total = painted.index, painted.total
    repainting = full_size.repaint(
        painted.image,
        pictures.content,
        brush,
        visible=pictures.visible,
        kept_px=round(max(size_of(painted.image)) * KEPT[request.method]),
        photo_detail=request.photo_detail,
        tile_scale=tiling.scale,
    )
    return _renumbered(
        repainting, lambda step: Step(done + (total - done) * step.index // step.total, total, step.image)
    )


def _renumbered(steps: Steps, renumber: Callable[[Step], Step]) -> Generator[Step, bool | None, Step]:
    """Yield `steps` with other numbers, and return the last one."""
    finish_early = None
    while True:
        try:
            step = renumber(steps.send(finish_early))
        except StopIteration:
            return step
        finish_early = yield step


def _brush(request: StyleTransfer, pictures: Pictures, models: Path) -> Brush:
    """Return what repaints: the gallery's own network; for the other methods the light one and the styles."""
    device = pictures.content.device
    if request.method == "gallery":
        return Brush(_load_gallery(models, device), gallery.mixture(_gallery_weights(request)).to(device))
    predictor, painter = _load_light(models, device)
    vector = light.style_vector(
        pictures.content, pictures.visible, pictures.styles, request.strength, predictor
    )
    return Brush(painter, vector, pictures.styles, request.working_px, request.strength)


def _fine(request: StyleTransfer, pictures: Pictures, models: Path, tiling: Tiling) -> Steps:
    network = _load_network(request.network, models, pictures.content.device, pooling=request.pooling)
    settings, predicted = _fine_settings(request), None
    if pictures.prediction:
        settings = replace(settings, iterations=request.further_steps(*reversed(size_of(pictures.content))))
        weight = pictures.prediction.reliability * request.coherence
        predicted = fine.Predicted(pictures.prediction.result, weight)
    # Before the draft, so that wrong names are reported at once.
    network.check_layers([*settings.weights.content_layers, *settings.weights.style_layers])
    draft, finish_early = Step(0, 0, pictures.content), None
    for draft in _draft(request, pictures, models, tiling):
        finish_early = yield replace(draft, total=draft.total + settings.iterations)
    if finish_early:
        total = draft.total + settings.iterations
        yield Step(total, total, draft.image)
        return
    painting = fine.stylize(
        pictures.content,
        pictures.styles,
        settings,
        network=network,
        visible=pictures.visible,
        init=draft.image,
        predicted=predicted,
        tile_scale=tiling.scale,
        workers=tiling.workers,
    )
    yield from _renumbered(
        painting, lambda step: Step(draft.total + step.index, draft.total + step.total, step.image)
    )


def _fine_settings(request: StyleTransfer) -> fine.FineSettings:
    return fine.FineSettings(
        strength=request.strength,
        size=request.working_px,
        iterations=request.steps,
        weights=loss_weights(request),
        optimizer=request.optimizer,
        noise=NOISE[request.start],
        tolerance=request.tolerance,
        seed=request.seed,
    )


def loss_weights(request: StyleTransfer) -> LossWeights:
    """Return the weights of the fine method's loss."""
    defaults, neighbours = NETWORKS[request.network].defaults, request.objective == "neighbours"
    default_style = defaults.style_beside_neighbours if neighbours else defaults.style
    return LossWeights(
        content=request.content_weight,
        style=request.style_weight,
        smoothness=request.smoothness,
        content_layers=weights_by_name(request.content_layers) or defaults.content,
        style_layers=weights_by_name(request.style_layers) or default_style,
        neighbour_layers=defaults.neighbours if neighbours else {},
    )


def _draft(request: StyleTransfer, pictures: Pictures, models: Path, tiling: Tiling) -> Iterator[Step]:
    """Return the steps to the fast pastiche for the fine method; none if not requested or not installed."""
    if request.start != "fast" or request.strength == 0:
        return iter(())
    size = fit(size_of(pictures.content), FURTHER_DRAFT_PX if pictures.prediction else DRAFT_PX)
    visible = None if pictures.visible is None else resize(pictures.visible, size).clamp(0, 1)
    small = Pictures(resize(pictures.content, size).clamp(0, 1), visible, pictures.styles)
    try:
        return _fast(request, small, models, tiling)
    except MissingWeights:
        return iter(())


def _fast(request: StyleTransfer, pictures: Pictures, models: Path, tiling: Tiling) -> Steps:
    device = pictures.content.device
    return fast.stylize(
        pictures.content,
        pictures.styles,
        fast.FastSettings(request.strength, request.working_px, neighbours=request.objective == "neighbours"),
        network=_load_network("vgg19", models, device, pooling="max"),
        decoder=_load_decoder(models, device),
        visible=pictures.visible,
        tile_scale=tiling.scale,
    )


def _gallery(request: StyleTransfer, pictures: Pictures, models: Path, tiling: Tiling) -> Steps:
    return gallery.stylize(
        pictures.content,
        gallery.GallerySettings(mix=_gallery_weights(request), size=request.working_px),
        network=_load_gallery(models, pictures.content.device),
        visible=pictures.visible,
        tile_scale=tiling.scale,
    )


def _gallery_weights(request: StyleTransfer) -> list[float]:
    mix = {request.gallery_style: 1.0} | gallery_mix(request.gallery_mix)
    return [mix.get(name, 0.0) for name in GALLERY]


def _light(request: StyleTransfer, pictures: Pictures, models: Path, tiling: Tiling) -> Steps:
    predictor, painter = _load_light(models, pictures.content.device)
    return light.stylize(
        pictures.content,
        pictures.styles,
        light.LightSettings(strength=request.strength, size=request.working_px),
        predictor=predictor,
        painter=painter,
        visible=pictures.visible,
        tile_scale=tiling.scale,
    )


# ── The tables ─────────────────────────────────────────────────────────────────────────────────────

METHODS: Mapping[str, Callable[[StyleTransfer, Pictures, Path, Tiling], Steps]] = {
    "fine": _fine,
    "fast": _fast,
    "gallery": _gallery,
    "light": _light,
}

ALGORITHMS: Mapping[type[PaintingRequest], Algorithm[Any]] = {
    StyleTransfer: Algorithm(_stylize),
    DeepDream: Algorithm(_dream, prepare=_dream_start),
    Visualise: Algorithm(_visualise, prepare=_blank),
}
