"""MobileNet v2 that maps a style picture to a style vector, the input of a style painter.

Its batch norms are folded into the convolutions, and it ends in a style vector instead of classes.

Differs from torchvision's definition: as in the trained network, a layer of stride 2 pads only the
right and bottom if the side is even.

Sources:
    Ghiasi et al. 2017, *Exploring the Structure of a Real-Time, Arbitrary Neural Artistic Stylization
    Network*, BMVC, section 2 (style prediction network)
    Sandler et al. 2018, *MobileNetV2: Inverted Residuals and Linear Bottlenecks*, CVPR, table 2
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu6

from ..imaging.resize import resize, size_of

STYLE_LENGTH = 100
STYLE_PX = 256
"""Longest side of the style pictures in the training."""

STAGES = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
"""Output channels, number of blocks, and stride of the first block."""


class Block(nn.Module):
    """An inverted residual: expand the channels, filter each channel, and reduce the channels again."""

    def __init__(self, before: int, after: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = before * expansion
        self.expand = nn.Conv2d(before, wide, 1) if expansion > 1 else None
        self.depthwise = nn.Conv2d(wide, wide, 3, stride, groups=wide)
        self.project = nn.Conv2d(wide, after, 1)
        self.residual = stride == 1 and before == after

    def forward(self, features: Tensor) -> Tensor:
        """Map features (1, before, h, w) to (1, after, ⌈h / stride⌉, ⌈w / stride⌉)."""
        values = features if self.expand is None else relu6(self.expand(features))
        values = relu6(self.depthwise(_padded(values, self.depthwise)))
        projected: Tensor = self.project(values)
        return features + projected if self.residual else projected


class StylePredictor(nn.Module):
    """The style prediction network."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=2)
        blocks: list[Block] = []
        before = 32
        for after, count, stride in STAGES:
            for index in range(count):
                blocks.append(Block(before, after, 6 if blocks else 1, stride if index == 0 else 1))
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
        features = relu6(self.stem(_padded(image, self.stem)))  # (1, 32, ⌈H / 2⌉, ⌈W / 2⌉)
        features = relu6(self.head(self.blocks(features)))  # (1, 1280, ⌈H / 32⌉, ⌈W / 32⌉)
        weights = resize(visible, size_of(features)).clamp_min(0)
        vector: Tensor = self.vector(_mean(features, weights))  # (1, 100, 1, 1)
        return vector.flatten(1)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Average values (1, C, h, w) over all positions, with weights (1, 1, h, w), to (1, C, 1, 1)."""
    return (values * weights).sum(dim=(2, 3), keepdim=True) / weights.sum()


def _padded(values: Tensor, layer: nn.Conv2d) -> Tensor:
    """Pad (1, C, h, w) with zeros so that the 3×3 `layer` gives ⌈h / stride⌉ × ⌈w / stride⌉ positions.

    Of an odd number of zeros, the right and bottom get one more: TensorFlow's padding "SAME".
    """
    (stride, _), (height, width) = layer.stride, size_of(values)
    across, down = (max(0, (-(-side // stride) - 1) * stride + 3 - side) for side in (width, height))
    return pad(values, (across // 2, across - across // 2, down // 2, down - down // 2))
