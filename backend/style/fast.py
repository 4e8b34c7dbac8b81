"""The fast method: style transfer in one pass (AdaIN and nearest neighbours).

A decoder paints from the content's features, normalised to the style's mean and standard deviation in
each channel, and from the style's features that are most similar to them.

Sources:
    Huang and Belongie 2017, *Arbitrary Style Transfer in Real-Time with Adaptive Instance
    Normalization*, ICCV, eq. 8 (AdaIN) and 14 (strength)
    Chen and Schmidt 2016, *Fast Patch-based Style Transfer of Arbitrary Style* (nearest neighbours)
    Odena, Dumoulin and Olah 2016, *Deconvolution and Checkerboard Artifacts*, Distill (the grid of the
    decoder)
    Geman and McClure 1987, *Statistical Methods for Tomographic Image Reconstruction* (weights to
    ignore outliers, used to distinguish the grid from strokes)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, normalize, pad, pixel_shuffle, pixel_unshuffle

from atelier_shared.sizes import Size, fit

from ..imaging import colours
from ..imaging.resize import resize, size_of
from ..imaging.step import Step, Steps
from ..imaging.style_image import Style, shares
from ..imaging.tiles import Tile, tile_side, tiles
from ..networks.feature_network import FeatureNetwork
from ..networks.matching import best_matches, visible_columns
from ..networks.tiled_features import Piece
from .neighbours import thinned

LAYER = "relu4_1"
STRIDE = 8
"""Pixels per position of the features, along each axis."""
FRAME_PX = STRIDE
"""Frame of reflected pixels around the content, cut off after painting. Every layer reflects its own input
at the border, which paints straight lines there, perpendicular to it."""
TILE_PX = 768 + 2 * FRAME_PX
DECODER_HALO = 4
"""Positions around a tile of features that its pixels depend on: the decoder sees 30 px far."""
EPSILON = 1e-5
"""Added to variances, so flat channels do not divide by 0; the value of the decoder's training."""
NEIGHBOUR_SHARE = 0.5
"""Share of the nearest neighbours in the features; AdaIN's statistics alone distort faces and windows."""
CONTENT_SHARE = 0.1
"""Share of the content's own features at full strength, with neighbours; keeps small shapes readable."""
MOST_POSITIONS = 4096
"""Positions of the styles that are compared, spread evenly."""
GRID_BLOCKS = 5
"""Side, in blocks of STRIDE pixels, of the neighbourhood from which the grid is estimated."""
GRID_ROUNDS = 3
"""Number of estimates of the grid; with each one, blocks with strokes have a smaller weight."""
LEAST_POWER = 1e-6
"""Mean square of a difference invisible in 8-bit pictures."""


@dataclass(frozen=True)
class FastSettings:
    """The settings of the fast method.

    Attributes:
        strength: from 0, the content itself, to 1; interpolates the features from the content's own to
            the normalised ones.
        size: longest side of the painting, in pixels; a larger content is reduced.
        neighbours: whether nearest neighbours take part; otherwise the method is AdaIN alone.
    """

    strength: float
    size: int
    neighbours: bool = True


class Statistics(NamedTuple):
    """Mean and standard deviation of each channel over all positions, both (1, C, 1, 1)."""

    mean: Tensor
    deviation: Tensor


@torch.no_grad()
def stylize(
    content: Tensor,
    styles: Sequence[Style],
    settings: FastSettings,
    *,
    network: FeatureNetwork,
    decoder: nn.Module,
    visible: Tensor | None,
    tile_scale: float = 1.0,
) -> Steps:
    """Paint `content` in the style of `styles`; yield a step for each tile encoded or decoded.

    Differs from Huang and Belongie 2017: a frame around the content, and colours that the styles lack are
    taken away.

    Args:
        content: image tensor (1, 3, H, W).
        styles: their statistics are averaged by weight.
        settings: settings of the method.
        network: the encoder, normalised VGG19.
        decoder: network from features at relu4_1 (1, 512, h, w) to an image (1, 3, 8h, 8w).
        visible: visibility of the content (1, 1, H, W) in [0, 1]; None for 1 everywhere.
        tile_scale: factor for the side of tiles, in (0, 1].

    Raises:
        ValueError: a style is fully transparent, or all weights are 0.
    """
    if settings.strength == 0 or (visible is not None and not visible.any()):
        yield Step(1, 1, content)
        return
    painting_size = fit(size_of(content), settings.size)
    small = resize(content, fit(size_of(content), settings.size, network.minimum_px)).clamp(0, 1)
    fitted = [style.fitted(size_of(small), network.minimum_px) for style in styles]
    small = colours.subdued(small, visible, styles, settings.strength)
    coloured = [*styles, Style(small, visible=visible)]
    seen = [_style_features(style, network, tile_scale) for style in fitted]
    target = _mean([statistics(*of_style) for of_style in seen], shares(styles))
    bank = _normalised_bank(seen, shares(styles)) if settings.neighbours else None
    framed = _framed(small)
    pixel_tiles = list(_pixel_tiles(framed, network, tile_scale))
    feature_tiles = list(_feature_tiles(framed, tile_scale))
    total = len(pixel_tiles) + len(feature_tiles)

    for index, encoded in enumerate(_encode(framed, pixel_tiles, network), start=1):
        features = encoded
        yield Step(index, total, small, is_painted=False)
    seen_part = None if visible is None else _on_features(_framed(resize(visible, size_of(small))), framed)
    features = _in_style(features, target, bank, settings.strength, seen_part)
    del encoded  # hundreds of megabytes for a large picture
    pastiches = _decode(features, feature_tiles, decoder, framed)
    for index, pastiche in enumerate(pastiches, start=len(pixel_tiles) + 1):
        if index < total:
            yield Step(index, total, _unframed(pastiche).clamp(0, 1))
    painting = resize(_unframed(remove_grid(pastiche)), painting_size).clamp(0, 1)
    yield Step(total, total, colours.subdued(painting, visible, coloured))


