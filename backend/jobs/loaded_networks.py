"""The networks loaded last, kept for the next job."""

from __future__ import annotations

import functools

from ..networks import registry

feature_network = functools.lru_cache(maxsize=3)(registry.load_network)
decoder = functools.lru_cache(maxsize=1)(registry.load_decoder)
gallery_painter = functools.lru_cache(maxsize=1)(registry.load_gallery)
light_networks = functools.lru_cache(maxsize=1)(registry.load_light)


def forget() -> None:
    """Release the networks, to free their memory."""
    for loader in (feature_network, decoder, gallery_painter, light_networks):
        loader.cache_clear()
