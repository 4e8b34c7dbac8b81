"""Frames as GIMP's playback shows them: all layers up to a frame, blended and cut to the canvas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gi.repository import Gimp

from atelier_shared.messages import Picture, Region

from .cutouts import kind_of
from .displayed_layer import displayed
from .frame_layers import is_combined
from .layer_pixels import Poll, coding_for, read_pixels, write_pixels
from .suitability import LAYER_CHANGED, Unsuitable
from .translation import _


def frame_pictures(layers: Sequence[Gimp.Layer], poll: Poll) -> Iterator[Picture]:
    """Yield the picture of each frame, of the canvas' size and with alpha, read when it is asked for.

    Raises:
        Unsuitable: a layer was deleted.
    """
    picture: Picture | None = None
    for layer in layers:
        if not layer.is_valid():
            raise Unsuitable(_(LAYER_CHANGED))
        picture = _picture_of(layer, picture if is_combined(layer) else None, poll)
        yield picture


def _picture_of(layer: Gimp.Layer, below: Picture | None, poll: Poll) -> Picture:
    """Merge a layer with the picture below it, in a temporary image."""
    source = layer.get_image()
    kind, width, height = kind_of(source), source.get_width(), source.get_height()
    image = kind.new_image(width, height)
    try:
        canvas = insert_canvas(image)
        coding = coding_for(canvas, alpha=True)
        if below:
            write_pixels(canvas, coding.babl, below.pixels, poll)
        insert_copy(layer, image)
        flat = image.merge_visible_layers(Gimp.MergeType.CLIP_TO_IMAGE)
        pixels = read_pixels(flat, Region(0, 0, width, height), coding.babl, poll)
    finally:
        image.delete()
    return coding.picture(width, height, pixels)


def insert_canvas(image: Gimp.Image) -> Gimp.Layer:
    """Insert a transparent layer of the image's size above the others, and return it."""
    kind, width, height = kind_of(image).layer_type, image.get_width(), image.get_height()
    canvas = Gimp.Layer.new(image, "", width, height, kind, 100.0, Gimp.LayerMode.NORMAL)
    image.insert_layer(canvas, None, 0)
    canvas.fill(Gimp.FillType.TRANSPARENT)
    return canvas


def insert_copy(layer: Gimp.Layer, image: Gimp.Image) -> None:
    """Insert a visible copy of a layer, as GIMP displays it, above the others of another image.

    Raises:
        Unsuitable: the layer was deleted.
    """
    with displayed(layer) as shown:
        _found, x, y = shown.get_offsets()
        copy = Gimp.Layer.new_from_drawable(shown, image)
    image.insert_layer(copy, None, 0)
    copy.set_offsets(x, y)
    copy.set_visible(True)
