"""A memory of the features of the last small pictures.

A preview after a changed setting has the photo of the preview before it, and often its style picture.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from torch import Tensor

MOST_PICTURES = 3
"""A photo and two styles."""
MOST_PIXELS = 2**18
"""Pixels of the largest picture whose features are kept; at relu4_1 of VGG19 these take 8 MB."""


class FeatureMemory:
    """The features of at most MOST_PICTURES images at one layer of a network, on the processor."""

    def __init__(self) -> None:
        self._features: OrderedDict[bytes, Tensor] = OrderedDict()

    def find(self, image: Tensor) -> Tensor | None:
        """Return the features of an equal image (1, 3, H, W), not to be written to; None if unknown."""
        if not _is_small(image) or (key := _digest(image)) not in self._features:
            return None
        self._features.move_to_end(key)
        return self._features[key]

    def keep(self, image: Tensor, features: Tensor) -> None:
        """Keep the features of a small image in place of those that were not used for the longest time."""
        if _is_small(image):
            self._features[_digest(image)] = features
            if len(self._features) > MOST_PICTURES:
                self._features.popitem(last=False)


def _is_small(image: Tensor) -> bool:
    """Return whether an image is worth a digest: on a graphics card, computing the features is quicker."""
    return image.device.type == "cpu" and image.shape[-2] * image.shape[-1] <= MOST_PIXELS


def _digest(image: Tensor) -> bytes:
    pixels = hashlib.sha256(image.contiguous().numpy().data)
    pixels.update(repr(tuple(image.shape)).encode())
    return pixels.digest()
