"""GIMP's layers as pictures for the backend, and the backend's pictures as new layers.

Pixels travel in the layer's own colour space and, where it is fit, in its own coding: what a filter
leaves alone comes back with the same bits. Large ones are read and written in strips, and whoever asks
may do something in between, such as keep a window alive. Knows nothing of filters, settings or the
wire's state.
"""

from __future__ import annotations

import operator
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from gi.repository import Babl, Gegl, Gimp, Gio

from atelier_shared.deferred_translation import N_
from atelier_shared.errors import AtelierError, ProtocolError
from atelier_shared.messages import MAX_SIDE_PX, Frame, Picture, Region

from .translation import _

STYLE_PX = 1024
PATTERN_PX = 512
PATTERN = "R'G'B'A u8"
PARASITE = "atelier-settings"
LINEAR_MASK = "Y float"
STRIP_PX = 1 << 17
Turn = Callable[[], None]


def at_once() -> None:
    """What is done between two strips where there is nothing to do."""


GONE = N_("The layer was deleted or converted in the meantime: run the filter again.")


class Unsuitable(AtelierError):
    """The filter cannot work on what it was given; the sentence says what to do."""


# ── Coding ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Coding:
    """How pixels are coded: a Picture's channels and depth, and the name of the same babl format."""

    channels: str
    depth: str
    babl: str


STORED_PERCEPTUALLY = {
    Gimp.Precision.U8_NON_LINEAR: ("u8", "'"),
    Gimp.Precision.U8_PERCEPTUAL: ("u8", "~"),
    Gimp.Precision.U16_NON_LINEAR: ("u16", "'"),
    Gimp.Precision.U16_PERCEPTUAL: ("u16", "~"),
}
CONVERTED = ("f32", "~")  # babl's ~ is sRGB's curve, whatever the curve of the colour space
BABL_MODELS = {"Y": "Y{0}", "YA": "Y{0}A", "RGB": "R{0}G{0}B{0}", "RGBA": "R{0}G{0}B{0}A"}
OPAQUE = {"u8": b"\xff", "u16": b"\xff\xff", "f32": array("f", [1.0]).tobytes()}
BABL_TYPES = {"u8": "u8", "u16": "u16", "f32": "float"}


def coding_for(layer: Gimp.Layer, *, alpha: bool) -> Coding:
    """The perceptual coding that loses nothing of a layer, in the layer's colour space.

    It is the layer's own where that is one of 8 or 16 bits along a perceptual curve; light stored
    linearly, floats and 32-bit integers travel as floats.
    """
    image = layer.get_image()
    depth, curve = STORED_PERCEPTUALLY.get(image.get_precision(), CONVERTED)
    if image.get_effective_color_profile().is_linear():
        depth, curve = CONVERTED
    channels = ("Y" if layer.is_gray() else "RGB") + ("A" if alpha else "")
    encoding = f"{BABL_MODELS[channels].format(curve)} {BABL_TYPES[depth]}"
    space = Babl.format_get_space(layer.get_format())
    return Coding(channels, depth, Babl.get_name(Babl.format_with_space(encoding, space)))


def _read(drawable: Gimp.Drawable, box: Region, babl: str, turn: Turn = at_once) -> bytes:
    strips = bytearray()
    for strip in _strips(box):
        if not drawable.is_valid():  # GIMP would kill this process
            raise Unsuitable(_(GONE))
        rectangle = Gegl.Rectangle.new(strip.x, strip.y, strip.width, strip.height)
        strips += drawable.get_buffer().get(rectangle, 1.0, babl, Gegl.AbyssPolicy.NONE)
        turn()
    return bytes(strips)


def _write(drawable: Gimp.Drawable, babl: str, pixels: Frame, turn: Turn = at_once) -> None:
    """Fill a drawable; `pixels` must be of its size, for GEGL ignores any other without a word."""
    whole = Region(0, 0, drawable.get_width(), drawable.get_height())
    stride = len(pixels) // whole.height
    for strip in _strips(whole):
        rectangle = Gegl.Rectangle.new(strip.x, strip.y, strip.width, strip.height)
        buffer = drawable.get_buffer()
        buffer.set(rectangle, babl, bytes(pixels[strip.y * stride : (strip.y + strip.height) * stride]))
        buffer.flush()
        turn()
    drawable.update(whole.x, whole.y, whole.width, whole.height)


