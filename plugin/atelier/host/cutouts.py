"""Cutouts of layers: the part of a layer replaced by a filter, and the pixels around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gi.repository import Gimp

from atelier_shared.messages import Picture, Region

from .displayed_layer import displayed
from .layer_pixels import Coding, Poll, coding_for, no_poll, read_pixels
from .layer_state import LayerState, state_of
from .masks import CutoutMask, mask_of, selection_mask
from .suitability import selected_box, selected_box_of_canvas


class ImageKind(NamedTuple):
    """The properties of an image needed to make another one like it; no profile means sRGB."""

    base: Gimp.ImageBaseType
    precision: Gimp.Precision
    profile: Gimp.ColorProfile | None

    @property
    def layer_type(self) -> Gimp.ImageType:
        """The type of a layer with alpha."""
        is_gray = self.base == Gimp.ImageBaseType.GRAY
        return Gimp.ImageType.GRAYA_IMAGE if is_gray else Gimp.ImageType.RGBA_IMAGE

    def new_image(self, width: int, height: int) -> Gimp.Image:
        """Return a new image of this kind."""
        image = Gimp.Image.new_with_precision(width, height, self.base, self.precision)
        if self.profile:
            image.set_color_profile(self.profile)
        return image


def kind_of(image: Gimp.Image) -> ImageKind:
    """Return the kind of an image."""
    return ImageKind(image.get_base_type(), image.get_precision(), image.get_color_profile())


@dataclass(frozen=True)
class Area:
    """The part of a layer, or of the canvas, that a filter replaces.

    Attributes:
        kind: the kind of the image.
        box: bounding box of the selection within the layer, in the layer's coordinates. Effects can
            enlarge it beyond the layer.
        coding: the pixel format of the content.
        mask: the visibility of each pixel; None where the whole box is visible.
    """

    kind: ImageKind
    box: Region
    coding: Coding
    mask: CutoutMask | None


@dataclass(frozen=True)
class Cutout(Area):
    """The part of a layer that a filter replaces, as it was when the run began.

    Attributes:
        layer: the layer; it may change during the run.
        state: the layer's state at the beginning.
    """

    layer: Gimp.Layer
    state: LayerState


def cut_out(layer: Gimp.Layer, poll: Poll = no_poll) -> tuple[Cutout, Picture, Region]:
    """Return the selected part of a layer, its pixels with their context, and its place among these.

    Raises:
        Unsuitable: the layer is gone, or the selection does not overlap it.
    """
    with displayed(layer) as source:
        box = selected_box(source)
        coding = coding_for(source, alpha=source.has_alpha())
        around = box.with_context(source.get_width(), source.get_height())
        pixels = read_pixels(source, around, coding.babl, poll)
        box_in_layer = box.moved(*_offset_from(layer, source))
    kind, mask = kind_of(layer.get_image()), mask_of(layer, box_in_layer, poll)
    cutout = Cutout(kind, box_in_layer, coding, mask, layer, state_of(layer, poll))
    content = coding.picture(around.width, around.height, pixels)
    return cutout, content, box.within(around)


def size_to_send(layer: Gimp.Layer) -> tuple[int, int]:
    """Return width and height of the content sent to the backend; raises Unsuitable like `cut_out`."""
    around = selected_box(layer).with_context(layer.get_width(), layer.get_height())
    return around.width, around.height


def area_of_canvas(layer: Gimp.Layer, poll: Poll = no_poll) -> Area:
    """Return the selected part of the canvas on which a layer lies, in a coding with alpha."""
    image, coding = layer.get_image(), coding_for(layer, alpha=True)
    box = selected_box_of_canvas(image)
    return Area(kind_of(image), box, coding, selection_mask(image, box, poll))


def canvas_size_to_send(image: Gimp.Image) -> tuple[int, int]:
    """Return width and height of the content sent for each frame of an animation."""
    around = selected_box_of_canvas(image).with_context(image.get_width(), image.get_height())
    return around.width, around.height


def _offset_from(layer: Gimp.Layer, source: Gimp.Layer) -> tuple[int, int]:
    """Return the position of `source` relative to `layer`."""
    _found, left, top = layer.get_offsets()
    _found, x, y = source.get_offsets()
    return x - left, y - top
