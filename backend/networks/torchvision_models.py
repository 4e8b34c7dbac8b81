"""torchvision's networks and EfficientNet-Lite0 as sequences of named layers, filled with their weights.

Layers have the names of the papers or of torchvision. Batch norms are folded into the convolutions before
them. A classifier becomes the last layer, "classes", applied at every position. The table of networks
names these functions as its architectures; each takes weights and returns the layers.

Sources:
    Simonyan and Zisserman 2015, *Very Deep Convolutional Networks*, ICLR (VGG)
    Gatys et al. 2016, *Image Style Transfer Using Convolutional Neural Networks*, CVPR, section 2
    (normalised VGG19, average pooling)
    Iandola et al. 2016, *SqueezeNet* (1.1 as the authors published it later)
    Szegedy et al. 2015, *Going Deeper with Convolutions*, CVPR (GoogLeNet)
    Szegedy et al. 2016, *Rethinking the Inception Architecture*, CVPR (Inception v3)
    He et al. 2016, *Deep Residual Learning*, CVPR (ResNet-50)
    Tan and Le 2019, *EfficientNet*, ICML, table 1 (EfficientNet-Lite0: B0 without squeeze-and-excitation,
    with ReLU6)
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ..compat.torchvision_import import torchvision
from ..weights.convert import BATCH_NORM, EFFICIENTNET_UNITS, Tensors
from .inverted_residual import InvertedResidual, SamePadding

Layers = OrderedDict[str, nn.Module]

CLASSES = "classes"
"""The layer of a classifier, (1, 1000, h, w); the mean over all positions is the logit of a class."""

SQUEEZENET_LAYERS = (
    *("pool1", "fire2", "fire3"),
    *("pool3", "fire4", "fire5"),
    *("pool5", "fire6", "fire7", "fire8", "fire9"),
)

NORMAL_VALUES = (nn.init.normal_, torch.Tensor.normal_)

EFFICIENTNET_STAGES = (
    *((16, 3, 1, 1), (24, 3, 2, 2), (40, 5, 2, 2), (80, 3, 2, 3)),
    *((112, 5, 1, 3), (192, 5, 2, 4), (320, 3, 1, 1)),
)
"""Output channels, kernel, stride of the first block, and number of blocks."""
EFFICIENTNET_EPSILON = 1e-3
"""Added to the variance in TensorFlow's batch norms."""


def vgg16(tensors: Tensors) -> nn.Sequential:
    """Build VGG16 up to relu5_3."""
    return _vgg(torchvision.models.vgg16, tensors)


def vgg19(tensors: Tensors) -> nn.Sequential:
    """Build VGG19 up to relu5_4."""
    return _vgg(torchvision.models.vgg19, tensors)


def normalised_vgg19(tensors: Tensors) -> nn.Sequential:
    """Build VGG19 up to relu5_4, for weights scaled to a mean activation of 1 at every layer.

    It reflects the image at its border and keeps the last row and column of odd sizes in its pools, as
    the published encoder of AdaIN does.
    """
    body = vgg19(tensors)
    for layer in body:
        if isinstance(layer, nn.Conv2d):
            layer.padding_mode = "reflect"
        elif isinstance(layer, nn.MaxPool2d):
            layer.ceil_mode = True
    return body


def _vgg(definition: Callable[..., Any], tensors: Tensors) -> nn.Sequential:
    """Build a VGG up to its last ReLU; its layers are conv1_1, relu1_1, … as in the papers."""
    layers: Layers = OrderedDict()
    block, index = 1, 1
    for layer in _without_values(definition).features[:-1]:
        if isinstance(layer, nn.Conv2d):
            layers[f"conv{block}_{index}"] = layer
        elif isinstance(layer, nn.ReLU):
            layers[f"relu{block}_{index}"] = nn.ReLU()  # torchvision's own overwrites its input
            index += 1
        else:
            layers[f"pool{block}"] = layer
            block, index = block + 1, 1
    return _filled(layers, tensors)


def squeezenet(tensors: Tensors) -> nn.Sequential:
    """Build SqueezeNet 1.1: conv1 with its ReLU, fire2 to fire9, the pools between them, the classes.

    Differs from Iandola et al. 2016: no ReLU after the classes, because a dream has no gradient where a
    ReLU is 0.
    """
    whole = _without_values(torchvision.models.squeezenet1_1)
    convolution, relu, *rest = whole.features
    layers: Layers = OrderedDict(conv1=nn.Sequential(convolution, relu))
    layers.update(zip(SQUEEZENET_LAYERS, rest, strict=True))
    layers[CLASSES] = nn.Sequential(whole.classifier[1])
    return _filled(layers, tensors)


def googlenet(tensors: Tensors) -> nn.Sequential:
    """Build GoogLeNet: conv1 to conv3, inception3a to inception5b, the pools between them, the classes."""
    whole = _without_values(torchvision.models.googlenet, aux_logits=False, init_weights=False)
    return nn.Sequential(_layers(whole, tensors))


def inception_v3(tensors: Tensors) -> nn.Sequential:
    """Build Inception v3: Conv2d_1a_3x3 to Mixed_7c, the pools between them, the classes if in the weights.

    Differs from Szegedy et al. 2016: the layers before Mixed_5b reflect the image at its border. They were
    trained without padding, which hardly sees the border and would leave a frame around the result.
    """
    whole = _without_values(torchvision.models.inception_v3, aux_logits=False, init_weights=False)
    if "fc.weight" not in tensors:
        del whole.fc
    layers = _layers(whole, tensors)
    for name in ("Conv2d_1a_3x3", "maxpool1", "Conv2d_2a_3x3", "Conv2d_4a_3x3", "maxpool2"):
        layers[name] = nn.Sequential(nn.ReflectionPad2d(1), layers[name])
    return nn.Sequential(layers)


