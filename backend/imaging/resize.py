"""Resizing of image tensors, and the detail lost by it.

Source: Burt and Adelson 1983, *The Laplacian Pyramid as a Compact Image Code*: the detail lost by
reducing an image is kept, and added again after enlarging.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import interpolate

from atelier_shared.sizes import Size

MAX_REDUCTION = 16
"""Largest factor by which a side is reduced at once. CUDA's kernel runs out of shared memory from 47 on,
because its filter becomes too wide."""


def size_of(image: Tensor) -> Size:
    """Return the height and width of an image (..., H, W)."""
    height, width = image.shape[-2:]
    return height, width


def resize(image: Tensor, size: Size) -> Tensor:
    """Interpolate an image (1, C, H, W) to (1, C, *size), bicubic and antialiased.

    Values can overshoot the range of the image's own a little. Large reductions take several passes.
    """
    while size_of(image) != size:
        height, width = (
            max(target, -(-side // MAX_REDUCTION)) for target, side in zip(size, size_of(image), strict=True)
        )
        image = interpolate(image, (height, width), mode="bicubic", antialias=True)
    return image


def detail_of(image: Tensor, coarse: Size) -> Tensor:
    """Return what an image (1, C, H, W) loses if it is reduced to the size `coarse`, (1, C, H, W)."""
    return image - resize(resize(image, coarse), size_of(image))


def restore_detail(image: Tensor, original: Tensor) -> Tensor:
    """Enlarge `image` (1, C, h, w) to the size of `original` (1, C, H, W), with its fine detail.

    The result is `original` plus the enlarged difference between `image` and the reduced `original`.
    """
    if size_of(image) == size_of(original):
        return image
    change = image - resize(original, size_of(image))
    return original + resize(change, size_of(original))
