"""A network that paints a picture in one pass, in whatever style its normalisations are given.

Knows image tensors and style vectors; nothing of which styles there are or how a vector is found.

It is worked through layer by layer and each layer in tiles, so that every normalisation has the
statistics of the whole picture and no seam can show; a thumbnail's statistics, as in Chen et al.
2022, *Towards Ultra-Resolution Neural Style Transfer*, are not needed.

Sources:
    Johnson, Alahi and Fei-Fei 2016, *Perceptual Losses for Real-Time Style Transfer*, ECCV (the layers)
    Dumoulin, Shlens and Kudlur 2017, *A Learned Representation for Artistic Style*, ICLR, eq. 5
    (conditional instance normalisation), table 3 (nearest enlarging before convolution)
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
"""Of a layer that is worked on at a time, so that it stays in the processor's cache."""
EPSILON = 1e-5
"""Keeps a flat channel from being divided by zero; the value the weights were trained with."""


class Layer(nn.Conv2d):
    """A convolution with reflection padding; with `style_length`, the normalisation after it.

    The normalisation's gammas and betas are linear in a style vector of `style_length` numbers.
    """

    enlarging, edges = 1, "reflect"

    def __init__(
        self, before: int, after: int, kernel: int, stride: int = 1, *, style_length: int = 0, offset: bool
    ) -> None:
        super().__init__(before, after, kernel, stride, bias=not style_length)
        self.weight.data = self.weight.data.contiguous(memory_format=torch.channels_last)
        self.gamma, self.beta = (
            nn.Linear(style_length, after, bias=offset) if style_length else None for _ in range(2)
        )

    def forward(self, values: Tensor) -> Tensor:
        """The convolution of values that already have their margin."""
        return conv2d(values, self.weight, self.bias, self.stride)

    def out_size(self, size: Size) -> Size:
        """Of what it makes of features of this size."""
        height, width = (-(-side * self.enlarging // self.stride[0]) for side in size)
        return height, width

    def tiles(self, size: Size, tile_scale: float) -> list[Rectangle]:
        """Parts of features of this size, counted in positions before or after it, whichever are more."""
        height, width = (length * self.enlarging for length in size)
        side = tile_side(TILE_PX, tile_scale, stride=2)
        return [tile.inner for tile in tiles(height, width, side=side, halo=0, stride=2)]

    def normalise_(self, features: Tensor, mean: Tensor, variance: Tensor, style: Tensor) -> Tensor:
        """Dumoulin et al. 2017, eq. 5, in place, on features (1, C, h, w) of such moments, (C) each."""
        if self.gamma is not None and self.beta is not None:
            scale = self.gamma(style) * (variance + EPSILON).rsqrt()
            offset = self.beta(style) - mean * scale
            torch.addcmul(offset[..., None, None], features, scale[..., None, None], out=features)
        return features


class Enlarging(Layer):
    """The same after enlarging to the nearest twice, which is left out.

    Two enlarged rows or columns of three are one, so that four values around the point where they
    meet, not sixteen, make the four that lie there. What is reflected is the edge itself. Each of the
    four is summed in another order: of equal values other than 0 they differ by rounding.
    """

    enlarging, edges = 2, "replicate"

    def forward(self, values: Tensor) -> Tensor:
        """The convolution of values that already have a margin of one."""
        meets = self.weight.new_tensor([[[1, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 1]]])
        weight = torch.einsum("ocyx,apy,bqx->oabcpq", self.weight, meets, meets).flatten(0, 2)
        return pixel_shuffle(conv2d(values, weight), 2)[..., 1:-1, 1:-1]


class ToColours(Layer):
    """The same where few channels become colours, on even sides.

    Even and odd rows and columns are channels, enough of them to fill a processor's vectors.
    """

    def forward(self, values: Tensor) -> Tensor:
        """The convolution of values that already have their margin."""
        return pixel_shuffle(conv2d(pixel_unshuffle(values, 2), _of_phases(self.weight)), 2)


def _of_phases(weight: Tensor) -> Tensor:
    """A kernel (O, C, 2n + 1, 2n + 1) as one between the phases of a picture, (4 O, 4 C, n + 1, n + 1)."""
    padded, taps = pad(weight, (1, 1, 1, 1)), weight.shape[-1] // 2 + 1
    phases = list(itertools.product(range(2), repeat=2))
    kernels = [
        [
            padded[:, :, 1 + row - top :: 2, 1 + column - left :: 2][..., :taps, :taps]
            for row, column in phases
        ]
        for top, left in phases
    ]
    blocks = torch.stack([torch.stack(to_phase, dim=2) for to_phase in kernels], dim=1)
    return blocks.flatten(2, 3).flatten(0, 1)


@dataclass(frozen=True)
class Moments:
    """Of each part of a picture how many positions are visible, (parts, 1), and each channel's moments there.

    `mean` and `variance` are (parts, C). The room for all of them is taken at once: a few bytes for
    every part, taken between large blocks, would keep what those leave from being used again.
    """

    weight: Tensor
    mean: Tensor
    variance: Tensor

    @classmethod
    def room(cls, parts: int, channels: int, like: Tensor) -> Moments:
        """Room for what is to be noted of so many parts, in numbers as `like` has them."""
        room = like.new_empty(parts, 1 + 2 * channels)
        return cls(*torch.split(room, [1, channels, channels], dim=1))

    def note(self, part: int, features: Tensor, visible: Tensor | None) -> None:
        """Note those of features (1, C, h, w).

        `visible` (1, 1, h, w) is how much each position counts; None for all in full.
        """
        if visible is None and features.device.type != "mps":  # which has no such function
            self.weight[part] = features[0, 0].numel()
            self.mean[part], self.variance[part] = torch.batch_norm_update_stats(features, None, None, 0.0)
            return
        values = features.permute(0, 2, 3, 1).flatten(0, 2)
        weights = features.new_ones(len(values)) if visible is None else visible.flatten()
        self.weight[part] = weights.sum()
        shares = weights / self.weight[part].clamp(min=EPSILON)
        self.mean[part] = shares @ values
        self.variance[part] = shares @ (values - self.mean[part]).square_()

    def of_all(self) -> tuple[Tensor, Tensor]:
        """Mean and variance, (C) each, of the whole picture, by the law of total variance."""
        shares = self.weight / self.weight.sum()
        mean = (shares * self.mean).sum(dim=0)
        return mean, (shares * (self.variance + (self.mean - mean).square())).sum(dim=0)


class Painter(nn.Module):
    """Three layers that halve the picture twice, residual blocks, three that enlarge it again.

    Args:
        widths: channels of the first three layers.
        blocks: number of residual blocks.
        narrowing: channels of the last three layers, the colours last.
        style_length: numbers in a style vector.
        contract_styled: whether the first three layers are normalised too.
        offset: whether gammas and betas have a part that is the same for every style.
    """

    def __init__(
        self,
        widths: tuple[int, int, int],
        blocks: int,
        narrowing: tuple[int, int, int],
        *,
        style_length: int,
        contract_styled: bool,
        offset: bool,
    ) -> None:
        super().__init__()

        contracting = functools.partial(Layer, style_length=style_length * contract_styled, offset=offset)
        plain, enlarging, to_colours = (
            functools.partial(kind, style_length=style_length, offset=offset)
            for kind in (Layer, Enlarging, ToColours)
        )
        first, second, wide = widths
        half, narrow, colours = narrowing
        self.contract: Any = nn.ModuleList(
            [contracting(3, first, 9), contracting(first, second, 3, 2), contracting(second, wide, 3, 2)]
        )
        self.residual: Any = nn.ModuleList(
            nn.ModuleList([plain(wide, wide, 3), plain(wide, wide, 3)]) for _ in range(blocks)
        )
        self.expand: Any = nn.ModuleList(
            [enlarging(wide, half, 3), enlarging(half, narrow, 3), to_colours(narrow, colours, 9)]
        )
        self.eval().requires_grad_(False)

    def layers(self) -> Iterator[Layer]:
        """All of them, in their order."""
        return (module for module in self.modules() if isinstance(module, Layer))


@torch.no_grad()
def paint(
    content: Tensor,
    style: Tensor,
    *,
    painter: Painter,
    visible: Tensor | None = None,
    size: int,
    margin: int = 0,
    tile_scale: float = 1.0,
) -> Steps:
    """Paint `content` in the style of a vector (1, `style_length`); a step for every tile of every layer.

    Args:
        content: image tensor.
        style: what the painter's gammas and betas are reckoned from.
        painter: the network.
        visible: (1, 1, H, W) in [0, 1], not 0 everywhere: how much each pixel of the content counts in
            the normalisations; None for all in full.
        size: longest side in pixels at which the picture is painted. A larger content keeps its
            own fine detail.
        margin: pixels, reflected, that are painted around the picture and cut off again.
        tile_scale: factor for the tiles' usual sides, below 1 where memory is short.
    """
    small = resize(content, fit(size_of(content), size, MINIMUM_PX + margin))
    if visible is not None:
        visible = pad(resize(visible, size_of(small)).clamp(0, 1), [margin] * 4, mode="reflect")
    framed = pad(small, [margin] * 4, mode="reflect").contiguous(memory_format=torch.channels_last)
    inner = Rectangle(margin, margin, framed.shape[-2] - margin, framed.shape[-1] - margin)
    total = _tile_count(painter, size_of(framed), tile_scale) + 1
    for index, painting in enumerate(_painted(framed, style, visible, painter, tile_scale), start=1):
        picture = small if painting is None else restore_detail(inner.of(painting), content).clamp(0, 1)
        yield Step(index, total, picture)


def _painted(
    image: Tensor, style: Tensor, visible: Tensor | None, painter: Painter, tile_scale: float
) -> Iterator[Tensor | None]:
    """Nothing after every tile of every layer, and at last the painting."""
    work_through = functools.partial(_worked_through, style=style, visible=visible, tile_scale=tile_scale)
    features = image
    for layer in painter.contract:
        features = yield from work_through(layer, features)
        features.relu_()
    for first, second in painter.residual:
        inner = yield from work_through(first, features)
        features += yield from work_through(second, inner.relu_())
    *others, last = painter.expand
    for layer in others:
        features -= features[..., :1, :1].clone()  # no loss to what is normalised; the flat becomes exactly 0
        features = yield from work_through(layer, features)
        features.relu_()
    features = yield from work_through(last, features)
    yield Rectangle(0, 0, *size_of(image)).of(features).sigmoid()


def _worked_through(
    layer: Layer, features: Tensor, style: Tensor, visible: Tensor | None, tile_scale: float
) -> Generator[None, None, Tensor]:
    """What a layer makes of the features of a whole picture, convolved tile by tile into place."""
    height, width = layer.out_size(size_of(features))
    convolved = features.new_empty(1, height, width, layer.out_channels).permute(0, 3, 1, 2)
    counts = None if visible is None else resize(visible, (height, width)).clamp(0, 1)
    parts = layer.tiles(size_of(features), tile_scale)
    moments = Moments.room(len(parts), layer.out_channels, features)
    for number, tile in enumerate(parts):
        part, place = layer(_with_margin(features, tile, layer)), tile.at(layer.stride[0])
        moments.note(number, part, None if counts is None else place.of(counts))
        if part.shape == convolved.shape:
            convolved = part
        else:
            place.of(convolved).copy_(part)
        yield
    return layer.normalise_(convolved, *moments.of_all(), style)


def _with_margin(features: Tensor, tile: Rectangle, layer: Layer) -> Tensor:
    """What a layer needs for a tile: of the features, and beyond their ends its padding."""
    inner, margin = tile.at(layer.enlarging), layer.kernel_size[0] // 2
    height, width = size_of(features)
    seen = Rectangle(
        max(0, inner.top - margin),
        max(0, inner.left - margin),
        min(height, inner.bottom + margin),
        min(width, inner.right + margin),
    )
    lacking = inner.within(seen)
    right, bottom = inner.right + margin - seen.right, inner.bottom + margin - seen.bottom
    beyond = (margin - lacking.left, right, margin - lacking.top, bottom)
    return pad(seen.of(features), beyond, mode=layer.edges)


def _tile_count(painter: Painter, size: Size, tile_scale: float) -> int:
    """Tiles of all layers for a picture of `size`."""
    count = 0
    for layer in painter.layers():
        count += len(layer.tiles(size, tile_scale))
        size = layer.out_size(size)
    return count
