"""The backend's pictures as new layers of GIMP."""

from __future__ import annotations

from collections.abc import Sequence

from gi.repository import Gimp

from atelier_shared.errors import ProtocolError
from atelier_shared.messages import Frame, Picture

from .cutouts import Cutout
from .layer_pixels import OPAQUE, Poll, coding_for, no_poll, slices, write_pixels
from .suitability import LAYER_CHANGED, Unsuitable
from .translation import _

PARASITE = "atelier-settings"


def new_layer(cutout: Cutout, picture: Picture, name: str, settings: str, poll: Poll = no_poll) -> Gimp.Layer:
    """Return a complete layer for a cutout, not yet in an image; `settings` go into its parasite.

    Raises:
        Unsuitable: the cutout's layer was deleted or converted.
        ProtocolError: the picture does not have the cutout's size and coding.
    """
    _check_source(cutout)
    _check_picture(cutout, picture)
    layer = _empty_layer(cutout, name, settings)
    try:
        _fill(layer, cutout, picture, poll)
    except BaseException:
        layer.delete()
        raise
    return layer


def insert(cutout: Cutout, new: Sequence[Gimp.Layer]) -> None:
    """Insert layers above the cutout's layer, the last one topmost, as one undo step.

    The cutout's layer stays selected: the next run with other settings starts from it, not from the
    result of this run.

    Raises:
        Unsuitable: the cutout's layer was deleted or converted, or GIMP does not insert the layers.
    """
    _check_source(cutout)
    source = cutout.layer
    image, parent = source.get_image(), source.get_parent()
    selected, place = image.get_selected_layers(), image.get_item_position(source)
    image.undo_group_start()
    inserted = [layer for layer in new if image.insert_layer(layer, parent, place)]
    if len(inserted) < len(new):
        for layer in inserted:
            image.remove_layer(layer)
    image.set_selected_layers(selected)
    image.undo_group_end()
    if len(inserted) < len(new):
        raise Unsuitable(_("GIMP could not add the new layer to the image. Run the filter again."))


def _check_source(cutout: Cutout) -> None:
    source = cutout.layer
    if not source.is_valid() or coding_for(source, alpha=source.has_alpha()) != cutout.coding:
        raise Unsuitable(_(LAYER_CHANGED))


def _check_picture(cutout: Cutout, picture: Picture) -> None:
    expected = (cutout.box.width, cutout.box.height, cutout.coding.channels, cutout.coding.depth)
    if (picture.width, picture.height, picture.channels, picture.depth) != expected:
        sentence = _("The backend returned a picture of a wrong format. Run 'python3 install.py' again.")
        raise ProtocolError(sentence)


def _empty_layer(cutout: Cutout, name: str, settings: str) -> Gimp.Layer:
    """Return an empty layer of a cutout's size and place."""
    image, box = cutout.layer.get_image(), cutout.box
    kind = Gimp.ImageType.GRAYA_IMAGE if cutout.layer.is_gray() else Gimp.ImageType.RGBA_IMAGE
    mode = image.get_default_new_layer_mode()
    layer = Gimp.Layer.new(image, name, box.width, box.height, kind, 100.0, mode)
    _found, x, y = cutout.layer.get_offsets()
    layer.set_offsets(x + box.x, y + box.y)
    flags = Gimp.PARASITE_PERSISTENT | Gimp.PARASITE_UNDOABLE
    layer.attach_parasite(Gimp.Parasite.new(PARASITE, flags, settings.encode()))
    return layer


def _fill(layer: Gimp.Layer, cutout: Cutout, picture: Picture, poll: Poll) -> None:
    """Write the pixels of a layer, and the cutout's mask if there is one."""
    write_pixels(layer, coding_for(layer, alpha=True).babl, _pixels_with_alpha(picture, poll), poll)
    if cutout.mask is not None:
        mask = layer.create_mask(Gimp.AddMaskType.WHITE)
        layer.add_mask(mask)
        write_pixels(mask, cutout.mask.babl, cutout.mask.pixels, poll)


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
