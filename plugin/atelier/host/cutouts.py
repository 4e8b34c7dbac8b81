"""Cutouts of layers: the part of a layer replaced by a filter, and the pixels around it."""

from __future__ import annotations

from dataclasses import dataclass

from gi.repository import Gimp

from atelier_shared.messages import Picture, Region

from .layer_pixels import Coding, Poll, coding_for, no_poll, read_pixels
from .masks import CutoutMask, mask_of
from .suitability import selected_box


@dataclass(frozen=True)
class Cutout:
    """The bounding box of the selection within a layer, in the layer's coordinates.

    `mask` is None where the whole box is visible.
    """

    layer: Gimp.Layer
    box: Region
    coding: Coding
    mask: CutoutMask | None


def cut_out(layer: Gimp.Layer, poll: Poll = no_poll) -> Cutout:
    """Return the selected part of a layer as it is now.

    Raises:
        Unsuitable: the layer is gone, or the selection does not overlap it.
    """
    box = selected_box(layer)
    return Cutout(layer, box, coding_for(layer, alpha=layer.has_alpha()), mask_of(layer, box, poll))


def size_to_send(layer: Gimp.Layer) -> tuple[int, int]:
    """Return width and height of the content sent to the backend; raises Unsuitable like `cut_out`."""
    around = selected_box(layer).with_context(layer.get_width(), layer.get_height())
    return around.width, around.height


def content_of(cutout: Cutout, poll: Poll = no_poll) -> tuple[Picture, Region]:
    """Read a cutout with its context; return the picture and the cutout's place in it."""
    box, layer = cutout.box, cutout.layer
    around = box.with_context(layer.get_width(), layer.get_height())
    pixels = read_pixels(layer, around, cutout.coding.babl, poll)
    picture = Picture(around.width, around.height, cutout.coding.channels, cutout.coding.depth, pixels)
    return picture, box.within(around)
