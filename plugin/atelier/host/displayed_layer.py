"""Layers as GIMP displays them: with their layer effects, GIMP's non-destructive filters, applied."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gi.repository import Gimp

from .layer_tree import layers_in
from .suitability import LAYER_CHANGED, Unsuitable
from .translation import _


@contextmanager
def displayed(layer: Gimp.Layer) -> Iterator[Gimp.Layer]:
    """Yield the layer itself, or its twin with merged effects, in a temporary copy of the image.

    The buffer of a layer with effects contains the pixels before the effects. An effect such as a shadow
    enlarges the layer, so the twin can have another size and other offsets.

    Raises:
        Unsuitable: the layer was deleted.
    """
    if not layer.is_valid():
        raise Unsuitable(_(LAYER_CHANGED))
    if not any(effect.get_visible() for effect in layer.get_filters()):
        yield layer
        return
    image = layer.get_image()
    copy = image.duplicate()
    try:
        twin = list(layers_in(copy))[list(layers_in(image)).index(layer)]
        twin.merge_filters()
        yield twin
    finally:
        copy.delete()
