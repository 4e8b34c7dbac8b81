"""The backend's pictures as new layers of GIMP.

Each new layer carries two parasites: the settings that made it, and the tattoo of its source layer. GIMP
keeps a tattoo, the number of a layer within its image, when the image is saved.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from gi.repository import Gimp

from atelier_shared.deferred_translation import N_
from atelier_shared.errors import ProtocolError
from atelier_shared.home import install_command
from atelier_shared.messages import Frame, Picture

from .cutouts import Area, Cutout, ImageKind
from .layer_pixels import OPAQUE, Poll, coding_for, no_poll, slices, write_pixels
from .layer_state import is_in_place
from .output import BLEND_MODE, Output
from .suitability import Unsuitable
from .translation import _

SETTINGS_PARASITE, SOURCE_PARASITE = "atelier-settings", "atelier-source"
OPENED_AS_IMAGE = N_(
    "The layer was deleted, converted, resized, flipped or rotated while the filter was running, so the"
    " result does not fit onto it. It was opened as a new image."
)


class Destination(NamedTuple):
    """The image for new layers, their position and look in it, and the layer to insert them above.

    A new image has no such layer.
    """

    image: Gimp.Image
    x: int
    y: int
    source: Gimp.Layer | None
    output: Output


@contextmanager
def destination_of(cutout: Cutout, output: Output, poll: Poll = no_poll) -> Iterator[Destination]:
    """Yield the place above the cutout's layer, or a new image if that is wanted or nothing fits there.

    A new image is deleted if the block raises.
    """
    layer, box = cutout.layer, cutout.box
    if output.place != "image" and is_in_place(layer, cutout.state, poll):
        _found, x, y = layer.get_offsets()
        yield Destination(layer.get_image(), x + box.x, y + box.y, layer, output)
        return
    with new_image(cutout.kind, box.width, box.height) as image:
        yield Destination(image, 0, 0, None, output)


@contextmanager
def new_image(kind: ImageKind, width: int, height: int) -> Iterator[Gimp.Image]:
    """Yield a new image; delete it if the block raises."""
    image = kind.new_image(width, height)
    try:
        yield image
    except BaseException:
        image.delete()
        raise


def show_image(image: Gimp.Image) -> None:
    """Open a window for a new image, unless GIMP has no windows."""
    if Gimp.default_display():
        Gimp.Display.new(image)


def new_layer(
    destination: Destination, area: Area, picture: Picture, name: str, settings: str, poll: Poll = no_poll
) -> Gimp.Layer:
    """Return a complete layer, not yet in its image; `settings` go into its parasite.

    Raises:
        ProtocolError: the picture does not have the area's size and coding.
    """
    _check_picture(area, picture)
    layer = _empty_layer(destination, area, name)
    try:
        attach_settings(layer, settings)
        if destination.source:
            _attach(layer, SOURCE_PARASITE, _tattoo(destination.source))
        _fill(layer, area, picture, poll)
    except BaseException:
        layer.delete()
        raise
    return layer


def insert(destination: Destination, new: Sequence[Gimp.Layer]) -> None:
    """Insert layers above the source layer and its earlier results, the last one topmost, as one undo step.

    The source layer stays selected: the next run with other settings starts from it, not from the
    result of this run. A new image is shown.

    Raises:
        Unsuitable: GIMP does not insert the layers.
    """
    image, source = destination.image, destination.source
    selected = image.get_selected_layers()
    parent, place = (source.get_parent(), _place_above_results(source)) if source else (None, 0)
    image.undo_group_start()
    inserted = [layer for layer in new if image.insert_layer(layer, parent, place)]
    if len(inserted) < len(new):
        for layer in inserted:
            image.remove_layer(layer)
    if source:
        image.set_selected_layers(selected)
    image.undo_group_end()
    if len(inserted) < len(new):
        raise Unsuitable(_("GIMP could not add the new layer to the image. Run the filter again."))


# ── The place in the image ───────────────────────────────────────────────────────────────────────


def _place_above_results(source: Gimp.Layer) -> int:
    """Return the position of the topmost earlier result of a layer above it, or that of the layer itself."""
    siblings = _siblings(source)[: source.get_image().get_item_position(source)]
    results = (place for place, layer in enumerate(siblings) if _is_result_of(layer, source))
    return next(results, len(siblings))


def _siblings(layer: Gimp.Layer) -> list[Gimp.Layer]:
    """Return all layers beside a layer, itself included, from top to bottom."""
    parent = layer.get_parent()
    return list(parent.get_children() if parent else layer.get_image().get_layers())


def _is_result_of(layer: Gimp.Layer, source: Gimp.Layer) -> bool:
    parasite = layer.get_parasite(SOURCE_PARASITE)
    return parasite is not None and bytes(parasite.get_data()) == _tattoo(source)


def _tattoo(layer: Gimp.Layer) -> bytes:
    return str(layer.get_tattoo()).encode()


def settings_of(layer: Gimp.Layer) -> dict[str, Any]:
    """Return the settings that made a layer; an empty record if a filter of Atelier did not make it."""
    parasite = layer.get_parasite(SETTINGS_PARASITE)
    try:
        recorded = json.loads(bytes(parasite.get_data())) if parasite else {}
    except ValueError:
        return {}
    return recorded if isinstance(recorded, dict) else {}


# ── A layer ──────────────────────────────────────────────────────────────────────────────────────


def _check_picture(area: Area, picture: Picture) -> None:
    expected = (area.box.width, area.box.height, area.coding.channels, area.coding.depth)
    if (picture.width, picture.height, picture.channels, picture.depth) != expected:
        sentence = _("The backend returned a picture of a wrong format. Run '{install}' again.")
        raise ProtocolError(sentence.format(install=install_command()))


def _empty_layer(destination: Destination, area: Area, name: str) -> Gimp.Layer:
    """Return an empty layer of an area's size."""
    image, box, opacity = destination.image, area.box, destination.output.opacity
    layer_type = area.kind.layer_type
    layer = Gimp.Layer.new(image, name, box.width, box.height, layer_type, opacity, _mode(destination))
    layer.set_offsets(destination.x, destination.y)
    return layer


