"""The fine method of Style Transfer: a fast pastiche, then many steps from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from atelier_shared.networks import NETWORKS
from atelier_shared.sizes import fit
from atelier_shared.style_transfer import StyleTransfer
from atelier_shared.text_settings import weights_by_name

from ...imaging.resize import resize, size_of
from ...imaging.step import Step, Steps
from ...networks.tiled_features import TiledFeatures
from ...style import fine
from ...style.fine_loss import TILE_PX, LossWeights
from ...weights.store import MissingWeights
from .. import loaded_networks
from ..algorithm import Pictures, Tiling, renumbered
from . import one_pass

DRAFT_PX = 512
"""Longest side of the fast pastiche from which the fine method starts; its first size is coarse anyway."""
FURTHER_DRAFT_PX = 288
"""The same for a further frame of an animation: it fills only the parts that the previous frame lacks."""
NOISE = {"fast": 0.05, "content": 0.05, "noise": 0.8}
"""Share of noise in the fine method's first image; from noise alone, few steps never find the photo."""

BOLDNESS = {"neighbours": 2.0, "statistics": 1.0}
"""Factor of the style weight by objective; chosen by eye and with `benchmarks/looks.py`.

Nearest neighbours keep the photo's shapes, so more of the style is welcome.
"""


def steps(request: StyleTransfer, pictures: Pictures, models: Path, tiling: Tiling) -> Steps:
    """Paint a fast pastiche, unless the request starts otherwise, and go on from it."""
    device = pictures.content.device
    network = loaded_networks.feature_network(request.network, models, device, pooling=request.pooling)
    settings, predicted = _settings(request), None
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
    yield from renumbered(
        painting, lambda step: Step(draft.total + step.index, draft.total + step.total, step.image)
    )


def _settings(request: StyleTransfer) -> fine.FineSettings:
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
        style=request.style_weight * BOLDNESS[request.objective],
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
        return one_pass.fast(request, small, models, tiling)
    except MissingWeights:
        return iter(())


def tile_features(request: StyleTransfer, models: Path, device: torch.device) -> TiledFeatures:
    """Return the extractor of the features in the loss of the fine method.

    Raises:
        MissingWeights: the weights of the network are not in `models`.
    """
    network = loaded_networks.feature_network(request.network, models, device, pooling=request.pooling)
    return TiledFeatures(network, loss_weights(request).layers, TILE_PX)
