"""The size of tiles on a graphics card: as large as half of its free memory permits.

Larger tiles are better, because their halos, which are computed twice, are a smaller share. On the processor,
tiles have a fixed size: its memory is shared with the whole system.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..compat import devices
from ..imaging.resize import size_of
from .feature_network import FeatureNetwork

MEMORY_SHARE, MOST_BYTES = 0.5, 6 << 30
"""Share of the free memory for a tile, and the most: the optimizer and other programs need memory, too."""
BYTES_PER_SAVED_BYTE = 1.5
"""The peak in proportion to what autograd saves: the backward pass adds a few gradients and a workspace."""
PROBE_PX, LEAST_PX = 256, 128


def tile_px(network: FeatureNetwork, layers: Sequence[str], image: Tensor, usual_px: int) -> int:
    """Return the longest side of tiles of an image (1, 3, H, W) without their halo.

    It is `usual_px` on the processor. On a graphics card a picture that fits is a single tile.

    Args:
        network: computes the features and their gradients.
        layers: names of its layers.
        image: the picture, on the device.
        usual_px: the side where the free memory is unknown.
    """
    free = devices.free_bytes(image.device)
    if free is None:
        return usual_px
    budget = min(MEMORY_SHARE * free, MOST_BYTES)
    pixels = int(budget / (BYTES_PER_SAVED_BYTE * saved_bytes_per_pixel(network, layers, image)))
    height, width = size_of(image)
    if height * width <= pixels:
        return max(height, width)
    return max(LEAST_PX, math.isqrt(pixels) - 2 * network.halo_px(layers))


def saved_bytes_per_pixel(network: FeatureNetwork, layers: Sequence[str], image: Tensor) -> float:
    """Return the memory that autograd saves for the gradient, per pixel, with images like `image`."""
    side = max(PROBE_PX, network.minimum_px)
    probe = image.new_zeros(1, 3, side, side).requires_grad_()
    own = {tensor.untyped_storage().data_ptr() for tensor in network.state_dict(keep_vars=True).values()}
    saved: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        features = network.features(probe, layers)
    del features  # until here the saved storages are alive, so that no address occurs twice
    return sum(saved.values()) / side**2
