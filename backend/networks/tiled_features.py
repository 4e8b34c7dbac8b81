"""A network's features of a picture, and gradients back to the picture, in the memory of one tile.

Every feature belongs to exactly one tile and is computed from its full receptive field. Its gradient
reaches the same field. So a sum over the tiles, of features or of gradients, equals the whole picture's.

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
from .fast_paths import FastPath
from .feature_network import FeatureNetwork


class Piece(NamedTuple):
    """A tile's own part of a layer's features.

    Attributes:
        features: (1, C, h, w).
        visible: weight of each position, (1, 1, h, w) in [0, 1]; None for 1 everywhere.
    """

    features: Tensor
    visible: Tensor | None


@dataclass(frozen=True)
class FeatureTile:
    """The features of one tile of a picture.

    `pieces` has by layer the features of the tile without its halo. The other attributes serve to
    propagate gradients: the network's arithmetic, the tile's image with the halo, (1, 3, H, W), its
    features with the halo, (1, C, h, w) by layer, and where the pieces lie in them.
    """

    pieces: dict[str, Piece]
    _path: FastPath
    _tile: Tile
    _image: Tensor
    _features: dict[str, Tensor]
    _places: dict[str, Rectangle]

    def add_gradient(self, gradients: dict[str, Tensor], total: Tensor) -> None:
        """Propagate the gradients of `pieces`, by layer, to the image and add the result to `total`.

        Args:
            gradients: (1, C, h, w) each.
            total: gradient of the whole picture, (1, 3, H, W); changed in place.
        """
        self._tile.outer.of(total).add_(self.gradient(gradients))

    def gradient(self, gradients: dict[str, Tensor]) -> Tensor:
        """Propagate the gradients of `pieces`, by layer, to the tile's image with the halo, (1, 3, H, W)."""
        outputs = [self._features[layer] for layer in gradients]
        padded = [self._pad_with_halo(layer, gradient) for layer, gradient in gradients.items()]
        with self._path.arithmetic(self._image.device):
            (gradient,) = torch.autograd.grad(outputs, self._image, padded)
        return gradient

    def _pad_with_halo(self, layer: str, gradient: Tensor) -> Tensor:
        """Return the gradient of all the tile's features: `gradient`, and 0 in the halo."""
        features = self._features[layer]
        if gradient.shape == features.shape:
            return gradient
        padded = torch.zeros_like(features)
        self._places[layer].of(padded).copy_(gradient)
        return padded


class TiledFeatures:
    """The features of a network at some layers, for pictures of any size.

    Args:
        network: the network.
        layers: names of its layers.
        tile_px: longest side of a tile without its halo, rounded up to the stride.
        tile_scale: factor for this side, below 1 if memory is short.
    """

    def __init__(
        self, network: FeatureNetwork, layers: Sequence[str], tile_px: int, tile_scale: float = 1.0
    ) -> None:
        self._network, self._layers = network, layers
        self._halo, self._stride = network.halo_px(layers), network.stride_px(layers)
        usual_px = max(1, -(-tile_px // self._stride)) * self._stride
        self._side = tile_side(usual_px, tile_scale, self._stride)
        self._strides = {layer: network.stride_px([layer]) for layer in layers}

    def tiles(self, image: Tensor) -> list[Tile]:
        """Cut an image into tiles with halos."""
        return list(tiles(*size_of(image), side=self._side, halo=self._halo, stride=self._stride))

    def compute(
        self, image: Tensor, visible: Tensor | None = None, *, differentiable: bool = False
    ) -> Iterator[FeatureTile]:
        """Yield the features of every tile of an image tensor (1, 3, H, W).

        To hold the features of one tile at a time, delete each before the next is computed.

        Args:
            image: image tensor.
            visible: visibility (1, 1, H, W) in [0, 1]; None for 1 everywhere.
            differentiable: keep the intermediate results, so that gradients can be propagated to the
                image. It takes more memory.
        """
        for tile in self.tiles(image):
            yield self.compute_tile(tile, image, visible, differentiable=differentiable)

    def compute_tile(
        self, tile: Tile, image: Tensor, visible: Tensor | None = None, *, differentiable: bool = False
    ) -> FeatureTile:
        """Compute the features of one tile; the arguments are those of `compute`."""
        part = tile.outer.of(image).detach()
        with torch.set_grad_enabled(differentiable):
            features = self._network.features(part.requires_grad_(differentiable), self._layers)
        inner = tile.inner.relative_to(tile.outer)
        places = {layer: inner.to_positions(stride) for layer, stride in self._strides.items()}
        part_visible = None if visible is None else tile.inner.of(visible)
        pieces = {
            layer: _piece(places[layer].of(values.detach()), part_visible, self._strides[layer])
            for layer, values in features.items()
        }
        return FeatureTile(pieces, self._network.path, tile, part, features, places)


def _piece(features: Tensor, visible: Tensor | None, stride: int) -> Piece:
    return Piece(features, None if visible is None else _pool(visible, size_of(features), stride))


def _pool(visible: Tensor, size: Size, stride: int) -> Tensor:
    """Average the visibility (1, 1, H, W) over the pixels of each position, `stride`², to (1, 1, *size).

    Where the network rounds its size down, the pixels beyond the grid belong to the last row and column.
    """
    weights = avg_pool2d(visible, stride, ceil_mode=True)
    for axis, length in zip((-2, -1), size, strict=True):
        before, last = weights.tensor_split([length - 1], dim=axis)
        weights = torch.cat([before, last.mean(dim=axis, keepdim=True)], dim=axis)
    return weights