def resnet50(tensors: Tensors) -> nn.Sequential:
    """Build ResNet-50: conv1 with its ReLU, maxpool, the blocks, the classes.

    The blocks of a stage are layer3_1, layer3_2, …; the last one has the stage's own name, layer3.
    """
    whole = _layers(_without_values(torchvision.models.resnet50), tensors)
    layers: Layers = OrderedDict(conv1=nn.Sequential(whole["conv1"], whole["relu"]), maxpool=whole["maxpool"])
    for stage in ("layer1", "layer2", "layer3", "layer4"):
        *blocks, last = whole[stage].children()
        layers.update((f"{stage}_{number}", block) for number, block in enumerate(blocks, start=1))
        layers[stage] = last
    layers[CLASSES] = whole[CLASSES]
    return nn.Sequential(layers)


def efficientnet_lite0(tensors: Tensors) -> nn.Sequential:
    """Build EfficientNet-Lite0: stem, block1 to block16, head, the classes."""
    stem = nn.Sequential(SamePadding(3, stride=2), nn.Conv2d(3, 32, 3, stride=2), nn.ReLU6())
    blocks: list[nn.Module] = []
    before = 32
    for after, kernel, stride, count in EFFICIENTNET_STAGES:
        for index in range(count):
            expansion, own_stride = 6 if blocks else 1, stride if index == 0 else 1
            blocks.append(InvertedResidual(before, after, expansion, own_stride, kernel))
            before = after
    layers: Layers = OrderedDict(stem=stem)
    layers.update((f"block{number}", block) for number, block in enumerate(blocks, start=1))
    layers["head"] = nn.Sequential(nn.Conv2d(before, 1280, 1), nn.ReLU6())
    layers[CLASSES] = nn.Conv2d(1280, 1000, 1)
    return _filled(layers, _with_folded_batch_norms(tensors))


def _with_folded_batch_norms(tensors: Tensors) -> Tensors:
    """Fold `UNIT.bn.*` into `UNIT.weight`; the classifier, a linear map, becomes a 1×1 convolution."""
    folded = {
        "classes.weight": tensors["classes.weight"][..., None, None],
        "classes.bias": tensors["classes.bias"],
    }
    for unit in EFFICIENTNET_UNITS:
        gamma, beta, mean, variance = (tensors[f"{unit}.bn.{part}"] for part in BATCH_NORM)
        scale = gamma / (variance + EFFICIENTNET_EPSILON).sqrt()
        folded[f"{unit}.weight"] = tensors[f"{unit}.weight"] * scale[:, None, None, None]
        folded[f"{unit}.bias"] = beta - mean * scale
    return folded


def use_average_pooling(body: nn.Sequential) -> None:
    """Replace max pooling between layers by average pooling (Gatys et al. 2016, section 2)."""
    for name, layer in body.named_children():
        if isinstance(layer, nn.MaxPool2d):
            shape = (layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode)
            setattr(body, name, nn.AvgPool2d(*shape, count_include_pad=False))
        elif isinstance(layer, nn.Sequential):  # a pool after its padding
            use_average_pooling(layer)


def _without_values(definition: Callable[..., Any], **options: bool) -> Any:
    """Build a network of torchvision without values, because initialising them takes seconds."""
    with torch.device("meta"), _WithoutNormalValues():
        return definition(weights=None, **options)


class _WithoutNormalValues(TorchFunctionMode):
    """Skips normal values. On the meta device they import PyTorch's compiler: a second, and 75 MB."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return None if func in NORMAL_VALUES else func(*args, **(kwargs or {}))


def _filled(layers: Layers, tensors: Tensors) -> nn.Sequential:
    body = nn.Sequential(layers)
    body.load_state_dict(tensors, assign=True)
    return body


def _layers(whole: nn.Module, tensors: Tensors) -> Layers:
    """Fill a network of torchvision and return its parts in order, from the image to the classes."""
    whole.load_state_dict(tensors, assign=True)
    _fold_batch_norms(whole.eval())
    layers = OrderedDict(whole.named_children())
    del layers["avgpool"]
    layers.pop("dropout", None)
    if isinstance(linear := layers.pop("fc", None), nn.Linear):
        layers[CLASSES] = _at_every_position(linear)
    return layers


def _fold_batch_norms(whole: nn.Module) -> None:
    for parent in list(whole.modules()):
        for (name, convolution), (norm_name, norm) in itertools.pairwise(list(parent.named_children())):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, name, nn.utils.fuse_conv_bn_eval(convolution, norm))
                setattr(parent, norm_name, nn.Identity())


def _at_every_position(linear: nn.Linear) -> nn.Conv2d:
    """Turn a linear map, (out, in), into a 1×1 convolution, (out, in, 1, 1).

    The mean of its outputs over all positions is the output of the linear map for the mean input.
    """
    convolution = nn.Conv2d(linear.in_features, linear.out_features, kernel_size=1)
    values = {"weight": linear.weight[..., None, None], "bias": linear.bias}
    convolution.load_state_dict(values, assign=True)
    return convolution
