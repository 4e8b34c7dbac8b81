"""A picture's features, and gradients back to the picture, tile by tile in the memory of one tile.

Knows image tensors and a feature network; nothing of losses. Every feature belongs to one tile, and
was computed from all that it sees of the picture; its gradient reaches all of that too. So sums over
the tiles, of features or of gradients, are those of the picture as a whole.

Source: Galerne et al. 2024, *Scaling Painting Style Transfer*, EGSR, section 3.2 and algorithm 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from atelier_shared.sizes import Size
from ..imaging.resize import size_of
from ..imaging.tiles import Rectangle, Tile, tile_side, tiles
from .registry import Network


class Piece(NamedTuple):
    """The features (1, C, h, w) of a layer that belong to a tile, and how much each position counts."""

    features: Tensor
    visible: Tensor | None


@dataclass(frozen=True)
class Visit:
    """One tile of a picture: `pieces` are its own features by layer."""

    pieces: dict[str, Piece]
    _tile: Tile
    _part: Tensor
    _found: dict[str, Tensor]
    _places: dict[str, Rectangle]

    def pull(self, gradients: dict[str, Tensor], gradient: Tensor) -> None:
        """Add to `gradient`, the picture's, what the gradients of this tile's own features come to."""
        outputs = [self._found[layer] for layer in gradients]
        placed = [self._placed(layer, own) for layer, own in gradients.items()]
        (part,) = torch.autograd.grad(outputs, self._part, placed)
        self._tile.outer.of(gradient).add_(part)

    def _placed(self, layer: str, own: Tensor) -> Tensor:
        """The gradient of all features of the tile, 0 for those of its halo."""
        found = self._found[layer]
        if own.shape == found.shape:
            return own
        whole = torch.zeros_like(found)
        self._places[layer].of(whole).copy_(own)
        return whole


class TiledFeatures:
    """The features of a network at some layers, for pictures of any size.

    Args:
        network: the network.
        layers: names of its layers.
        tile_px: longest side of a tile without its halo, rounded up to the stride.
        tile_scale: factor for this side, below 1 where memory is short.
    """

    def __init__(
        self, network: Network, layers: Sequence[str], tile_px: int, tile_scale: float = 1.0
    ) -> None:
        self._network, self._layers = network, layers
        self._halo, self._stride = network.halo_px(layers), network.stride_px(layers)
        usual_px = max(1, -(-tile_px // self._stride)) * self._stride
        self._side = tile_side(usual_px, tile_scale, self._stride)
        self._strides = {layer: network.stride_px([layer]) for layer in layers}

    def tiles(self, image: Tensor) -> list[Tile]:
        """How a picture is cut."""
        return list(tiles(*size_of(image), side=self._side, halo=self._halo, stride=self._stride))

    def visits(
        self, image: Tensor, visible: Tensor | None = None, *, differentiable: bool = False
    ) -> Iterator[Visit]:
        """Every tile of an image tensor in its turn; `visible` (1, 1, H, W) weighs its pixels.

        Only with `differentiable` can gradients be pulled back, and more memory is taken. Who lets go
        of a visit before the next has no more than one tile's features in memory.
        """
        for tile in self.tiles(image):
            yield self._visit(tile, image, visible, differentiable)

    def _visit(self, tile: Tile, image: Tensor, visible: Tensor | None, differentiable: bool) -> Visit:
        part = tile.outer.of(image).detach()
        with torch.set_grad_enabled(differentiable):
            found = self._network.features(part.requires_grad_(differentiable), self._layers)
        inner = tile.inner.within(tile.outer)
        places = {layer: inner.at(stride) for layer, stride in self._strides.items()}
        seen = None if visible is None else tile.inner.of(visible)
        pieces = {
            layer: _piece(places[layer].of(features.detach()), seen, self._strides[layer])
            for layer, features in found.items()
        }
        return Visit(pieces, tile, part, found, places)


def _piece(features: Tensor, visible: Tensor | None, stride: int) -> Piece:
    if visible is None:
        return Piece(features, None)
    return Piece(features, _on_grid(visible, size_of(features), stride))


def _on_grid(visible: Tensor, size: Size, stride: int) -> Tensor:
    """How much each position of features of `size` counts: the mean over the `stride` pixels of its own.

    Pixels past those of the last row and column, where the network rounds down, are theirs too.
    """
    counts = avg_pool2d(visible, stride, ceil_mode=True)
    for axis, length in zip((-2, -1), size, strict=True):
        before, last = counts.tensor_split([length - 1], dim=axis)
        counts = torch.cat([before, last.mean(dim=axis, keepdim=True)], dim=axis)
    return counts
