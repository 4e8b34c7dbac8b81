"""The finest strokes of a large painting, from the pixels of the style pictures.

An enlarged painting has no detail in its finest octave. Each patch of it gets the detail of the most
similar patch of the styles. For the comparison, the styles are without their finest octave, too. So at 1:1
one sees the brush strokes, the canvas or the ink of the style picture.

Sources:
    Freeman, Jones and Pasztor 2002, *Example-Based Super-Resolution*, IEEE Computer Graphics and
    Applications 22(2) (patches of the lower frequencies as keys to those of the highest ones)
    Hertzmann et al. 2001, *Image Analogies*, SIGGRAPH, section 4.2 (super-resolution with a painting)
    Heitz and Neyret 2018, *High-Performance By-Example Noise using a Histogram-Preserving Blending
    Operator*, HPG, section 3 (blending that keeps the variance)

Differs from Freeman et al. 2002: neighbouring patches need not agree, because any strokes that suit the place
will do. They are blended.
Differs from Heitz and Neyret 2018: the patches' correlation is measured, because some of them agree.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from atelier_shared.sizes import Size, fit

from ..imaging.colours import YIQ_LUMA
from ..imaging.resize import resize, size_of
from ..imaging.samples import LEAST_SAMPLE_PX, samples
from ..imaging.style_image import Style, shares
from ..imaging.tiles import reflected_part
from ..networks.matching import best_matches

PATCH_PX, HOP_PX = 16, 8
"""Side of a patch, and the distance of neighbours: every pixel lies in four patches."""
KEY_PX = PATCH_PX // 2
"""Side of a patch's key: without its finest octave, a patch is described by half as many pixels a side."""
COLOUR_WEIGHT = 0.5
"""Weight of a patch's mean colour beside the pattern of its luminance."""
PATCHES = 4096
"""Patches of all styles together."""
MEAN_SQUARES = 9 / 16
"""Mean, over all places of a patch, of the sum of the squared weights: 3/4 across, and 3/4 down."""
MIN_POWER = 1e-8
"""Less than this is rounding."""
GOLDEN = (math.sqrt(5) - 1) / 2
"""Multiples of the golden ratio, without their whole part, are spread evenly over [0, 1)."""


