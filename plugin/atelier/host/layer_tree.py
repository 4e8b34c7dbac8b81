"""The layers of an image, with those in groups."""

from __future__ import annotations

from collections.abc import Iterator

from gi.repository import Gimp


def layers_in(parent: Gimp.Image | Gimp.GroupLayer) -> Iterator[Gimp.Layer]:
    """Yield all layers of an image or group, including nested ones, from top to bottom."""
    for layer in parent.get_layers() if isinstance(parent, Gimp.Image) else parent.get_children():
        yield layer
        if layer.is_group():
            yield from layers_in(layer)
