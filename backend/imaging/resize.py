"""Sizes at which a picture is worked on, and the way between them.

Knows image tensors and sizes (height, width) in pixels; nothing of networks.

Source: Burt and Adelson 1983, *The Laplacian Pyramid as a Compact Image Code*: what shrinking loses
is kept, and put back after enlarging.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import interpolate

from atelier_shared.sizes import Size

MOST_SHRUNK = 16
"""A side shrinks so many times at once: CUDA's kernel has no memory for a wider filter than of 47 times."""


def size_of(image: Tensor) -> Size:
    """Height and width of an image (..., H, W)."""
    height, width = image.shape[-2:]
    return height, width


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
