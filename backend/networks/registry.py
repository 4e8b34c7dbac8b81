"""Feature networks by name, their features by layer name, and the networks that paint.

Knows image tensors and layers; neither losses, nor what anyone wants the features for.

A network here is a sequence of named layers and the normalisation that its weights expect of an
image tensor.

Sources:
    Gatys et al. 2016, *Image Style Transfer Using Convolutional Neural Networks*, CVPR, section 2
    (normalised VGG19, average pooling)
    Huang and Belongie 2017, *Arbitrary Style Transfer in Real-Time*, ICCV, section 6.1 (decoder)
"""

from __future__ import annotations

import functools
import itertools
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from ..compat.torchvision_import import torchvision
from ..weights import fetch
from ..weights.convert import DECODER_CONVOLUTIONS, Tensors
from . import torchvision_models
from .cpu import convolution
from .cpu.benchmark import NOTES, winograd_pays
from .receptive_fields import Reach, reaches
from .style_painter import Painter
from .style_predictor import STYLE_LENGTH, StylePredictor


class Network(nn.Module):
    """A frozen network as a sequence of named layers.

    Args:
        normalise: from [0, 1] to the values its weights were trained on.
        body: the layers in depth order, by name.
        minimum_px: smallest side of an image it takes.
        classes: the names of the classes that its last layer tells apart, if it does.
    """

    def __init__(
        self, normalise: nn.Module, body: nn.Sequential, minimum_px: int, classes: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.normalise = normalise
        self.body = body
        self.minimum_px = minimum_px
        self.classes = tuple(classes)
        self.eval().requires_grad_(False)

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers, in depth order."""
        return tuple(name for name, _ in self.body.named_children())

    def features(self, image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """The features of an image tensor at each of `layers`, (1, C, h, w), in depth order.

        Differentiable with respect to the image. Nothing past the deepest of `layers` is computed.

        Raises:
            ValueError: the network has no layer of such a name, or the image is too small for it.
        """
        last = self._deepest(layers)
        if min(image.shape[-2:]) < self.minimum_px:
            height, width = image.shape[-2:]
            raise ValueError(f"The network takes {self.minimum_px} px and more, not {width} × {height} px.")
        found: dict[str, Tensor] = {}
        values = self.normalise(image)
        for name, layer in convolution.steps(self.body, layers):
            values = layer(values)
            if name in layers:
                found[name] = values
            if name == last:
                break
        return found

    def halo_px(self, layers: Sequence[str]) -> int:
        """How far around a tile its features at the deepest of `layers` see; a multiple of `stride_px`.

        A tile whose edges lie on multiples of `stride_px` has with this halo the features that it
        has in the whole picture.

        Raises:
            ValueError: the network has no layer of such a name.
        """
        return self._reaches[self._deepest(layers)].halo_px

    def stride_px(self, layers: Sequence[str]) -> int:
        """Pixels from one position to the next at the deepest of `layers`.

        Raises:
            ValueError: the network has no layer of such a name.
        """
        return self._reaches[self._deepest(layers)].stride_px

    @functools.cached_property
    def _reaches(self) -> dict[str, Reach]:
        return reaches(self.body, self.minimum_px)

    def _deepest(self, layers: Sequence[str]) -> str:
        if unknown := set(layers) - set(self.layers):
            missing = ", ".join(sorted(unknown))
            raise ValueError(f"There is no layer {missing} in this network; it has {', '.join(self.layers)}.")
        return max(layers, key=self.layers.index)


class Normalise(nn.Module):
    """From an image tensor to values with a mean of 0 and a deviation of 1, by channel.

    torchvision's transform brings its numbers to a graphics card in every call, and waits for it.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Sequence[float], deviation: Sequence[float]) -> None:
        super().__init__()
        for name, values in {"mean": mean, "deviation": deviation}.items():
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """(1, 3, H, W) to (1, 3, H, W)."""
        return (image - self.mean) / self.deviation


def load_network(
    name: str,
    models: Path,
    device: torch.device,
    *,
    pooling: Literal["max", "average"] = "max",
    accelerated: bool = True,
) -> Network:
    """The network called `name`, one of `NETWORKS`, with its weights, on `device`.

    Without `accelerated` it consists of torch's own modules alone. That is the exact mode, the measure of
    the fast kernels in tests and benchmarks; no request asks for it, for they differ by rounding alone.

    Raises:
        MissingWeights: its weights are not in `models`.
    """
    network = NETWORKS[name](fetch.load(name, models))
    if pooling == "average":
        torchvision_models.use_average_pooling(network.body)
    network.to(device)
    if accelerated:
        pays = functools.cache(functools.partial(winograd_pays, notes=models.parent / NOTES))
        convolution.accelerate(network.body, pays)
    return network


def load_gallery(models: Path, device: torch.device) -> Painter:
    """The painter of the gallery: its style vector is how much there is of each of the 26 styles.

    Raises:
        MissingWeights: its weights are not in `models`.
    """
    painter = Painter(
        widths=(32, 32, 32),
        blocks=6,
        narrowing=(8, 4, 3),
        style_length=26,
        contract_styled=True,
        offset=False,
    )
    painter.load_state_dict(fetch.load("gallery", models))
    return painter.to(device)


def load_light(models: Path, device: torch.device) -> tuple[StylePredictor, Painter]:
    """The light method's two networks: from a style picture to a style vector, and the painter that takes it.

    Raises:
        MissingWeights: their weights are not in `models`.
    """
    predictor = StylePredictor()
    predictor.load_state_dict(fetch.load("light-predictor", models))
    painter = Painter(
        widths=(8, 16, 32),
        blocks=5,
        narrowing=(16, 8, 3),
        style_length=STYLE_LENGTH,
        contract_styled=False,
        offset=True,
    )
    painter.load_state_dict(fetch.load("light-painter", models))
    return predictor.to(device), painter.to(device)


def load_decoder(models: Path, device: torch.device) -> nn.Sequential:
    """The AdaIN decoder: from features of vgg19's relu4_1 (1, 512, h, w) to an image, 8h × 8w.

    Raises:
        MissingWeights: its weights are not in `models`.
    """
    decoder = _decoder()
    decoder.load_state_dict(fetch.load("adain-decoder", models))
    return decoder.eval().requires_grad_(False).to(device)


def _decoder() -> nn.Sequential:
    """VGG19 up to relu4_1 in reverse: where channels halve, nearest enlarging undoes the pooling."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels = itertools.pairwise((512, 256, 256, 256, 256, 128, 128, 64, 64, 3))
    for name, (before, after) in zip(DECODER_CONVOLUTIONS, channels, strict=True):
        layers[name] = nn.Conv2d(before, after, kernel_size=3, padding=1, padding_mode="reflect")
        layers[name.replace("conv", "relu")] = nn.ReLU()
        if after == before // 2:
            layers[name.replace("conv", "enlarge")] = nn.Upsample(scale_factor=2)
    del layers["relu1_1"]
    return nn.Sequential(layers)


# ── Feature networks ─────────────────────────────────────────────────────────────────────────────


def _normalised_vgg19(tensors: Tensors) -> Network:
    """VGG19 scaled to a mean activation of 1 at every layer; a 1×1 convolution takes RGB to its BGR."""
    normalise = nn.Conv2d(3, 3, kernel_size=1)
    normalise.load_state_dict({part: tensors.pop(f"normalise.{part}") for part in ("weight", "bias")})
    body = torchvision_models.vgg(torchvision.models.vgg19, tensors)
    for layer in body:
        if isinstance(layer, nn.Conv2d):
            layer.padding_mode = "reflect"
        elif isinstance(layer, nn.MaxPool2d):
            layer.ceil_mode = True
    return Network(normalise, body, minimum_px=17)


def _vgg19(tensors: Tensors) -> Network:
    return Network(_of_imagenet(), torchvision_models.vgg(torchvision.models.vgg19, tensors), minimum_px=16)


def _vgg16(tensors: Tensors) -> Network:
    return Network(_of_imagenet(), torchvision_models.vgg(torchvision.models.vgg16, tensors), minimum_px=16)


def _squeezenet(tensors: Tensors) -> Network:
    normalise = Normalise([123 / 255, 117 / 255, 104 / 255], [1, 1, 1])
    return Network(normalise, torchvision_models.squeezenet(tensors), minimum_px=17, classes=_classes())


def _googlenet(tensors: Tensors) -> Network:
    return Network(_symmetric(), torchvision_models.googlenet(tensors), minimum_px=15, classes=_classes())


def _resnet50(tensors: Tensors) -> Network:
    return Network(_of_imagenet(), torchvision_models.resnet50(tensors), minimum_px=1, classes=_classes())


def _inception(tensors: Tensors) -> Network:
    return Network(_symmetric(), torchvision_models.inception(tensors), minimum_px=49, classes=_classes())


def _inception_of_2015(tensors: Tensors) -> Network:
    normalise = Normalise([128 / 255] * 3, [128 / 255] * 3)  # (x - 128) / 128 in bytes
    return Network(normalise, torchvision_models.inception(tensors), minimum_px=49)


def _of_imagenet() -> nn.Module:
    trained = torchvision.models.VGG19_Weights.IMAGENET1K_V1.transforms()
    return Normalise(trained.mean, trained.std)


def _symmetric() -> nn.Module:
    """From -1 to 1: what transform_input comes to in torchvision's GoogLeNet and Inception v3."""
    return Normalise([0.5] * 3, [0.5] * 3)


def _classes() -> tuple[str, ...]:
    return tuple(torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.meta["categories"])


NETWORKS: dict[str, Callable[[Tensors], Network]] = {
    "vgg19": _normalised_vgg19,
    "vgg19-torchvision": _vgg19,
    "vgg16": _vgg16,
    "vgg16-torchvision": _vgg16,
    "inception-v3": _inception_of_2015,
    "inception-v3-torchvision": _inception,
    "googlenet": _googlenet,
    "squeezenet": _squeezenet,
    "resnet50": _resnet50,
}


class LayerDefaults(NamedTuple):
    """The layers that serve best: for content and style with their weights, and to dream of."""

    content: Mapping[str, float]
    style: Mapping[str, float]
    dream: str


def _evenly(*layers: str) -> Mapping[str, float]:
    return dict.fromkeys(layers, 1.0)


OF_VGG = LayerDefaults(
    _evenly("relu4_2"), _evenly("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"), "relu4_3"
)
OF_INCEPTION = LayerDefaults(
    _evenly("Mixed_5d"),
    _evenly("Conv2d_1a_3x3", "Conv2d_2b_3x3", "Conv2d_4a_3x3", "Mixed_5c", "Mixed_6a"),
    "Mixed_5d",
)

DEFAULTS: dict[str, LayerDefaults] = {
    **dict.fromkeys(("vgg19", "vgg19-torchvision", "vgg16", "vgg16-torchvision"), OF_VGG),
    **dict.fromkeys(("inception-v3", "inception-v3-torchvision"), OF_INCEPTION),
    "googlenet": LayerDefaults(
        _evenly("inception3b"),
        _evenly("conv1", "conv3", "inception3a", "inception3b", "inception4b"),
        "inception4c",
    ),
    "squeezenet": LayerDefaults(_evenly("fire5"), _evenly("conv1", "fire2", "fire3", "fire5"), "fire8"),
    "resnet50": LayerDefaults(
        _evenly("layer2"), _evenly("conv1", "layer1", "layer2_2", "layer2", "layer3_2"), "layer3_3"
    ),
}
