"""Inverted residuals, the blocks of MobileNet v2 and EfficientNet, with folded batch norms.

Sources:
    Sandler et al. 2018, *MobileNetV2: Inverted Residuals and Linear Bottlenecks*, CVPR, section 3.3
    Tan and Le 2019, *EfficientNet*, ICML, table 1 (kernels of 5×5)
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import pad, relu6

from ..imaging.resize import size_of


class InvertedResidual(nn.Module):
    """Expand the channels, filter each channel, and reduce the channels again."""

    def __init__(self, before: int, after: int, expansion: int, stride: int, kernel: int = 3) -> None:
        super().__init__()
        wide = before * expansion
        self.expand = nn.Conv2d(before, wide, 1) if expansion > 1 else None
        self.padding = SamePadding(kernel, stride)
        self.depthwise = nn.Conv2d(wide, wide, kernel, stride, groups=wide)
        self.project = nn.Conv2d(wide, after, 1)
        self.residual = stride == 1 and before == after

    def forward(self, features: Tensor) -> Tensor:
        """Map features (n, before, h, w) to (n, after, ⌈h / stride⌉, ⌈w / stride⌉)."""
        values = features if self.expand is None else relu6(self.expand(features))
        values = relu6(self.depthwise(self.padding(values)))
        projected: Tensor = self.project(values)
        return features + projected if self.residual else projected


class SamePadding(nn.Module):
    """TensorFlow's padding "SAME": zeros for ⌈h / stride⌉ × ⌈w / stride⌉ positions of a convolution.

    Of an odd number of zeros, the right and bottom get one more. So a layer of stride 2 pads an image of even
    sides more there than torch's own padding does.
    """

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, values: Tensor) -> Tensor:
        """Pad (n, C, h, w)."""
        height, width = size_of(values)
        across, down = self._zeros(width), self._zeros(height)
        return pad(values, (across // 2, across - across // 2, down // 2, down - down // 2))

    def _zeros(self, side: int) -> int:
        positions = -(-side // self.stride)
        return max(0, (positions - 1) * self.stride + self.kernel - side)
