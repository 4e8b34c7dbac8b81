"""How far each layer of a network sees, and how far its positions lie apart.

Knows convolutions and pools; neither weights nor what the network is for. Measured, not reckoned, so
that branches need no rules: what is not a number spreads to every position that sees it.
"""

from __future__ import annotations

import copy
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

STRIP_PX, MARGIN_PX = 1536, 64
"""Length of the strip that is looked at, and of its two ends, which are not numbers."""


class Reach(NamedTuple):
    """What a tile's features see around it, and how far its positions lie apart, which divides the former."""

    halo_px: int
    stride_px: int


def reaches(body: nn.Sequential, minimum_px: int) -> dict[str, Reach]:
    """The reach of every layer of `body`, by name; `minimum_px` is the smallest side that it takes."""
    values = torch.full((1, 1, minimum_px, STRIP_PX), math.nan)
    values[..., MARGIN_PX:-MARGIN_PX] = 0
    found: dict[str, Reach] = {}
    for name, layer in _windows(body).named_children():
        values = layer(values)
        found[name] = _reach(values)
    return found


def _reach(features: Tensor) -> Reach:
    """From what a layer makes of the strip, (1, C, h, w)."""
    stride = 2 ** round(math.log2(STRIP_PX / features.shape[-1]))
    unaffected = features.isfinite().all(dim=1).all(dim=1)[0].nonzero()
    before = int(unaffected.min()) - MARGIN_PX // stride
    after = (STRIP_PX - MARGIN_PX) // stride - 1 - int(unaffected.max())
    return Reach(stride * max(before, after), stride)


def _windows(body: nn.Sequential) -> nn.Sequential:
    """`body` with a single channel, where the window of a convolution is all that is left of it."""
    windows = {id(layer): _Window(layer) for layer in body.modules() if isinstance(layer, nn.Conv2d)}
    return copy.deepcopy(body, memo=windows)  # takes them for copies that it has made already


class _Window(nn.Module):
    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        assert not isinstance(convolution.padding, str)
        self.shape = (convolution.kernel_size, convolution.stride, convolution.padding)

    def forward(self, values: Tensor) -> Tensor:
        return max_pool2d(values.amax(dim=1, keepdim=True), *self.shape)
