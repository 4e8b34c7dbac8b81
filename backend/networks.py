"""Feature networks by name, their features by layer name, and the decoder that undoes VGG19.

Knows image tensors and layers; neither losses, nor what anyone wants the features for.

The definitions are torchvision's. A network here is that definition as a sequence of named layers
and the normalisation its weights expect of an image tensor.

Sources:
    Simonyan and Zisserman 2015, *Very Deep Convolutional Networks*, ICLR (VGG19)
    Gatys et al. 2016, *Image Style Transfer Using Convolutional Neural Networks*, CVPR, section 2
    Szegedy et al. 2016, *Rethinking the Inception Architecture*, CVPR (Inception v3)
    Huang and Belongie 2017, *Arbitrary Style Transfer in Real-Time*, ICCV, section 6.1 (decoder)
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from . import weights
from .conversions import DECODER_CONVOLUTIONS, Tensors
from .vision import torchvision


class Network(nn.Module):
    """A frozen network as a sequence of named layers.

    Args:
        normalise: from [0, 1] to the values its weights were trained on.
        body: the layers in depth order, by name.
        minimum_px: smallest side of an image it takes.
    """

    def __init__(self, normalise: nn.Module, body: nn.Sequential, minimum_px: int) -> None:
        super().__init__()
        self.normalise = normalise
        self.body = body
        self.minimum_px = minimum_px
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
        if unknown := set(layers) - set(self.layers):
            raise ValueError(f"There is no layer {', '.join(sorted(unknown))} in this network.")
        if min(image.shape[-2:]) < self.minimum_px:
            height, width = image.shape[-2:]
            raise ValueError(f"The network takes {self.minimum_px} px and more, not {width} × {height} px.")
        found: dict[str, Tensor] = {}
        values = self.normalise(image)
        for name, layer in self.body.named_children():
            if len(found) == len(set(layers)):
                break
            values = layer(values)
            if name in layers:
                found[name] = values
        return found


def load_network(name: str, models: Path, device: torch.device) -> Network:
    """The network called `name`, with its weights, on `device`.

    Raises:
        MissingWeights: its weights are not in `models`.
    """
    return NETWORKS[name](weights.load(name, models)).to(device)


def load_decoder(models: Path, device: torch.device) -> nn.Sequential:
    """The AdaIN decoder: from features of vgg19's relu4_1 (1, 512, h, w) to an image, 8h × 8w.

    Raises:
        MissingWeights: its weights are not in `models`.
    """
    decoder = _decoder()
    decoder.load_state_dict(weights.load("adain-decoder", models))
    return decoder.eval().requires_grad_(False).to(device)


def _normalised_vgg19(tensors: Tensors) -> Network:
    """VGG19 scaled to a mean activation of 1 at every layer; a 1×1 convolution takes RGB to its BGR."""
    normalise = nn.Conv2d(3, 3, kernel_size=1)
    normalise.load_state_dict({part: tensors.pop(f"normalise.{part}") for part in ("weight", "bias")})
    body = _vgg19(tensors)
    for layer in body:
        if isinstance(layer, nn.Conv2d):
            layer.padding_mode = "reflect"
        elif isinstance(layer, nn.MaxPool2d):
            layer.ceil_mode = True
    return Network(normalise, body, minimum_px=17)


def _torchvision_vgg19(tensors: Tensors) -> Network:
    trained = torchvision.models.VGG19_Weights.IMAGENET1K_V1.transforms()
    normalise = torchvision.transforms.Normalize(trained.mean, trained.std)
    return Network(normalise, _vgg19(tensors), minimum_px=16)


def _vgg19(tensors: Tensors) -> nn.Sequential:
    """VGG19 as torchvision defines it, up to relu5_4, its layers named as in the papers."""
    body: OrderedDict[str, nn.Module] = OrderedDict()
    block, index = 1, 1
    for layer in _without_values(torchvision.models.vgg19).features:
        if isinstance(layer, nn.Conv2d):
            body[f"conv{block}_{index}"] = layer
        elif isinstance(layer, nn.ReLU):
            body[f"relu{block}_{index}"] = nn.ReLU()  # torchvision's own overwrites what it is given
            index += 1
        else:
            body[f"pool{block}"] = layer
            block, index = block + 1, 1
    del body["pool5"]
    return _filled(nn.Sequential(body), tensors)


def _inception_of_2015(tensors: Tensors) -> Network:
    normalise = torchvision.transforms.Normalize([128 / 255] * 3, [128 / 255] * 3)  # (x - 128) / 128 in bytes
    return Network(normalise, _inception(tensors), minimum_px=75)


def _torchvision_inception(tensors: Tensors) -> Network:
    normalise = torchvision.transforms.Normalize([0.5] * 3, [0.5] * 3)  # what its transform_input comes to
    return Network(normalise, _inception(tensors), minimum_px=75)


def _inception(tensors: Tensors) -> nn.Sequential:
    """Inception v3 as torchvision defines it, up to Mixed_7c, batch norm folded into the convolutions."""
    whole = _without_values(torchvision.models.inception_v3, aux_logits=False, init_weights=False)
    head = ("avgpool", "dropout", "fc")
    layers = {name: layer for name, layer in whole.named_children() if name not in head}
    body = _filled(nn.Sequential(OrderedDict(layers)), tensors).eval()
    for unit in body.modules():
        if isinstance(unit, torchvision.models.inception.BasicConv2d):
            unit.conv = nn.utils.fuse_conv_bn_eval(unit.conv, unit.bn)
            unit.bn = nn.Identity()
    return body


def _without_values(definition: Callable[..., Any], **options: bool) -> Any:
    """A network of torchvision's that holds no values yet: random ones would take seconds."""
    with torch.device("meta"):
        return definition(weights=None, **options)


def _filled(body: nn.Sequential, tensors: Tensors) -> nn.Sequential:
    body.load_state_dict(tensors, assign=True)
    return body


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


NETWORKS: dict[str, Callable[[Tensors], Network]] = {
    "vgg19": _normalised_vgg19,
    "vgg19-torchvision": _torchvision_vgg19,
    "inception-v3": _inception_of_2015,
    "inception-v3-torchvision": _torchvision_inception,
}