def _framed(image: Tensor) -> Tensor:
    """Add the frame to an image (1, C, H, W) of at least FRAME_PX + 1 pixels a side."""
    return pad(image, [FRAME_PX] * 4, mode="reflect")


def _unframed(image: Tensor) -> Tensor:
    return image[..., FRAME_PX:-FRAME_PX, FRAME_PX:-FRAME_PX]


def _in_style(
    features: Tensor, target: Statistics, bank: Tensor | None, strength: float, visible: Tensor | None
) -> Tensor:
    """Give features (1, C, h, w) the statistics `target`, blended with nearest neighbours if there is a bank.

    `visible` (1, 1, h, w) weights the positions. Huang and Belongie 2017, eq. 14.
    """
    blended = features if bank is None else blend_with_neighbours(features, bank, visible)
    stylised = adain(blended, statistics(blended, visible), target)
    return torch.lerp(features, stylised, strength * (1 if bank is None else 1 - CONTENT_SHARE))


def statistics(features: Tensor, visible: Tensor | None = None) -> Statistics:
    """Compute mean and standard deviation, (1, C, 1, 1) each, of features (1, C, h, w).

    `visible` (1, 1, h, w) weights the positions; None for 1 everywhere.
    """
    if visible is None:
        variance, mean = torch.var_mean(features, dim=(2, 3), correction=0, keepdim=True)
    else:
        weights = visible / visible.sum()
        mean = (features * weights).sum(dim=(2, 3), keepdim=True)
        variance = (features - mean).square_().mul_(weights).sum(dim=(2, 3), keepdim=True)
    return Statistics(mean, (variance + EPSILON).sqrt())


def adain(features: Tensor, own: Statistics, style: Statistics) -> Tensor:
    """Replace the statistics of features (1, C, h, w) by the style's: Huang and Belongie 2017, eq. 8."""
    return (features - own.mean).div_(own.deviation).mul_(style.deviation).add_(style.mean)


def blend_with_neighbours(features: Tensor, bank: Tensor, visible: Tensor | None = None) -> Tensor:
    """Blend features (1, C, h, w), normalised by their statistics, with the style's nearest neighbours.

    `bank` (C, n) has features of the styles, each normalised by its own statistics.
    Differs from Chen and Schmidt 2016: single positions instead of patches of 3 × 3, and a blend.
    """
    own = statistics(features, visible)
    normalised = (features - own.mean) / own.deviation
    neighbours = best_matches(normalised, bank, normalize(bank, dim=0))
    return torch.lerp(normalised, neighbours, NEIGHBOUR_SHARE)


