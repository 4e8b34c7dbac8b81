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
import itertools
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, pixel_shuffle, pixel_unshuffle

from atelier_shared.sizes import Size, fit

from ..imaging.resize import resize, restore_detail, size_of
from ..imaging.step import Step, Steps
from ..imaging.tiles import Rectangle, tile_side, tiles

MINIMUM_PX = 16
TILE_PX = 256
"""Side of a tile of any layer; small enough for the processor's cache."""
EPSILON = 1e-5
"""Added to a variance before its square root, as in the training of the weights."""


# ── Layers ───────────────────────────────────────────────────────────────────────────────────────


class Layer(nn.Conv2d):
    """A convolution with reflection padding and, if there is a style vector, a normalisation.

    `forward` does not pad; its input comes padded from `_tile_with_margin`. The normalisation's gammas and
    betas are linear functions of the style vector.

    Args:
        before: input channels.
        after: output channels.
        kernel: side of the kernel, an odd number.
        stride: 1 or 2.
        style_length: length of the style vector; 0 for a convolution with a bias and no normalisation.
        constant: whether gammas and betas have a constant part.
    """

    upsampling = 1
    padding_kind = "reflect"

    def __init__(
        self, before: int, after: int, kernel: int, stride: int = 1, *, style_length: int = 0, constant: bool
    ) -> None:
        super().__init__(before, after, kernel, stride, bias=not style_length)
        self.weight.data = self.weight.data.contiguous(memory_format=torch.channels_last)
        self.gamma, self.beta = (
            nn.Linear(style_length, after, bias=constant) if style_length else None for _ in range(2)
        )

    def forward(self, values: Tensor) -> Tensor:
        """Convolve values that include the margin, (1, before, h, w)."""
        return conv2d(values, self.weight, self.bias, self.stride)

    def out_size(self, size: Size) -> Size:
        """Return the size of the output for an input of `size`."""
        height, width = (-(-side * self.upsampling // self.stride[0]) for side in size)
        return height, width

    def tiles(self, size: Size, tile_scale: float) -> list[Rectangle]:
        """Tile the larger of input and output, on even positions, for an input of `size`."""
        height, width = (length * self.upsampling for length in size)
        side = tile_side(TILE_PX, tile_scale, stride=2)
        return [tile.inner for tile in tiles(height, width, side=side, halo=0, stride=2)]

    def normalise_(self, features: Tensor, mean: Tensor, variance: Tensor, style: Tensor) -> Tensor:
        """Apply Dumoulin et al. 2017, eq. 5, in place, if the layer has a normalisation.

        Args:
            features: output of the convolution, (1, C, h, w).
            mean: mean of each channel over the whole picture, (C,).
            variance: its variance, (C,).
            style: style vector, (1, style_length).
        """
        if self.gamma is not None and self.beta is not None:
            scale = self.gamma(style) * (variance + EPSILON).rsqrt()  # (1, C)
            shift = self.beta(style) - mean * scale
            torch.addcmul(shift[..., None, None], features, scale[..., None, None], out=features)
        return features


class UpsamplingLayer(Layer):
    """Nearest-neighbour upsampling ×2 and a 3×3 convolution, fused into one 2×2 convolution.

    In an upsampled picture, a 3×3 window covers only 2×2 different values: two of its three rows are
    equal, and so are two of its three columns. Their weights are added. Four output pixels surround
    each corner of four input pixels; each has its own summed weights. They are computed as channels, and a
    pixel shuffle puts them in place.

    A reflected edge of the upsampled picture equals a repeated edge of the input, so the padding is
    "replicate". Each of the four outputs adds its products in a different order, so for equal inputs
    other than 0 they differ by rounding.
    """

    upsampling = 2
    padding_kind = "replicate"

    def forward(self, values: Tensor) -> Tensor:
        """Map values with a margin of one, (1, before, h + 2, w + 2), to (1, after, 2h, 2w)."""
        # covers[a, p, y] is 1 where, for output row a, kernel row y lies on input row p. Example: for a = 0
        # the rows y = 0 and 1 lie on p = 0, and y = 2 on p = 1. Columns (b, q, x) likewise.
        covers = self.weight.new_tensor([[[1, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 1]]])
        weight = torch.einsum("ocyx,apy,bqx->oabcpq", self.weight, covers, covers).flatten(0, 2)
        corners = conv2d(values, weight)  # (1, 4 * after, h + 1, w + 1)
        return pixel_shuffle(corners, 2)[..., 1:-1, 1:-1]


class ColourLayer(Layer):
    """A convolution to a few channels, the colours, on images with even sides.

    Even and odd rows and columns become channels, because few channels do not fill the SIMD registers.
    """

    def forward(self, values: Tensor) -> Tensor:
        """Convolve values that include the margin, (1, before, h, w)."""
        return pixel_shuffle(conv2d(pixel_unshuffle(values, 2), _unshuffled_kernel(self.weight)), 2)


def _unshuffled_kernel(weight: Tensor) -> Tensor:
    """Rearrange a kernel (O, C, 2n + 1, 2n + 1) to act on pixel-unshuffled images, (4 O, 4 C, n + 1, n + 1).

    Unshuffling turns each channel into four: one for each parity of row and column. The kernel from the
    input's parities (row, column) to the output's (out_row, out_column) has every second weight, starting
    at row - out_row and column - out_column, and zeros beyond the kernel.
    """
    padded, taps = pad(weight, (1, 1, 1, 1)), weight.shape[-1] // 2 + 1
    parities = list(itertools.product(range(2), repeat=2))
    kernels = [
        [
            padded[:, :, 1 + row - out_row :: 2, 1 + column - out_column :: 2][..., :taps, :taps]
            for row, column in parities
        ]
        for out_row, out_column in parities
    ]
    blocks = torch.stack([torch.stack(inputs, dim=2) for inputs in kernels], dim=1)  # (O, 4, C, 4, …)
    return blocks.flatten(2, 3).flatten(0, 1)


# ── The statistics of a picture ──────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Moments:
    """Mean and variance of each tile of a layer's output; `of_picture` combines them.

    They are three views of one tensor. Small tensors, allocated tile by tile between large ones, would
    keep the memory of freed large tensors from being reused.

    Attributes:
        weight: sum of the visibility, (tiles, 1).
        mean: mean of each channel, (tiles, C).
        variance: variance of each channel, (tiles, C).
    """

    weight: Tensor
    mean: Tensor
    variance: Tensor

    @classmethod
    def allocate(cls, tiles: int, channels: int, like: Tensor) -> Moments:
        """Allocate the moments, with the type and the device of `like`."""
        memory = like.new_empty(tiles, 1 + 2 * channels)
        return cls(*torch.split(memory, [1, channels, channels], dim=1))

    def measure(self, tile: int, features: Tensor, visible: Tensor | None) -> None:
        """Measure the features (1, C, h, w) of the tile with this number.

        `visible` is the weight of each position, (1, 1, h, w) in [0, 1]; None for 1 everywhere.
        """
        if visible is None and features.device.type != "mps":  # MPS has no batch_norm_update_stats
            self.weight[tile] = features[0, 0].numel()
            self.mean[tile], self.variance[tile] = torch.batch_norm_update_stats(features, None, None, 0.0)
            return
        values = features.permute(0, 2, 3, 1).flatten(0, 2)  # (h*w, C)
        visibility = features.new_ones(len(values)) if visible is None else visible.flatten()
        self.weight[tile] = visibility.sum()
        shares = visibility / self.weight[tile].clamp(min=EPSILON)
        self.mean[tile] = shares @ values
        self.variance[tile] = shares @ (values - self.mean[tile]).square_()

    def of_picture(self) -> tuple[Tensor, Tensor]:
        """Compute the mean and variance of the whole picture, (C,) each, by the law of total variance."""
        shares = self.weight / self.weight.sum()
        mean = (shares * self.mean).sum(dim=0)
        return mean, (shares * (self.variance + (self.mean - mean).square())).sum(dim=0)


# ── The network ──────────────────────────────────────────────────────────────────────────────────


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
