"""A memory of the features of the last small pictures.

A preview after a changed setting has the photo of the preview before it, and often its style picture.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor

MOST_PICTURES = 3
"""A photo and two styles."""
MOST_PIXELS = 2**18
"""Pixels of the largest picture whose features are kept; at relu4_1 of VGG19 these take 8 MB."""


class FeatureMemory:
    """The features of the last MOST_PICTURES small images on the processor."""

    def __init__(self) -> None:
        self._features: OrderedDict[tuple[str, bytes], Tensor] = OrderedDict()

    def features(self, image: Tensor, layer: str, compute: Callable[[], Tensor]) -> Tensor:
        """Return the features of an image (1, 3, H, W) at a layer, not to be written to.

        They are computed only if no equal image is remembered. Those of a small image are kept.
        """
        if not _is_small(image):
            return compute()
        key = layer, _digest(image)
        if key not in self._features:
            self._features[key] = compute()
        self._features.move_to_end(key)
        if len(self._features) > MOST_PICTURES:
            self._features.popitem(last=False)
        return self._features[key]


def _is_small(image: Tensor) -> bool:
    """Return whether an image is worth a digest: on a graphics card, computing the features is quicker."""
    return image.device.type == "cpu" and image.shape[-2] * image.shape[-1] <= MOST_PIXELS


def _digest(image: Tensor) -> bytes:
    pixels = hashlib.sha256(image.contiguous().numpy().data)
    pixels.update(repr(tuple(image.shape)).encode())
    return pixels.digest()
