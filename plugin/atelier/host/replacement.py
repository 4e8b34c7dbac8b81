"""The backend's picture in place of a layer's own pixels."""

from __future__ import annotations

from gi.repository import Gegl, Gimp

from atelier_shared.deferred_translation import N_
from atelier_shared.messages import Picture

from .cutouts import Cutout
from .layer_pixels import Poll, no_poll
from .layer_state import is_in_place

NOT_REPLACED = N_("The layer is locked, so the result is a new layer above it.")


def replace_pixels(cutout: Cutout, picture: Picture, poll: Poll = no_poll) -> bool:
    """Write a picture into the cutout's layer, through the selection, as one undo step.

    Layer effects are merged first, because the picture was made from the layer with its effects. Return
    False, with the layer unchanged, if it is locked or the picture no longer fits.
    """
    layer = cutout.layer
    if not is_in_place(layer, cutout.state, poll) or is_locked(layer):
        return False
    image = layer.get_image()
    image.undo_group_start()
    try:
        is_done = _write(cutout, picture)
    finally:
        image.undo_group_end()
    return is_done


def _write(cutout: Cutout, picture: Picture) -> bool:
    layer = cutout.layer
    _found, left, top = layer.get_offsets()
    if any(effect.get_visible() for effect in layer.get_filters()):
        layer.merge_filters()  # this can move the layer's corner
    _found, x, y = layer.get_offsets()
    box = cutout.box.moved(left - x, top - y)
    if hasattr(layer, "is_link_layer") and layer.is_link_layer():  # GIMP 3.2
        layer.rasterize()
    shadow = layer.get_shadow_buffer()
    rectangle = Gegl.Rectangle.new(box.x, box.y, box.width, box.height)
    shadow.set(rectangle, cutout.coding.babl, bytes(picture.pixels))
    shadow.flush()
    del shadow  # GIMP merges it only when it is released
    is_done = bool(layer.merge_shadow(True))
    layer.update(0, 0, layer.get_width(), layer.get_height())
    return is_done


def is_locked(item: Gimp.Item) -> bool:
    """Return whether the pixels of an item, or of a group around it, are locked."""
    parent = item.get_parent()
    return bool(item.get_lock_content()) or (parent is not None and is_locked(parent))