def _mode(destination: Destination) -> Gimp.LayerMode:
    name = destination.output.mode
    if name == BLEND_MODE.default:
        return destination.image.get_default_new_layer_mode()
    return getattr(Gimp.LayerMode, name.upper())


def attach_settings(layer: Gimp.Layer, settings: str) -> None:
    """Store the settings that made a layer in its parasite."""
    _attach(layer, SETTINGS_PARASITE, settings.encode())


def _attach(layer: Gimp.Layer, name: str, data: bytes) -> None:
    flags = Gimp.PARASITE_PERSISTENT | Gimp.PARASITE_UNDOABLE
    layer.attach_parasite(Gimp.Parasite.new(name, flags, data))


def _fill(layer: Gimp.Layer, area: Area, picture: Picture, poll: Poll) -> None:
    """Write the pixels of a layer, and the area's mask if there is one."""
    write_pixels(layer, coding_for(layer, alpha=True).babl, _pixels_with_alpha(picture, poll), poll)
    if area.mask is not None:
        mask = layer.create_mask(Gimp.AddMaskType.WHITE)
        layer.add_mask(mask)
        write_pixels(mask, area.mask.babl, area.mask.pixels, poll)


def _pixels_with_alpha(picture: Picture, poll: Poll) -> Frame:
    """Return a picture's pixels, with an opaque alpha added if it has none.

    babl could add the alpha, but converts 16 bits through a table of the colour space's curve and back.
    This changes values by up to 200 of 65535.
    """
    if picture.channels.endswith("A"):
        return picture.pixels
    opaque, narrow = OPAQUE[picture.depth], picture.pixel_bytes
    wide, pixels = narrow + len(opaque), bytearray()
    for part in slices(len(picture.pixels), narrow):
        source = picture.pixels[part]
        strip = bytearray((bytes(narrow) + opaque) * (len(source) // narrow))
        for i in range(narrow):
            strip[i::wide] = source[i::narrow]
        pixels += strip
        poll()
    return pixels
