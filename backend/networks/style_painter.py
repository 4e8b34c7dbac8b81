"""A network that paints a picture in one pass; its normalisations are controlled by a style vector.

It is computed layer by layer, and each layer tile by tile. So every normalisation has the mean and
variance of the whole picture, and tiles leave no seams. Chen et al. 2022, *Towards Ultra-Resolution
Neural Style Transfer*, compute these moments from a thumbnail instead.

Sources:
    Johnson, Alahi and Fei-Fei 2016, *Perceptual Losses for Real-Time Style Transfer*, ECCV (the layers)
    Dumoulin, Shlens and Kudlur 2017, *A Learned Representation for Artistic Style*, ICLR, eq. 5
    (conditional instance normalisation), table 3 (nearest-neighbour upsampling before convolution)
"""

from __future__ import annotations

import functools
from collections.abc import Generator, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from atelier_shared.sizes import Size, fit

from ..imaging.resize import resize, restore_detail, size_of
from ..imaging.step import Step, Steps
from ..imaging.tiles import Rectangle
from .painter_layers import ColourLayer, Layer, UpsamplingLayer
from .tile_moments import Moments

MINIMUM_PX = 16


class Painter(nn.Module):
    """Three layers that reduce the picture to a quarter of each side, residual blocks, three that enlarge it.

    Args:
        widths: channels of the first three layers.
        blocks: number of residual blocks.
        narrowing: channels of the last three layers; those of the last one are the colours.
        style_length: length of a style vector.
        contract_styled: whether the first three layers have a normalisation.
        constant: whether gammas and betas have a constant part, the same for every style.
    """

    def __init__(
        self,
        widths: tuple[int, int, int],
        blocks: int,
        narrowing: tuple[int, int, int],
        *,
        style_length: int,
        contract_styled: bool,
        constant: bool,
    ) -> None:
        super().__init__()

        contracting = functools.partial(Layer, style_length=style_length * contract_styled, constant=constant)
        plain, upsampling, to_colours = (
            functools.partial(kind, style_length=style_length, constant=constant)
            for kind in (Layer, UpsamplingLayer, ColourLayer)
        )
        first, second, wide = widths
        medium, narrow, colours = narrowing
        self.contract: Any = nn.ModuleList(
            [contracting(3, first, 9), contracting(first, second, 3, 2), contracting(second, wide, 3, 2)]
        )
        self.residual: Any = nn.ModuleList(
            nn.ModuleList([plain(wide, wide, 3), plain(wide, wide, 3)]) for _ in range(blocks)
        )
        self.expand: Any = nn.ModuleList(
            [upsampling(wide, medium, 3), upsampling(medium, narrow, 3), to_colours(narrow, colours, 9)]
        )
        self.eval().requires_grad_(False)

    def layers(self) -> Iterator[Layer]:
        """Yield all layers, in the order of computation."""
        return (module for module in self.modules() if isinstance(module, Layer))


@torch.no_grad()
def paint(
    content: Tensor,
    style: Tensor,
    *,
    painter: Painter,
    visible: Tensor | None = None,
    longest_px: int,
    frame_px: int = 0,
    tile_scale: float = 1.0,
) -> Steps:
    """Paint `content` in the style of a vector; yield a step for every tile of every layer.

    Steps before the last show the unpainted content.

    Args:
        content: image tensor (1, 3, H, W).
        style: style vector (1, style_length).
        painter: the network.
        visible: visibility (1, 1, H, W) of the content in [0, 1], not 0 everywhere: the weight of each
            pixel in the normalisations. None for 1 everywhere.
        longest_px: longest side at which the picture is painted. A larger content keeps its own fine detail.
        frame_px: width of a reflected frame, painted around the picture and cut off again.
        tile_scale: factor for the usual side of tiles, below 1 if memory is short.
    """
    shortest_px = MINIMUM_PX + frame_px  # because a side must be longer than the frame that reflects it
    small = resize(content, fit(size_of(content), longest_px, shortest_px))
    if visible is not None:
        visible = pad(resize(visible, size_of(small)).clamp(0, 1), [frame_px] * 4, mode="reflect")
    padded = pad(small, [frame_px] * 4, mode="reflect").contiguous(memory_format=torch.channels_last)
    inner = Rectangle(frame_px, frame_px, padded.shape[-2] - frame_px, padded.shape[-1] - frame_px)
    total = _tile_count(painter, size_of(padded), tile_scale) + 1
    for index, painting in enumerate(_paint_tiles(padded, style, visible, painter, tile_scale), start=1):
        picture = small if painting is None else restore_detail(inner.of(painting), content).clamp(0, 1)
        yield Step(index, total, picture)


