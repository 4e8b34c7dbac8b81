"""Visualise: from the names of classes or a layer's channels to the sheet of pictures."""

from __future__ import annotations

from pathlib import Path

import torch

from atelier_shared.imagenet_classes import class_indices
from atelier_shared.networks import NETWORKS
from atelier_shared.text_settings import channel_range
from atelier_shared.visualise import Visualise

from ...imaging.resize import size_of
from ...imaging.step import Steps
from ...networks.feature_network import FeatureNetwork, check_channels
from ...networks.torchvision_models import CLASSES
from ...visualise import visualise
from ...visualise.vignette import GREY
from .. import loaded_networks
from ..algorithm import Pictures, Tiling
from ..picture_tensors import VisibleImage

TEXTURE_SHARE = 0.5
"""Share of the robustness and smoothness for channels: they respond to textures, finer than things."""


def blank(_: Visualise, content: VisibleImage) -> VisibleImage:
    """Replace the content by plain grey, which is visible everywhere."""
    return VisibleImage(torch.full_like(content.image, GREY), None)


def steps(request: Visualise, pictures: Pictures, models: Path, tiling: Tiling) -> Steps:
    """Visualise the classes or channels side by side."""
    network = loaded_networks.feature_network(request.network, models, pictures.content.device, pooling="max")
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
        network.check_classes()
        return visualise.Units(network, CLASSES, class_indices(request.classes))
    layer = request.layer or NETWORKS[request.network].defaults.dream
    count = network.channels_of(layer)
    channels = channel_range(request.channels) or range(count)
    check_channels(layer, channels, count)
    return visualise.Units(network, layer, channels)
