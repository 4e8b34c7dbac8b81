"""Style and guide pictures, read from files, layers and patterns."""

from __future__ import annotations

from pathlib import PurePath
from typing import TypeAlias

from gi.repository import Babl, Gegl, Gimp, Gio, GLib

from atelier_shared.messages import MAX_SIDE_PX, Picture, Region

from .layer_pixels import Poll, coding_for, no_poll, read_pixels, write_pixels
from .masks import LINEAR_MASK
from .suitability import Unsuitable
from .translation import _

LEAST_PX = 1024
"""Longest side below which no picture is scaled down."""
PATTERN_PX = 512
PATTERN_FORMAT = "R'G'B'A u8"

SourcePicture: TypeAlias = Gio.File | Gimp.Layer | Gimp.Pattern


def read_picture(source: SourcePicture, like: Gimp.Layer, longest_px: int, poll: Poll = no_poll) -> Picture:
    """Read a flattened picture in the colour space and coding of the layer `like`.

    A picture larger than `longest_px` and LEAST_PX is scaled down to the larger of the two. GIMP
    converts it to the layer's profile, because babl garbles 8 bits read as 16 bits of another profile.

    Raises:
        Unsuitable: GIMP cannot read a picture from the file, or no layer of it is visible.
    """
    image = _image_of(source, like.get_image())
    try:
        poll()
        _shrink(image, max(LEAST_PX, longest_px))
        poll()
        _convert(image, like.get_image())
        poll()
        return _flattened(image, name_of(source), poll)
    finally:
        image.delete()


def name_of(source: SourcePicture) -> str:
    """Return the user's name for a file, a layer or a pattern, as valid Unicode.

    The name of a file can be any bytes; GIMP refuses other text than UTF-8 as a layer's name.
    """
    if isinstance(source, Gio.File):
        return PurePath(GLib.filename_display_name(source.get_basename())).stem
    return str(source.get_name())


def place_of(source: SourcePicture) -> str:
    """Return the URI of a file; the name of a layer or a pattern."""
    return str(source.get_uri()) if isinstance(source, Gio.File) else name_of(source)


# ── Into a temporary image ───────────────────────────────────────────────────────────────────────


def _image_of(source: SourcePicture, own: Gimp.Image) -> Gimp.Image:
    """Return a new image of a source picture; `own` is the image of the filter's layer."""
    if isinstance(source, Gio.File):
        return _image_of_file(source)
    return _image_of_pattern(source) if isinstance(source, Gimp.Pattern) else _image_of_layer(source, own)


def _image_of_file(file: Gio.File) -> Gimp.Image:
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file)
    if image is None:
        sentence = _("GIMP cannot open {name} as a picture. Choose another file.")
        raise Unsuitable(sentence.format(name=file.get_parse_name()))
    return image


def _image_of_layer(layer: Gimp.Layer, own: Gimp.Image) -> Gimp.Image:
    """Copy a layer alone; from an image other than `own`, only the selected part is visible."""
    source, indexed = layer.get_image(), Gimp.ImageBaseType.INDEXED
    base = Gimp.ImageBaseType.RGB if source.get_base_type() == indexed else source.get_base_type()
    image = Gimp.Image.new_with_precision(layer.get_width(), layer.get_height(), base, source.get_precision())
    image.set_color_profile(source.get_effective_color_profile())
    copy = Gimp.Layer.new_from_drawable(layer, image)
    image.insert_layer(copy, None, 0)
    copy.set_offsets(0, 0)
    copy.set_visible(True)
    copy.set_opacity(100.0)
    copy.set_mode(Gimp.LayerMode.NORMAL)
    if source.get_id() != own.get_id() and not Gimp.Selection.is_empty(source):
        _hide_unselected(copy, source.get_selection(), layer)
    return image


def _hide_unselected(copy: Gimp.Layer, selection: Gimp.Selection, layer: Gimp.Layer) -> None:
    """Mask the copy of a layer with the selection in the layer; merge the layer's own mask into alpha."""
    if copy.get_mask():
        copy.remove_mask(Gimp.MaskApplyMode.APPLY)
    _found, x, y = layer.get_offsets()
    box = Region(x, y, layer.get_width(), layer.get_height())
    mask = copy.create_mask(Gimp.AddMaskType.WHITE)
    copy.add_mask(mask)
    write_pixels(mask, LINEAR_MASK, read_pixels(selection, box, LINEAR_MASK))


def _image_of_pattern(pattern: Gimp.Pattern) -> Gimp.Image:
    """Repeat a pattern until both sides are at least PATTERN_PX."""
    buffer = pattern.get_buffer(MAX_SIDE_PX, MAX_SIDE_PX, Babl.format(PATTERN_FORMAT))
    extent = buffer.get_extent()
    pixels = buffer.get(extent, 1.0, PATTERN_FORMAT, Gegl.AbyssPolicy.NONE)
    across, down = -(-PATTERN_PX // extent.width), -(-PATTERN_PX // extent.height)
    stride = 4 * extent.width
    rows = [pixels[i : i + stride] * across for i in range(0, len(pixels), stride)]
    width, height = across * extent.width, down * extent.height
    image = Gimp.Image.new(width, height, Gimp.ImageBaseType.RGB)
    kind, mode = Gimp.ImageType.RGBA_IMAGE, Gimp.LayerMode.NORMAL
    layer = Gimp.Layer.new(image, "", width, height, kind, 100.0, mode)
    image.insert_layer(layer, None, 0)
    write_pixels(layer, PATTERN_FORMAT, b"".join(rows) * down)
    return image


# ── Into a picture for the backend ───────────────────────────────────────────────────────────────


def _shrink(image: Gimp.Image, longest_px: int) -> None:
    """Scale an image down to a longest side.

    GIMP scales it, because a GEGL buffer of GIMP's that is read at a smaller scale contains only zeros.
    """
    width, height = image.get_width(), image.get_height()
    scale = longest_px / max(width, height)
    if scale < 1:
        image.scale(max(1, round(width * scale)), max(1, round(height * scale)))


def _convert(image: Gimp.Image, like: Gimp.Image) -> None:
    """Give an image the colour model, the precision and the profile of the image `like`."""
    if image.get_base_type() != like.get_base_type():
        to_gray = like.get_base_type() == Gimp.ImageBaseType.GRAY
        (image.convert_grayscale if to_gray else image.convert_rgb)()
    if image.get_precision() != like.get_precision():
        image.convert_precision(like.get_precision())
    profile = like.get_effective_color_profile()
    image.convert_color_profile(profile, Gimp.ColorRenderingIntent.RELATIVE_COLORIMETRIC, True)


def _flattened(image: Gimp.Image, name: str, poll: Poll) -> Picture:
    """Merge the visible layers of an image, and read the pixels."""
    flat = image.merge_visible_layers(Gimp.MergeType.CLIP_TO_IMAGE)
    if flat is None:
        sentence = _("No layer of {name} is visible. Make a layer visible, or choose another picture.")
        raise Unsuitable(sentence.format(name=name))
    coding = coding_for(flat, alpha=flat.has_alpha())
    width, height = flat.get_width(), flat.get_height()
    pixels = read_pixels(flat, Region(0, 0, width, height), coding.babl, poll)
    return coding.picture(width, height, pixels)