def _paint_tiles(
    image: Tensor, style: Tensor, visible: Tensor | None, painter: Painter, tile_scale: float
) -> Iterator[Tensor | None]:
    """Yield None after every tile of every layer, and finally the painting, (1, 3, H, W)."""
    apply = functools.partial(_apply_layer, style=style, visible=visible, tile_scale=tile_scale)
    features = image
    for layer in painter.contract:
        features = yield from apply(layer, features)
        features.relu_()
    for first, second in painter.residual:
        inner = yield from apply(first, features)
        features += yield from apply(second, inner.relu_())
    *others, last = painter.expand
    for layer in others:
        # A constant per channel does not change the normalised output. Subtracting the first position
        # makes flat features exactly 0, so that the rounding of UpsamplingLayer has no effect on them.
        features -= features[..., :1, :1].clone()
        features = yield from apply(layer, features)
        features.relu_()
    features = yield from apply(last, features)
    # The crop is necessary because layers round sizes up, so the painting can be larger than the image.
    yield Rectangle(0, 0, *size_of(image)).of(features).sigmoid()


def _apply_layer(
    layer: Layer, features: Tensor, style: Tensor, visible: Tensor | None, tile_scale: float
) -> Generator[None, None, Tensor]:
    """Apply a layer to the features of the whole picture, (1, C, h, w) to (1, C', h', w').

    It yields after every tile. The tiles are convolved first; then the whole is normalised.
    """
    height, width = layer.out_size(size_of(features))
    convolved = features.new_empty(1, height, width, layer.out_channels).permute(0, 3, 1, 2)
    visibility = None if visible is None else resize(visible, (height, width)).clamp(0, 1)
    layer_tiles = layer.tiles(size_of(features), tile_scale)
    moments = Moments.allocate(len(layer_tiles), layer.out_channels, features)
    for number, tile in enumerate(layer_tiles):
        part, place = layer(_tile_with_margin(features, tile, layer)), tile.to_positions(layer.stride[0])
        moments.measure(number, part, None if visibility is None else place.of(visibility))
        if part.shape == convolved.shape:
            convolved = part
        else:
            place.of(convolved).copy_(part)
        yield
    return layer.normalise_(convolved, *moments.of_picture(), style)


def _tile_with_margin(features: Tensor, tile: Rectangle, layer: Layer) -> Tensor:
    """Return the input of a layer for a tile: its features with the kernel's margin.

    Beyond the picture's edges the margin is the layer's padding.
    """
    inner, margin = tile.to_positions(layer.upsampling), layer.kernel_size[0] // 2
    height, width = size_of(features)
    available = Rectangle(
        max(0, inner.top - margin),
        max(0, inner.left - margin),
        min(height, inner.bottom + margin),
        min(width, inner.right + margin),
    )
    present = inner.relative_to(available)
    right, bottom = inner.right + margin - available.right, inner.bottom + margin - available.bottom
    missing = (margin - present.left, right, margin - present.top, bottom)
    return pad(available.of(features), missing, mode=layer.padding_kind)


def _tile_count(painter: Painter, size: Size, tile_scale: float) -> int:
    """Count the tiles of all layers for a picture of `size`."""
    count = 0
    for layer in painter.layers():
        count += len(layer.tiles(size, tile_scale))
        size = layer.out_size(size)
    return count
