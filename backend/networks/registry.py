"""Loading of networks by name, with their weights: feature networks, painters and the AdaIN decoder.

Sources:
    Huang and Belongie 2017, *Arbitrary Style Transfer in Real-Time*, ICCV, section 6.1 (decoder)
"""

from __future__ import annotations

import functools
import itertools
from collections import OrderedDict
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from atelier_shared.home import KERNELS_FILE
from atelier_shared.imagenet_classes import CLASSES
from atelier_shared.networks import NETWORKS, Normalisation

from ..weights import store
from ..weights.convert import DECODER_CONVOLUTIONS, Tensors
from . import fast_paths, torchvision_models
from .cpu import convolution
from .cpu.benchmark import winograd_is_faster
from .fast_paths import EXACT, FastPath
from .feature_network import FeatureNetwork, Normalise
from .style_painter import Painter
from .style_predictor import STYLE_LENGTH, StylePredictor


def load_network(
    name: str,
    models: Path,
    device: torch.device,
    *,
    pooling: Literal["max", "average"] = "max",
    accelerated: bool = True,
) -> FeatureNetwork:
    """Load the feature network called `name`, one of `NETWORKS`, onto `device`.

    Without `accelerated` it consists of torch's own modules only, in float32. This exact mode is the
    reference for the fast kernels in tests and benchmarks; no request uses it, because the fast kernels
    differ from it only by rounding. On a graphics card the fast path is chosen by measurement, see
    `fast_paths`.

    Raises:
        MissingWeights: its weights are not in `models`.
    """
    build = functools.partial(_build_on, name, models, device, pooling)
    if not accelerated:
        return build(EXACT)
    results_file = models.parent / KERNELS_FILE
    if device.type == "cpu":
        is_faster = functools.cache(functools.partial(winograd_is_faster, results_file=results_file))
        network = build(EXACT)
        convolution.accelerate(network.body, is_faster)
        return network
    return build(fast_paths.choose(name, NETWORKS[name].defaults.dream, build, device, results_file))


def _build_on(
    name: str, models: Path, device: torch.device, pooling: Literal["max", "average"], path: FastPath
) -> FeatureNetwork:
    network = build_network(name, store.load(name, models))
    if pooling == "average":
        torchvision_models.use_average_pooling(network.body)
    network.to(device)
    network.path = path
    if path.channels_last:
        convolution.accelerate(network.body, lambda *_: False)
    return network


def build_network(name: str, tensors: Tensors) -> FeatureNetwork:
    """Build the feature network called `name` from its weights."""
    row = NETWORKS[name]
    normalise = _normalise(row.normalisation, tensors)
    body = getattr(torchvision_models, row.architecture)(tensors)
    return FeatureNetwork(normalise, body, row.minimum_px, CLASSES if row.has_classes else ())


def _normalise(normalisation: Normalisation | None, tensors: Tensors) -> nn.Module:
    """Build the module for a normalisation. If None, it is in the weights: a 1×1 convolution, RGB to BGR."""
    if normalisation:
        return Normalise(normalisation.mean, normalisation.deviation)
    convolution = nn.Conv2d(3, 3, kernel_size=1)
    convolution.load_state_dict({part: tensors.pop(f"normalise.{part}") for part in ("weight", "bias")})
    return convolution


def load_gallery(models: Path, device: torch.device) -> Painter:
    """Load the painter of the gallery; its style vector holds the weights of the 26 styles.

    Raises:
        MissingWeights: its weights are not in `models`.
    """
    painter = Painter(
        widths=(32, 32, 32),
        blocks=6,
        narrowing=(8, 4, 3),
        style_length=26,
        contract_styled=True,
        constant=False,
    )
    painter.load_state_dict(store.load("gallery", models))
    return painter.to(device)


def load_light(models: Path, device: torch.device) -> tuple[StylePredictor, Painter]:
    """Load the two networks of the light method: the predictor of a style vector, and the painter.

    Raises:
        MissingWeights: their weights are not in `models`.
    """
    predictor = StylePredictor()
    predictor.load_state_dict(store.load("light-predictor", models))
    painter = Painter(
        widths=(8, 16, 32),
        blocks=5,
        narrowing=(16, 8, 3),
        style_length=STYLE_LENGTH,
        contract_styled=False,
        constant=True,
    )
    painter.load_state_dict(store.load("light-painter", models))
    return predictor.to(device), painter.to(device)


def load_decoder(models: Path, device: torch.device) -> nn.Sequential:
    """Load the AdaIN decoder: from features of vgg19's relu4_1, (1, 512, h, w), to an image, (1, 3, 8h, 8w).

    Raises:
        MissingWeights: its weights are not in `models`.
    """
    decoder = _decoder()
    decoder.load_state_dict(store.load("adain-decoder", models))
    return decoder.eval().requires_grad_(False).to(device)


def _decoder() -> nn.Sequential:
    """Build VGG19 up to relu4_1 in reverse; where channels halve, nearest upsampling inverts the pooling."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels = itertools.pairwise((512, 256, 256, 256, 256, 128, 128, 64, 64, 3))
    for name, (before, after) in zip(DECODER_CONVOLUTIONS, channels, strict=True):
        layers[name] = nn.Conv2d(before, after, kernel_size=3, padding=1, padding_mode="reflect")
        layers[name.replace("conv", "relu")] = nn.ReLU()
        if after == before // 2:
            layers[name.replace("conv", "enlarge")] = nn.Upsample(scale_factor=2)
    del layers["relu1_1"]
    return nn.Sequential(layers)