def _strips(box: Region) -> Iterator[Region]:
    """A box in pieces of its width, from top to bottom, none much larger than STRIP_PX pixels."""
    height = max(1, STRIP_PX // box.width)
    for y in range(0, box.height, height):
        yield Region(box.x, box.y + y, box.width, min(height, box.height - y))


# ── From GIMP ────────────────────────────────────────────────────────────────────────────────────


def the_layer(image: Gimp.Image, drawables: Sequence[Gimp.Drawable]) -> Gimp.Layer:
    """The one layer that the filter was called on.

    Raises:
        Unsuitable: it is not exactly one, or not one that a filter can read and add a layer above.
    """
    if image.get_base_type() == Gimp.ImageBaseType.INDEXED:
        raise Unsuitable(_("The image is indexed: choose Image ▸ Mode ▸ RGB, then run the filter again."))
    if image.get_floating_sel():
        raise Unsuitable(_("There is a floating selection: anchor it (Ctrl+H), then run the filter again."))
    if len(drawables) != 1:
        sentence = _("The filter works on one layer, and {count} are selected: select one.")
        raise Unsuitable(sentence.format(count=len(drawables)))
    (drawable,) = drawables
    if drawable.is_layer_mask():
        raise Unsuitable(_("A layer mask is being edited: click on the picture beside it, then try again."))
    if not drawable.is_layer():
        raise Unsuitable(_("A channel is selected: select a layer in the Layers dialog instead."))
    if drawable.is_group():
        raise Unsuitable(_("A layer group has no pixels of its own: select a layer in it, or merge it."))
    selected_box(drawable)
    return drawable


def selected_box(layer: Gimp.Layer) -> Region:
    """The box around what is selected of a layer; raises Unsuitable where that is nothing."""
    if not layer.is_valid():
        raise Unsuitable(_(GONE))
    overlap, x, y, width, height = layer.mask_intersect()
    if not overlap:
        raise Unsuitable(_("The selection lies outside the layer: select a part of it, or nothing at all."))
    return Region(x, y, width, height)


@dataclass(frozen=True)
class Mask:
    """How much of every pixel is to be seen, and the name of the babl format that this is coded in."""

    babl: str
    pixels: bytes


@dataclass(frozen=True)
class Cutout:
    """What a filter works on: the box around what is selected of a layer, in the layer's coordinates.

    Where all of the box is to be seen, there is no mask.
    """

    layer: Gimp.Layer
    box: Region
    coding: Coding
    mask: Mask | None


def cut_out(layer: Gimp.Layer, turn: Turn = at_once) -> Cutout:
    """The selected part of a layer as it is now; raises Unsuitable where there is none."""
    box = selected_box(layer)
    return Cutout(layer, box, coding_for(layer, alpha=layer.has_alpha()), _mask(layer, box, turn))


def _mask(layer: Gimp.Layer, box: Region, turn: Turn) -> Mask | None:
    """The soft selection times the layer's own mask: a result must not show what that hides."""
    image = layer.get_image()
    _found, x, y = layer.get_offsets()
    box_in_image = Region(box.x + x, box.y + y, box.width, box.height)
    selection = None if Gimp.Selection.is_empty(image) else image.get_selection()
    own = layer.get_mask() if layer.get_apply_mask() else None
    if selection and own:
        soft = array("f", _read(selection, box_in_image, LINEAR_MASK, turn))
        return Mask(LINEAR_MASK, _product(soft, array("f", _read(own, box, LINEAR_MASK, turn)), turn))
    if selection:
        return _mask_as_stored(selection, box_in_image, turn)
    return _mask_as_stored(own, box, turn) if own else None


def _product(one: array[float], other: array[float], turn: Turn) -> bytes:
    """Two masks multiplied, as many pixels at a time as a strip has."""
    product = array("f")
    for start in range(0, len(one), STRIP_PX):
        strip = slice(start, start + STRIP_PX)
        product.extend(map(operator.mul, one[strip], other[strip]))
        turn()
    return product.tobytes()


def _mask_as_stored(mask: Gimp.Channel, box: Region, turn: Turn) -> Mask:
    babl = Babl.get_name(mask.get_format())
    return Mask(babl, _read(mask, box, babl, turn))


def size_to_send(layer: Gimp.Layer) -> tuple[int, int]:
    """Width and height of what the backend will see of a layer; raises Unsuitable where that is nothing."""
    around = selected_box(layer).with_context(layer.get_width(), layer.get_height())
    return around.width, around.height


def content_of(cutout: Cutout, turn: Turn = at_once) -> tuple[Picture, Region]:
    """The pixels of a cutout with their context, and where in them the cutout lies."""
    box, layer = cutout.box, cutout.layer
    around = box.with_context(layer.get_width(), layer.get_height())
    pixels = _read(layer, around, cutout.coding.babl, turn)
    picture = Picture(around.width, around.height, cutout.coding.channels, cutout.coding.depth, pixels)
    return picture, box.within(around)


# ── Pictures beside the layer: styles and guides ─────────────────────────────────────────────────


def read_picture(
    given: Gio.File | Gimp.Layer | Gimp.Pattern, like: Gimp.Layer, longest_px: int, turn: Turn = at_once
) -> Picture:
    """What is in a file, a layer or a pattern, flat, in the colours of the layer `like`.

    It is made smaller where it is larger than `longest_px`, but not below STYLE_PX. GIMP itself
    converts it to the layer's profile, for babl garbles 8 bits read as 16 of another one.

    Raises:
        Unsuitable: GIMP cannot read a picture from the file, or all of it is hidden.
    """
    if isinstance(given, Gio.File):
        image = _image_of_file(given)
    elif isinstance(given, Gimp.Pattern):
        image = _image_of_pattern(given)
    else:
        image = _image_of_layer(given, like.get_image())
    try:
        turn()
        _shrink(image, max(STYLE_PX, longest_px))
        turn()
        _convert(image, like.get_image())
        turn()
        flat = image.merge_visible_layers(Gimp.MergeType.CLIP_TO_IMAGE)
        if flat is None:
            sentence = _("Nothing of {name} is visible: show a layer of it, or choose another picture.")
            raise Unsuitable(sentence.format(name=name_of(given)))
        coding = coding_for(flat, alpha=flat.has_alpha())
        width, height = flat.get_width(), flat.get_height()
        pixels = _read(flat, Region(0, 0, width, height), coding.babl, turn)
        return Picture(width, height, coding.channels, coding.depth, pixels)
    finally:
        image.delete()


def name_of(given: Gio.File | Gimp.Layer | Gimp.Pattern) -> str:
    """What a person calls a file, a layer or a pattern."""
    return PurePath(given.get_basename()).stem if isinstance(given, Gio.File) else str(given.get_name())


def place_of(given: Gio.File | Gimp.Layer | Gimp.Pattern) -> str:
    """Where a file is, as a URI; the name of anything else."""
    return str(given.get_uri()) if isinstance(given, Gio.File) else name_of(given)


def _image_of_file(file: Gio.File) -> Gimp.Image:
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file)
    if image is None:
        sentence = _("GIMP cannot read a picture from {name}: choose another one.")
        raise Unsuitable(sentence.format(name=file.get_parse_name()))
    return image


