"""MobileNet v2 that maps a style picture to a style vector, the input of a style painter.

Its batch norms are folded into the convolutions, and it ends in a style vector instead of classes.

Sources:
    Ghiasi et al. 2017, *Exploring the Structure of a Real-Time, Arbitrary Neural Artistic Stylization
    Network*, BMVC, section 2 (style prediction network)
    Sandler et al. 2018, *MobileNetV2: Inverted Residuals and Linear Bottlenecks*, CVPR, table 2
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu6

from ..imaging.resize import resize, size_of
from .inverted_residual import InvertedResidual, SamePadding

STYLE_LENGTH = 100
STYLE_PX = 256
"""Longest side of the style pictures in the training."""

STAGES = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
"""Output channels, number of blocks, and stride of the first block."""


class StylePredictor(nn.Module):
    """The style prediction network."""

    def __init__(self) -> None:
        super().__init__()
        self.padding = SamePadding(3, stride=2)
        self.stem = nn.Conv2d(3, 32, 3, stride=2)
        blocks: list[InvertedResidual] = []
        before = 32
        for after, count, stride in STAGES:
            for index in range(count):
                expansion, own_stride = 6 if blocks else 1, stride if index == 0 else 1
                blocks.append(InvertedResidual(before, after, expansion, own_stride))
                before = after
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Conv2d(before, 1280, 1)
        self.vector = nn.Conv2d(1280, STYLE_LENGTH, 1)
        self.eval().requires_grad_(False)

    def forward(self, image: Tensor, visible: Tensor | None = None) -> Tensor:
        """Map an image tensor (1, 3, H, W) to its style vector (1, 100).

        Hidden pixels are replaced by the mean colour of the visible ones, because the receptive fields
        of visible positions contain hidden pixels.

        Args:
            image: the style picture.
            visible: visibility (1, 1, H, W) in [0, 1]; None for 1 everywhere.
        """
        if visible is None:
            visible = torch.ones_like(image[:, :1])
        image = torch.lerp(_mean(image, visible), image, visible)
        features = relu6(self.stem(self.padding(image)))  # (1, 32, ⌈H / 2⌉, ⌈W / 2⌉)
        features = relu6(self.head(self.blocks(features)))  # (1, 1280, ⌈H / 32⌉, ⌈W / 32⌉)
        weights = resize(visible, size_of(features)).clamp_min(0)
        vector: Tensor = self.vector(_mean(features, weights))  # (1, 100, 1, 1)
        return vector.flatten(1)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Average values (1, C, h, w) over all positions, with weights (1, 1, h, w), to (1, C, 1, 1)."""
    return (values * weights).sum(dim=(2, 3), keepdim=True) / weights.sum()
