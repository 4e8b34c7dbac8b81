"""Masks of cutouts: the soft selection, the layer's own mask, or their product."""

from __future__ import annotations

import operator
from array import array
from dataclasses import dataclass

from gi.repository import Babl, Gimp

from atelier_shared.messages import Region

from .layer_pixels import Poll, read_pixels, slices

LINEAR_MASK = "Y float"


@dataclass(frozen=True)
class CutoutMask:
    """The visibility of every pixel of a cutout, in the babl format `babl`."""

    babl: str
    pixels: bytes


def mask_of(layer: Gimp.Layer, box: Region, poll: Poll) -> CutoutMask | None:
    """Return the soft selection times the layer's own mask in a box of the layer; None without either.

    The layer's own mask counts because a result must not show pixels hidden by it.
    """
    image = layer.get_image()
    _found, x, y = layer.get_offsets()
    box_in_image = Region(box.x + x, box.y + y, box.width, box.height)
    selection = None if Gimp.Selection.is_empty(image) else image.get_selection()
    own = layer.get_mask() if layer.get_apply_mask() else None
    if selection and own:
        soft = array("f", read_pixels(selection, box_in_image, LINEAR_MASK, poll))
        hiding = array("f", read_pixels(own, box, LINEAR_MASK, poll))
        return CutoutMask(LINEAR_MASK, _product(soft, hiding, poll))
    if selection:
        return _mask_as_stored(selection, box_in_image, poll)
    return _mask_as_stored(own, box, poll) if own else None


def selection_mask(image: Gimp.Image, box: Region, poll: Poll) -> CutoutMask | None:
    """Return the soft selection in a box of the canvas; None if nothing is selected."""
    return None if Gimp.Selection.is_empty(image) else _mask_as_stored(image.get_selection(), box, poll)


def _product(one: array[float], other: array[float], poll: Poll) -> bytes:
    """Multiply two masks."""
    product = array("f")
    for part in slices(len(one)):
        product.extend(map(operator.mul, one[part], other[part]))
        poll()
    return product.tobytes()


def _mask_as_stored(mask: Gimp.Channel, box: Region, poll: Poll) -> CutoutMask:
    """Read a mask in its own format, and so without loss."""
    babl = Babl.get_name(mask.get_format())
    return CutoutMask(babl, read_pixels(mask, box, babl, poll))
