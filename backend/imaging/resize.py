"""Sizes at which a picture is worked on, and the way between them.

Knows image tensors and sizes (height, width) in pixels; nothing of networks.

Source: Burt and Adelson 1983, *The Laplacian Pyramid as a Compact Image Code*: what shrinking loses
is kept, and put back after enlarging.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import interpolate

Size = tuple[int, int]
"""Height and width in pixels."""
MOST_SHRUNK = 16
"""A side shrinks so many times at once: CUDA's kernel has no memory for a wider filter than of 47 times."""


def size_of(image: Tensor) -> Size:
    """Height and width of an image (..., H, W)."""
    height, width = image.shape[-2:]
    return height, width


def fit(size: Size, longest_px: int, shortest_px: int = 1) -> Size:
    """`size` shrunk to a longest side of `longest_px`, its proportions kept; never enlarged.

    A side that is shorter than `shortest_px` then, which a network could not take, becomes that long.
    """
    return scaled(size, min(longest_px, max(size)), shortest_px)


def scaled(size: Size, longest_px: int, shortest_px: int = 1) -> Size:
    """`size` shrunk or enlarged to a longest side of `longest_px`, no side below `shortest_px`."""
    scale = longest_px / max(size)
    height, width = (max(shortest_px, round(side * scale)) for side in size)
    return height, width


def octave_sizes(size: Size, octaves: int, octave_scale: float, shortest_px: int = 1) -> list[Size]:
    """Sizes from coarse to fine, each `octave_scale` times the one before; the last one is `size`.

    Those with a side shorter than `shortest_px` are left out, `size` itself never.
    """
    height, width = size
    scales = [octave_scale**-i for i in range(octaves - 1, 0, -1)]
    sizes = [(round(height * scale), round(width * scale)) for scale in scales]
    return [coarse for coarse in sizes if min(coarse) >= shortest_px] + [size]


def resize(image: Tensor, size: Size) -> Tensor:
    """`image` (1, C, H, W) at another size, antialiased; bicubic, so it may overshoot a little."""
    while size_of(image) != size:
        height, width = (
            max(side, -(-now // MOST_SHRUNK)) for side, now in zip(size, size_of(image), strict=True)
        )
        image = interpolate(image, (height, width), mode="bicubic", antialias=True)
    return image


def restore_detail(image: Tensor, original: Tensor) -> Tensor:
    """`image` enlarged to the size of `original`, with the detail that `original` loses at the small size.

    In other words `original`, changed as much as `image` differs from the shrunken `original`.
    """
    if size_of(image) == size_of(original):
        return image
    change = image - resize(original, size_of(image))
    return original + resize(change, size_of(original))