def remove_grid(image: Tensor) -> Tensor:
    """Remove from an image (1, 3, H, W) the pattern repeated in neighbouring blocks of STRIDE × STRIDE.

    Differs from Huang and Belongie 2017: nearest-neighbour upsampling in the decoder leaves such a grid
    where the features are flat, as in a clear sky. Strokes do not repeat like this and stay.
    """
    height, width = size_of(image)
    whole = pad(image, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
    # (1, 3, 8h, 8w) to (1, 3 * 64, h, w): one channel for each colour and place in the block
    blocks = pixel_unshuffle(whole - _local_mean(whole, STRIDE + 1), STRIDE)
    grid = torch.zeros_like(blocks)
    for _ in range(GRID_ROUNDS):
        weights = _grid_weights(blocks - grid)
        grid = _local_mean(blocks * weights, GRID_BLOCKS) / _local_mean(weights, GRID_BLOCKS)
    return (whole - pixel_shuffle(grid, STRIDE))[..., :height, :width]


def _grid_weights(residual: Tensor) -> Tensor:
    """Return a weight for each block, (1, 1, h, w): small where its residual is larger than around it.

    Geman and McClure 1987. `residual` (1, 3 * 64, h, w) is the blocks minus the estimated grid.
    """
    power = residual.square().mean(dim=1, keepdim=True) + LEAST_POWER
    usual = 1 / _local_mean(1 / power, GRID_BLOCKS)  # harmonic mean: the power of the flattest blocks
    return (1 + power / usual).pow(-2)


def _local_mean(values: Tensor, side: int) -> Tensor:
    """Average (1, C, h, w) over a square around each position, cut off at the edges."""
    return avg_pool2d(values, side, stride=1, padding=side // 2, count_include_pad=False)


def _style_features(style: Style, network: FeatureNetwork, tile_scale: float) -> tuple[Tensor, Tensor | None]:
    """Return a style's features (1, 512, h, w) and their visibility (1, 1, h, w)."""
    *_, features = _encode(style.image, list(_pixel_tiles(style.image, network, tile_scale)), network)
    return features, _on_features(style.visible, style.image)


def _normalised_bank(seen: Sequence[tuple[Tensor, Tensor | None]], weights: Sequence[float]) -> Tensor:
    """Gather the styles' features, each normalised by its own statistics, (512, n)."""
    banks = []
    for (features, visible), weight in zip(seen, weights, strict=True):
        own = statistics(features, visible)
        columns = visible_columns(Piece((features - own.mean) / own.deviation, visible))
        banks.append(thinned(columns, round(MOST_POSITIONS * weight)))
    return torch.cat(banks, dim=1)


def _on_features(visible: Tensor | None, image: Tensor) -> Tensor | None:
    """Average a visibility (1, 1, H, W) over the pixels of each position of an image's features."""
    if visible is None:
        return None
    return avg_pool2d(resize(visible, size_of(image)).clamp(0, 1), STRIDE, ceil_mode=True)


def _mean(several: Sequence[Statistics], weights: Sequence[float]) -> Statistics:
    """Average statistics; the weights add up to 1."""
    weighted = zip(weights, several, strict=True)
    scaled = [(weight * mean, weight * deviation) for weight, (mean, deviation) in weighted]
    return Statistics(*(torch.stack(values).sum(dim=0) for values in zip(*scaled, strict=True)))


def _pixel_tiles(image: Tensor, network: FeatureNetwork, tile_scale: float) -> Iterator[Tile]:
    side = tile_side(TILE_PX, tile_scale, STRIDE)
    return tiles(*size_of(image), side=side, halo=network.halo_px([LAYER]), stride=STRIDE)


def _feature_tiles(image: Tensor, tile_scale: float) -> Iterator[Tile]:
    side = tile_side(TILE_PX // STRIDE, tile_scale)
    return tiles(*_feature_size(image), side=side, halo=DECODER_HALO)


def _feature_size(image: Tensor) -> Size:
    """Return height and width of an image's features, rounded up to whole positions."""
    height, width = (-(-side // STRIDE) for side in size_of(image))
    return height, width


def _encode(image: Tensor, pixel_tiles: Sequence[Tile], network: FeatureNetwork) -> Iterator[Tensor]:
    """Compute the features (1, 512, h, w) of the whole image; yield them after each tile.

    Those of a small picture may come from the network's memory.
    """
    encoding = _encode_tiles(image, pixel_tiles, network)
    if len(pixel_tiles) == 1:  # otherwise the rounding depends on the tiles
        yield network.memory.features(image, LAYER, lambda: next(encoding))
    else:
        yield from encoding


def _encode_tiles(image: Tensor, pixel_tiles: Sequence[Tile], network: FeatureNetwork) -> Iterator[Tensor]:
    features: Tensor | None = None
    for tile in pixel_tiles:
        part = network.features(tile.outer.of(image), [LAYER])[LAYER]
        if features is None:
            features = part.new_empty(1, part.shape[1], *_feature_size(image))
        own = tile.inner.relative_to(tile.outer).to_positions(STRIDE).of(part)
        tile.inner.to_positions(STRIDE).of(features).copy_(own)
        yield features


def _decode(
    features: Tensor, feature_tiles: Sequence[Tile], decoder: nn.Module, image: Tensor
) -> Iterator[Tensor]:
    """Paint the features (1, 512, h, w) over `image`, in place; yield it after each tile."""
    for tile in feature_tiles:
        part = decoder(tile.outer.of(features))
        own = tile.inner.relative_to(tile.outer).to_pixels(STRIDE).of(part)
        target = tile.inner.to_pixels(STRIDE).of(image)
        target.copy_(own[..., : target.shape[-2], : target.shape[-1]])
        yield image
