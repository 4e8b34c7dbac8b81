"""The layers that are offered of every network, in the order of depth, grouped by what they dream of.

The names are the field's: those of the papers and of the networks' own definitions. A network has
more layers than are offered here, such as its pools, and takes those too when told to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .deferred_translation import N_

GROUPS = {
    "low": N_("low: strokes, edges"),
    "middle": N_("middle: textures, eyes"),
    "high": N_("high: animals, buildings"),
}
Offer = tuple[tuple[str, str], ...]
"""Names and their groups, a group at a time."""


def _grouped(low: str, middle: str, high: str) -> Offer:
    """Pairs of a layer and its group, of three lists in the order of depth."""
    lists = zip(GROUPS, (low, middle, high), strict=True)
    return tuple((layer, group) for group, layers in lists for layer in layers.split())


def _relus(blocks: Iterable[int], convolutions: int) -> Iterator[str]:
    """VGG's rectified layers: relu4_2 is that of the second convolution of the fourth block."""
    return (f"relu{block}_{index}" for block in blocks for index in range(1, convolutions + 1))


def _vgg(convolutions: int) -> Offer:
    """A VGG whose last three blocks have so many convolutions each."""
    low = " ".join(_relus((1, 2), 2))
    return _grouped(low, " ".join(_relus((3, 4), convolutions)), " ".join(_relus((5,), convolutions)))


_INCEPTION = _grouped(
    "Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_2b_3x3 Conv2d_3b_1x1 Conv2d_4a_3x3",
    "Mixed_5b Mixed_5c Mixed_5d Mixed_6a",
    "Mixed_6b Mixed_6c Mixed_6d Mixed_6e Mixed_7a Mixed_7b Mixed_7c",
)
LAYERS: dict[str, Offer] = {
    "inception-v3": _INCEPTION,
    "squeezenet": _grouped("conv1 fire2 fire3", "fire4 fire5 fire6", "fire7 fire8 fire9"),
    **dict.fromkeys(("vgg19", "vgg19-torchvision"), _vgg(4)),
    **dict.fromkeys(("vgg16", "vgg16-torchvision"), _vgg(3)),
    "googlenet": _grouped(
        "conv1 conv2 conv3",
        "inception3a inception3b inception4a",
        "inception4b inception4c inception4d inception4e inception5a inception5b",
    ),
    "resnet50": _grouped(
        "conv1 layer1_1 layer1_2 layer1",
        "layer2_1 layer2_2 layer2_3 layer2",
        "layer3_1 layer3_2 layer3_3 layer3_4 layer3_5 layer3 layer4_1 layer4_2 layer4",
    ),
    "inception-v3-torchvision": _INCEPTION,
}