@dataclass(frozen=True)
class StyleDetail:
    """Patches of the styles: their finest octave, and what they look like without it.

    Attributes:
        patches: (3 × PATCH_PX², n).
        directions: keys for the search, (K, n): see `_directions`.
        strength: factor for the detail, in [0, 1].
    """

    patches: Tensor
    directions: Tensor
    strength: float

    halo_px: ClassVar[int] = 2 * HOP_PX

    def __call__(self, part: Tensor) -> Tensor:
        """Add detail to a part (1, 3, h, w) of an enlarged painting, with sides that are multiples of HOP_PX.

        Within `halo_px` of its edges it differs from the same place in a larger part.
        """
        return part.add(self.detail_for(part), alpha=self.strength)

    def detail_for(self, part: Tensor) -> Tensor:
        """Return the detail that suits a part (1, 3, h, w), in its size and in full strength."""
        windows = avg_pool2d(part, 2).unfold(2, KEY_PX, HOP_PX // 2).unfold(3, KEY_PX, HOP_PX // 2)
        rows, columns = windows.shape[2:4]
        keys = _keys(windows.permute(0, 2, 3, 1, 4, 5).flatten(0, 2))  # (rows × columns, K - 1)
        queries = torch.cat([keys, torch.ones_like(keys[:, :1])], dim=1)
        found = best_matches(queries.T.reshape(1, -1, rows, columns), self.patches, self.directions)
        return _blended(found)


def style_detail(
    styles: Sequence[Style], longest_px: int, reduction: float, strength: float = 1.0
) -> StyleDetail:
    """Collect patches of the styles, a number of each according to its weight.

    Args:
        styles: not fully transparent.
        longest_px: longest side of a style of scale 1. No style is enlarged.
        reduction: factor by which a picture is reduced to lose the finest octave, above 1.
        strength: factor for the detail, in [0, 1].
    """
    found = [
        _patches_of(_sized(style, longest_px), reduction, round(share * PATCHES))
        for style, share in zip(styles, shares(styles), strict=True)
        if share
    ]
    keys, patches = (torch.cat(parts) for parts in zip(*found, strict=True))
    return StyleDetail(patches.flatten(1).T.contiguous(), _directions(keys), strength)


def _sized(style: Style, longest_px: int) -> Style:
    """Reduce a style to its size in the painting, in its own proportions; move its visibility to the CPU."""
    size = fit(size_of(style.image), max(LEAST_SAMPLE_PX, round(style.scale * longest_px)))
    visible = None if style.visible is None else resize(style.visible.cpu(), size).clamp(0, 1)
    return style._replace(image=resize(style.image, size).clamp(0, 1), visible=visible)


def _patches_of(style: Style, reduction: float, count: int) -> tuple[Tensor, Tensor]:
    """Return `count` keys (n, K - 1) and patches (n, 3, PATCH_PX, PATCH_PX) of a style."""
    parts = samples(size_of(style.image), style.visible)
    image = torch.cat([reflected_part(style.image, part) for part in parts])
    height, width = size_of(image)
    coarse = resize(resize(image, (round(height / reduction), round(width / reduction))), (height, width))
    # (samples, 3, rows, columns, side, side), with sides of KEY_PX and PATCH_PX
    windows = avg_pool2d(coarse, 2).unfold(2, KEY_PX, 1).unfold(3, KEY_PX, 1)
    patches = (image - coarse).unfold(2, PATCH_PX, 2).unfold(3, PATCH_PX, 2)
    visible = torch.ones(len(parts), *windows.shape[2:4])
    if style.visible is not None:
        seen = torch.cat([reflected_part(style.visible, part) for part in parts])
        visible = avg_pool2d(seen, PATCH_PX, stride=2)[:, 0]
    places = (visible >= visible.max() / 2).nonzero()  # (p, 3): sample, row and column at half the size
    sample, row, column = _spread(places, max(1, count)).T.to(image.device)
    chosen = windows[sample, :, row, column], patches[sample, :, row, column]
    keys, detail = (_in_all_orientations(squares) for squares in chosen)
    return _keys(keys), detail


def _in_all_orientations(squares: Tensor) -> Tensor:
    """Turn and mirror squares (n, 3, side, side): each eighth in another of the eight orientations."""
    oriented = []
    for number, part in enumerate(squares.tensor_split(8)):
        turned = part.rot90(number % 4, (2, 3))
        oriented.append(turned.flip(3) if number < 4 else turned)
    return torch.cat(oriented)


def _spread(places: Tensor, count: int) -> Tensor:
    """Choose `count` rows of `places` evenly; the same ones repeatedly if there are fewer."""
    shares = torch.arange(count, dtype=torch.float64).mul(GOLDEN).frac()
    return places[shares.mul(len(places)).long()]


def _keys(windows: Tensor) -> Tensor:
    """Return luminance pattern and mean colour of windows (n, 3, KEY_PX, KEY_PX), (n, K - 1)."""
    luminance = torch.einsum("c,nchw->nhw", windows.new_tensor(YIQ_LUMA), windows).flatten(1)
    return torch.cat(
        [luminance - luminance.mean(1, keepdim=True), COLOUR_WEIGHT * windows.mean((2, 3))], dim=1
    )


def _directions(keys: Tensor) -> Tensor:
    """Return (K, n): the largest dot product with (key, 1) belongs to the key at the least distance.

    Of |a − b|² = |a|² − 2 (a · b − |b|² / 2), only the term in brackets depends on which b is taken.
    """
    return torch.cat([keys, -keys.square().sum(1, keepdim=True) / 2], dim=1).T.contiguous()


def _blended(patches: Tensor) -> Tensor:
    """Blend patches (1, 3 × PATCH_PX², rows, columns) to an image (1, 3, h, w) as strong as they are.

    With the weights a of a pixel's patches, the mean has the variance s (1 − ρ) + ρ, where s is the sum of
    a² and ρ the correlation of the patches. This is 1 if they are equal, and s if they are independent.
    """
    mean, power = _overlapped(patches), _overlapped(patches.square()).sum(1, keepdim=True)
    squares = _squares_of_weights(size_of(mean), mean)
    around = functools.partial(avg_pool2d, kernel_size=HOP_PX + 1, stride=1, padding=HOP_PX // 2)
    variance = around(mean.square().sum(1, keepdim=True)) / around(power).clamp_min(MIN_POWER)
    correlation = ((variance - MEAN_SQUARES) / (1 - MEAN_SQUARES)).clamp_(0, 1)
    return mean.mul_(torch.lerp(squares, torch.ones_like(squares), correlation).rsqrt_())


def _overlapped(patches: Tensor) -> Tensor:
    """Return the weighted means of patches (1, 3 × PATCH_PX², rows, columns): (1, 3, h, w).

    The weights of a pixel's four patches have the sum 1, except within HOP_PX of the edges.
    """
    rows, columns = patches.shape[2:]
    weights = torch.outer(*[_weights(patches)] * 2).flatten().repeat(3)[:, None, None]
    blocks = (patches[0] * weights).view(3, 2, HOP_PX, 2, HOP_PX, rows, columns)
    image = patches.new_zeros(3, rows + 1, HOP_PX, columns + 1, HOP_PX)
    for down, right in itertools.product(range(2), repeat=2):
        block = blocks[:, down, :, right].permute(0, 3, 1, 4, 2)  # (3, rows, HOP_PX, columns, HOP_PX)
        image[:, down : down + rows, :, right : right + columns] += block
    return image.reshape(1, 3, (rows + 1) * HOP_PX, (columns + 1) * HOP_PX)


def _weights(like: Tensor) -> Tensor:
    """Return the weights across a patch, (PATCH_PX,), rising and falling as a squared sine."""
    places = torch.arange(PATCH_PX, dtype=like.dtype, device=like.device) + 0.5
    return torch.sin(places * (math.pi / PATCH_PX)).square()


def _squares_of_weights(size: Size, like: Tensor) -> Tensor:
    """Return the sum of the squared weights of each pixel's four patches, (1, 1, *size)."""
    across = _weights(like).square().view(2, HOP_PX).sum(0)
    rows, columns = (across.repeat(side // HOP_PX) for side in size)
    return torch.outer(rows, columns)[None, None]
