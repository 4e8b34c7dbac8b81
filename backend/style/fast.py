"""Style transfer in one pass: the decoder paints features that were given the style's statistics.

Knows image tensors, an encoder and a decoder; nothing of where they come from or who asked.

Source: Huang and Belongie 2017, *Arbitrary Style Transfer in Real-Time with Adaptive Instance
Normalization*, ICCV, eq. 8 (AdaIN) and 14 (strength).
The grid that the decoder leaves: Odena, Dumoulin and Olah 2016, *Deconvolution and Checkerboard
Artifacts*, Distill; what tells it from strokes: Geman and McClure 1987, *Statistical Methods for
Tomographic Image Reconstruction*, whose weights let outliers count for next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad, pixel_shuffle, pixel_unshuffle

from ..imaging.resize import Size, fit, resize, restore_detail, size_of
from ..imaging.step import Step, Steps
from ..imaging.style_image import Style, fitted, shares
from ..imaging.tiles import Tile, tiles
from ..networks.registry import Network

LAYER = "relu4_1"
STRIDE = 8
"""Pixels that one position of the layer's features stands for."""
TILE_PX = 768
DECODER_HALO = 4
"""Positions whose features reach a pixel through the decoder: 30 px."""
EPSILON = 1e-5
"""Keeps a flat channel from being divided by zero; the value the decoder was trained with."""
GRID_BLOCKS = 5
"""Side, in blocks of STRIDE pixels, of the neighbourhood in which all that repeats is taken for the grid."""
GRID_ROUNDS = 3
"""How often the grid is estimated; each time the blocks that hold strokes count for less."""
LEAST_POWER = 1e-6
"""Mean square of a difference that no 8-bit picture shows."""


class Statistics(NamedTuple):
    """Mean and standard deviation of each channel over all positions, (1, C, 1, 1)."""

    mean: Tensor
    deviation: Tensor


@torch.no_grad()
def stylize(
    content: Tensor,
    styles: Sequence[Style],
    *,
    network: Network,
    decoder: nn.Module,
    visible: Tensor | None,
    strength: float,
    size: int,
    style_size: float,
    stretch: bool,
) -> Steps:
    """Paint `content` in the manner of `styles`, one step for every tile encoded and decoded.

    Args:
        content: image tensor.
        styles: of several, the mean of their statistics by weight is taken.
        network: the encoder, normalised VGG19.
        decoder: from its features at relu4_1 to an image.
        visible: (1, 1, H, W) in [0, 1], how much each pixel of the content counts; None for all in full.
        strength: from 0, the content itself, to 1.
        size: longest side in pixels at which the picture is painted. A larger content keeps its
            own fine detail.
        style_size: size of the styles beside that of the content.
        stretch: whether the styles take on the content's proportions.

    Raises:
        ValueError: nothing of a style is visible, or no style weighs anything.
    """
    if strength == 0 or (visible is not None and not visible.any()):
        yield Step(1, 1, content)
        return
    small = resize(content, fit(size_of(content), size, network.minimum_px)).clamp(0, 1)
    looked_at = [
        fitted(style, size_of(small), style_size=style_size, stretch=stretch, minimum_px=network.minimum_px)
        for style in styles
    ]
    aim = _mean([_style_statistics(style, network) for style in looked_at], shares(styles))
    pixel_tiles, feature_tiles = list(_pixel_tiles(small, network)), list(_feature_tiles(small))
    total = len(pixel_tiles) + len(feature_tiles)

    for index, encoded in enumerate(_encode(small, pixel_tiles, network), start=1):
        features = encoded
        yield Step(index, total, small)
    own = statistics(features, _on_features(visible, small))

    def paint(part: Tensor) -> Tensor:
        painted: Tensor = decoder(torch.lerp(part, adain(part, own, aim), strength))
        return painted

    pastiches = _decode(features, feature_tiles, paint, small)
    for index, pastiche in enumerate(pastiches, start=len(pixel_tiles) + 1):
        image = restore_detail(without_grid(pastiche), content) if index == total else pastiche
        yield Step(index, total, image.clamp(0, 1))


def statistics(features: Tensor, visible: Tensor | None = None) -> Statistics:
    """Mean and standard deviation of each channel of features (1, C, h, w).

    `visible` (1, 1, h, w) is how much each position counts; None stands for all in full.
    """
    if visible is None:
        variance, mean = torch.var_mean(features, dim=(2, 3), correction=0, keepdim=True)
    else:
        weights = visible / visible.sum()
        mean = (features * weights).sum(dim=(2, 3), keepdim=True)
        variance = (features - mean).square_().mul_(weights).sum(dim=(2, 3), keepdim=True)
    return Statistics(mean, (variance + EPSILON).sqrt())


