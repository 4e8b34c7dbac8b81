"""Receptive field and stride of each layer of a network.

They are measured: NaNs in the border of an input spread to every position whose receptive field touches
the border. So branches and padding need no rules per layer.
"""

from __future__ import annotations

import copy
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

STRIP_PX = 1536
"""Width of the input. Its height is the network's smallest, because only the width is measured."""
BORDER_PX = 64
"""Width of the NaNs at the left and right end of the input."""


class Reach(NamedTuple):
    """How far a layer sees.

    Attributes:
        halo_px: pixels around a tile that its features depend on, a multiple of `stride_px`.
        stride_px: pixels from one position to the next.
    """

    halo_px: int
    stride_px: int


def reaches(body: nn.Sequential, minimum_px: int) -> dict[str, Reach]:
    """Measure the reach of every layer of `body`, by name.

    `minimum_px` is the shortest side of an image that the network accepts.
    """
    values = torch.full((1, 1, minimum_px, STRIP_PX), math.nan)
    values[..., BORDER_PX:-BORDER_PX] = 0
    found: dict[str, Reach] = {}
    for name, layer in _with_pools_for_convolutions(body).named_children():
        values = layer(values)
        found[name] = _reach(values)
    return found


def _reach(features: Tensor) -> Reach:
    """Compute the reach from a layer's features of the strip, (1, C, h, w)."""
    stride = 2 ** round(math.log2(STRIP_PX / features.shape[-1]))
    columns_without_nan = features.isfinite().all(dim=1).all(dim=1)[0].nonzero()
    nan_left = int(columns_without_nan.min()) - BORDER_PX // stride
    nan_right = (STRIP_PX - BORDER_PX) // stride - 1 - int(columns_without_nan.max())
    return Reach(stride * max(nan_left, nan_right), stride)


def _with_pools_for_convolutions(body: nn.Sequential) -> nn.Sequential:
    """Copy `body`, with a pool of the same kernel, stride and padding in place of each convolution.

    A pool spreads NaNs as far as its convolution does, and one channel is enough for it.
    """
    pools = {id(layer): _Pool(layer) for layer in body.modules() if isinstance(layer, nn.Conv2d)}
    return copy.deepcopy(body, memo=pools)  # deepcopy takes an object in `memo` as copied already


class _Pool(nn.Module):
    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        assert not isinstance(convolution.padding, str)
        self.window = (convolution.kernel_size, convolution.stride, convolution.padding)

    def forward(self, values: Tensor) -> Tensor:
        return max_pool2d(values.amax(dim=1, keepdim=True), *self.window)  # (1, C, h, w) to (1, 1, h', w')