def _image_of_layer(layer: Gimp.Layer, own: Gimp.Image) -> Gimp.Image:
    """A copy of a layer alone; of an image other than our own, only what is selected shows."""
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
        _hide_outside(copy, source.get_selection(), layer)
    return image


def _hide_outside(copy: Gimp.Layer, selection: Gimp.Selection, layer: Gimp.Layer) -> None:
    """Mask a copy of a layer with what is selected of the layer; its own mask becomes part of its alpha."""
    if copy.get_mask():
        copy.remove_mask(Gimp.MaskApplyMode.APPLY)
    _found, x, y = layer.get_offsets()
    box = Region(x, y, layer.get_width(), layer.get_height())
    mask = copy.create_mask(Gimp.AddMaskType.WHITE)
    copy.add_mask(mask)
    _write(mask, LINEAR_MASK, _read(selection, box, LINEAR_MASK))


def _image_of_pattern(pattern: Gimp.Pattern) -> Gimp.Image:
    """A pattern, repeated until it is PATTERN_PX large."""
    buffer = pattern.get_buffer(MAX_SIDE_PX, MAX_SIDE_PX, Babl.format(PATTERN))
    extent = buffer.get_extent()
    pixels = buffer.get(extent, 1.0, PATTERN, Gegl.AbyssPolicy.NONE)
    across, down = -(-PATTERN_PX // extent.width), -(-PATTERN_PX // extent.height)
    stride = 4 * extent.width
    rows = [pixels[i : i + stride] * across for i in range(0, len(pixels), stride)]
    width, height = across * extent.width, down * extent.height
    image = Gimp.Image.new(width, height, Gimp.ImageBaseType.RGB)
    kind, mode = Gimp.ImageType.RGBA_IMAGE, Gimp.LayerMode.NORMAL
    layer = Gimp.Layer.new(image, "", width, height, kind, 100.0, mode)
    image.insert_layer(layer, None, 0)
    _write(layer, PATTERN, b"".join(rows) * down)
    return image


def _shrink(image: Gimp.Image, longest_px: int) -> None:
    """Scale an image down to a longest side; a GEGL buffer of GIMP's, read at a scale, gives zeros."""
    width, height = image.get_width(), image.get_height()
    scale = longest_px / max(width, height)
    if scale < 1:
        image.scale(max(1, round(width * scale)), max(1, round(height * scale)))


def _convert(image: Gimp.Image, like: Gimp.Image) -> None:
    """Give an image the colour model, the precision and the profile of another one."""
    if image.get_base_type() != like.get_base_type():
        to_gray = like.get_base_type() == Gimp.ImageBaseType.GRAY
        (image.convert_grayscale if to_gray else image.convert_rgb)()
    if image.get_precision() != like.get_precision():
        image.convert_precision(like.get_precision())
    profile = like.get_effective_color_profile()
    image.convert_color_profile(profile, Gimp.ColorRenderingIntent.RELATIVE_COLORIMETRIC, True)


# ── Into GIMP ────────────────────────────────────────────────────────────────────────────────────


def new_layer(cutout: Cutout, picture: Picture, name: str, settings: str, turn: Turn = at_once) -> Gimp.Layer:
    """A picture of a cutout as a layer with `settings` in a parasite, finished but in no image yet.

    Raises:
        Unsuitable: the source is gone or was converted.
        ProtocolError: the picture is not of the cutout's size and coding.
    """
    _check_source(cutout)
    box, coding = cutout.box, cutout.coding
    made = (picture.width, picture.height, picture.channels, picture.depth)
    if made != (box.width, box.height, coding.channels, coding.depth):
        raise ProtocolError(_("The backend made a picture of another kind: run 'python3 install.py' again."))
    layer = _named_layer(cutout, name, settings)
    try:
        _fill(layer, cutout, picture, turn)
    except BaseException:
        layer.delete()
        raise
    return layer


def insert(cutout: Cutout, new: Sequence[Gimp.Layer]) -> None:
    """Insert finished layers above the source, the last one topmost, as one step to undo.

    The source stays selected: to run a filter again is to try other settings on it, not on their
    last result.

    Raises:
        Unsuitable: the source is gone or was converted, or the image does not take the layers.
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
        raise Unsuitable(_("GIMP could not add the new layer to the image: run the filter again."))


def _check_source(cutout: Cutout) -> None:
    source = cutout.layer
    if not source.is_valid() or coding_for(source, alpha=source.has_alpha()) != cutout.coding:
        raise Unsuitable(_(GONE))


def _named_layer(cutout: Cutout, name: str, settings: str) -> Gimp.Layer:
    """An empty layer for a cutout, in its place."""
    image, box = cutout.layer.get_image(), cutout.box
    kind = Gimp.ImageType.GRAYA_IMAGE if cutout.layer.is_gray() else Gimp.ImageType.RGBA_IMAGE
    mode = image.get_default_new_layer_mode()
    layer = Gimp.Layer.new(image, name, box.width, box.height, kind, 100.0, mode)
    _found, x, y = cutout.layer.get_offsets()
    layer.set_offsets(x + box.x, y + box.y)
    flags = Gimp.PARASITE_PERSISTENT | Gimp.PARASITE_UNDOABLE
    layer.attach_parasite(Gimp.Parasite.new(PARASITE, flags, settings.encode()))
    return layer


def _fill(layer: Gimp.Layer, cutout: Cutout, picture: Picture, turn: Turn) -> None:
    """Give a layer its pixels, and a mask where the cutout has one."""
    _write(layer, coding_for(layer, alpha=True).babl, _pixels_with_alpha(picture, turn), turn)
    if cutout.mask is not None:
        mask = layer.create_mask(Gimp.AddMaskType.WHITE)
        layer.add_mask(mask)
        _write(mask, cutout.mask.babl, cutout.mask.pixels, turn)


def _pixels_with_alpha(picture: Picture, turn: Turn) -> Frame:
    """The pixels of a picture, with an opaque alpha where it has none.

    babl could add that too, but it takes 16 bits through a table of a colour space's curve and back,
    which leaves them up to 200 of 65535 beside where they were.
    """
    if picture.channels.endswith("A"):
        return picture.pixels
    opaque, narrow = OPAQUE[picture.depth], picture.pixel_bytes
    wide, pixels = narrow + len(opaque), bytearray()
    for start in range(0, len(picture.pixels), narrow * STRIP_PX):
        source = picture.pixels[start : start + narrow * STRIP_PX]
        strip = bytearray((bytes(narrow) + opaque) * (len(source) // narrow))
        for i in range(narrow):
            strip[i::wide] = source[i::narrow]
        pixels += strip
        turn()
    return pixels