def adain(features: Tensor, own: Statistics, style: Statistics) -> Tensor:
    """Huang and Belongie 2017, eq. 8: features (1, C, h, w) with the style's statistics for their own."""
    return (features - own.mean) / own.deviation * style.deviation + style.mean


def without_grid(image: Tensor) -> Tensor:
    """An image tensor without what repeats from each block of STRIDE pixels to its neighbours.

    Differs from Huang and Belongie 2017: nearest enlarging in the decoder leaves such a pattern where
    the features are flat, as in a clear sky. Strokes do not repeat so and stay.
    """
    height, width = size_of(image)
    whole = pad(image, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
    by_place_in_block = pixel_unshuffle(whole - _mean_around(whole, STRIDE + 1), STRIDE)
    grid = torch.zeros_like(by_place_in_block)  # (1, 3 * STRIDE**2, h, w)
    for _ in range(GRID_ROUNDS):
        likeness = _likeness(by_place_in_block - grid)
        total = _mean_around(likeness, GRID_BLOCKS)
        grid = _mean_around(by_place_in_block * likeness, GRID_BLOCKS) / total
    return (whole - pixel_shuffle(grid, STRIDE))[..., :height, :width]


def _likeness(rest: Tensor) -> Tensor:
    """How much each block counts, (1, 1, h, w): little where the grid leaves more than of those around."""
    power = rest.square().mean(dim=1, keepdim=True) + LEAST_POWER
    usual = 1 / _mean_around(1 / power, GRID_BLOCKS)  # that of the flattest blocks around
    return (1 + power / usual).pow(-2)


def _mean_around(values: Tensor, side: int) -> Tensor:
    """The mean over a square around each position, as far as there is something."""
    return avg_pool2d(values, side, stride=1, padding=side // 2, count_include_pad=False)


def _style_statistics(style: Style, network: Network) -> Statistics:
    *_, features = _encode(style.image, list(_pixel_tiles(style.image, network)), network)
    return statistics(features, _on_features(style.visible, style.image))


def _on_features(visible: Tensor | None, image: Tensor) -> Tensor | None:
    """How much each position of an image's features counts."""
    if visible is None:
        return None
    return avg_pool2d(resize(visible, size_of(image)).clamp(0, 1), STRIDE, ceil_mode=True)


def _mean(several: Sequence[Statistics], parts: Sequence[float]) -> Statistics:
    """The mean of several statistics by their shares."""
    by_part = zip(parts, several, strict=True)
    scaled = [(part * mean, part * deviation) for part, (mean, deviation) in by_part]
    return Statistics(*(torch.stack(values).sum(dim=0) for values in zip(*scaled, strict=True)))


def _pixel_tiles(image: Tensor, network: Network) -> Iterator[Tile]:
    return tiles(*size_of(image), side=TILE_PX, halo=network.halo_px([LAYER]), stride=STRIDE)


def _feature_tiles(image: Tensor) -> Iterator[Tile]:
    return tiles(*_feature_size(image), side=TILE_PX // STRIDE, halo=DECODER_HALO)


def _feature_size(image: Tensor) -> Size:
    """Height and width of an image's features: a last stride that the image fills in part counts whole."""
    height, width = (-(-side // STRIDE) for side in size_of(image))
    return height, width


def _encode(image: Tensor, pixel_tiles: Sequence[Tile], network: Network) -> Iterator[Tensor]:
    """The features of the whole image, tile by tile; the same ones as in one piece."""
    features: Tensor | None = None
    for tile in pixel_tiles:
        part = network.features(tile.outer.of(image), [LAYER])[LAYER]
        if features is None:
            features = part.new_empty(1, part.shape[1], *_feature_size(image))
        own = tile.inner.within(tile.outer).at(STRIDE).of(part)
        tile.inner.at(STRIDE).of(features).copy_(own)
        yield features


def _decode(
    features: Tensor, feature_tiles: Sequence[Tile], paint: Callable[[Tensor], Tensor], image: Tensor
) -> Iterator[Tensor]:
    """What `paint` makes of the features, over a copy of `image`, tile by tile."""
    image = image.clone()
    for tile in feature_tiles:
        part = paint(tile.outer.of(features))
        own = tile.inner.within(tile.outer).times(STRIDE).of(part)
        target = tile.inner.times(STRIDE).of(image)
        target.copy_(own[..., : target.shape[-2], : target.shape[-1]])
        yield image.clone()
