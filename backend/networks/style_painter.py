"""A network that paints a picture in one pass; its normalisations are controlled by a style vector.

`paint` computes it layer by layer, and each layer tile by tile. So every normalisation has the mean and
variance of the whole picture, and tiles leave no seams. This needs the features of the whole picture at
once, so `PartPainter` paints large pictures part by part: it has measured the moments on samples.

Sources:
    Chen et al. 2022, *Towards Ultra-Resolution Neural Style Transfer via Thumbnail Instance
    Normalization*, AAAI (parts that share their moments; there, the moments of a thumbnail)
    Johnson, Alahi and Fei-Fei 2016, *Perceptual Losses for Real-Time Style Transfer*, ECCV (the layers)
    Dumoulin, Shlens and Kudlur 2017, *A Learned Representation for Artistic Style*, ICLR, eq. 5
    (conditional instance normalisation), table 3 (nearest-neighbour upsampling before convolution)
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Generator, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from atelier_shared.sizes import Size, fit

from ..imaging.resize import resize, size_of
from ..imaging.step import Step, Steps
from ..imaging.tiles import Rectangle
from .painter_layers import ColourLayer, Layer, UpsamplingLayer
from .tile_moments import Moments

MINIMUM_PX = 16

Application = Generator[None, None, Tensor]
"""The application of a layer: it yields after every tile and returns the layer's output."""


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

    @property
    def halo_px(self) -> int:
        """Distance in pixels at which a pixel of the picture still has an effect on a painted pixel."""
        halo, stride = 0, 1.0
        for layer in self.layers():
            stride /= layer.upsampling
            halo += math.ceil(layer.kernel_size[0] // 2 * stride)
            stride *= layer.stride[0]
        return halo

    def apply_layers(self, image: Tensor, apply: Callable[[Layer, Tensor], Application]) -> Application:
        """Compute the painting (N, 3, H', W') of `image` (N, 3, H, W), with `apply` for each layer.

        Layers round sizes up, so the painting can be larger than the image.
        """
        features = image
        for layer in self.contract:
            features = yield from apply(layer, features)
            features.relu_()
        for first, second in self.residual:
            inner = yield from apply(first, features)
            features += yield from apply(second, inner.relu_())
        *others, last = self.expand
        for layer in others:
            features = yield from apply(layer, features)
            features.relu_()
        features = yield from apply(last, features)
        return features.sigmoid()


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
        longest_px: longest side of the painting. A larger content is reduced.
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
    apply = functools.partial(_apply_layer, style=style, visible=visible, tile_scale=tile_scale)
    tiles, index = painter.apply_layers(padded, apply), 0
    while (painting := _next(tiles)) is None:
        index += 1
        yield Step(index, total, small, is_painted=False)
    yield Step(total, total, resize(inner.of(painting), fit(size_of(content), longest_px)).clamp(0, 1))


def _next(tiles: Application) -> Tensor | None:
    """Compute the next tile; return the painting at the end, and None before."""
    try:
        return next(tiles)
    except StopIteration as end:
        painting: Tensor = end.value
        return painting


class PartPainter:
    """Paints parts of a picture with moments measured on samples of it, so that the parts fit together.

    Args:
        painter: the network.
        style: style vector (1, style_length).
        samples: parts of the picture, (N, 3, h, w); sides must be multiples of 4.
        visible: visibility of the samples (N, 1, h, w) in [0, 1]; None for 1 everywhere.
    """

    def __init__(
        self, painter: Painter, style: Tensor, samples: Tensor, visible: Tensor | None = None
    ) -> None:
        self.halo_px = painter.halo_px
        self._painter, self._style = painter, style
        self._moments: list[tuple[Tensor, Tensor]] = []
        measure = functools.partial(self._measured, visible=visible)
        self._compute(samples, measure)

    def __call__(self, part: Tensor) -> Tensor:
        """Paint a part (1, 3, h, w), with sides that are multiples of 4.

        Within `halo_px` of its edges it differs from the same place in a larger part.
        """
        moments = iter(self._moments)

        def normalised(layer: Layer, features: Tensor) -> Application:
            yield from ()
            return layer.normalise_(_convolved(layer, features), *next(moments), self._style)

        return self._compute(part, normalised)

    @torch.no_grad()
    def _compute(self, image: Tensor, apply: Callable[[Layer, Tensor], Application]) -> Tensor:
        image = image.contiguous(memory_format=torch.channels_last)
        painted = _next(self._painter.apply_layers(image, apply))
        assert painted is not None, "a layer was applied in several tiles"
        return painted

    def _measured(self, layer: Layer, features: Tensor, visible: Tensor | None) -> Application:
        """Apply a layer to all samples, and keep their moments."""
        yield from ()
        convolved = _convolved(layer, features)
        visibility = None if visible is None else resize(visible, size_of(convolved)).clamp(0, 1)
        moments = Moments.allocate(len(convolved), layer.out_channels, features)
        for number, sample in enumerate(torch.split(convolved, 1)):
            moments.measure(number, sample, None if visibility is None else visibility[number : number + 1])
        self._moments.append(moments.of_picture())
        return layer.normalise_(convolved, *self._moments[-1], self._style)


def _convolved(layer: Layer, features: Tensor) -> Tensor:
    """Apply a layer without its normalisation to whole images, (N, C, h, w) to (N, C', h', w')."""
    margin = layer.kernel_size[0] // 2
    convolved: Tensor = layer(pad(features, [margin] * 4, mode=layer.padding_kind))
    return convolved


def _apply_layer(
    layer: Layer, features: Tensor, style: Tensor, visible: Tensor | None, tile_scale: float
) -> Application:
    """Apply a layer to the features of the whole picture, (1, C, h, w) to (1, C', h', w').

    The tiles are convolved first; then the whole is normalised. `features` may be changed.
    """
    if layer.upsampling > 1:
        # A constant per channel does not change the normalised output. Subtracting the first position
        # makes flat features exactly 0, so that the rounding of UpsamplingLayer has no effect on them.
        features -= features[..., :1, :1].clone()
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
