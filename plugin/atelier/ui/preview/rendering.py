"""What a preview is made of: a layer's selected part, small or a detail of it, as GIMP itself makes it small.

All pixels are in sRGB and of 8 bits, whatever the layer's are. Knows nothing of requests or of windows.
"""

from __future__ import annotations

from dataclasses import dataclass

from gi.repository import Babl, GdkPixbuf, Gegl, Gimp, GLib

from atelier_shared.messages import Picture, Region
from host.suitability import LAYER_CHANGED, Unsuitable, selected_box
from host.translation import _

from .request import SIDE_PX

CODINGS = {"Y": "Y' u8", "YA": "Y'A u8", "RGB": "R'G'B' u8", "RGBA": "R'G'B'A u8"}
MASK = "Y u8"
CONVERTED = {3: CODINGS["RGB"], 4: CODINGS["RGBA"]}
CHECK_PX, LIGHT_CHECK, DARK_CHECK = 8, 0x999999, 0x666666


@dataclass(frozen=True)
class Scene:
    """What is sent, the region of it that is shown, and how much of each of the region's pixels changes.

    `mask` has a byte for every pixel of the region, or is None where all of it changes. `part` is how
    much of the longest side of the whole that of a detail is, and 1 where the whole is seen.
    """

    content: Picture
    region: Region
    mask: bytes | None
    part: float


def is_small(layer: Gimp.Layer) -> bool:
    """Whether all that is selected fits into a preview at its full size; raises as `scene` does."""
    box = selected_box(layer)
    return max(box.width, box.height) <= SIDE_PX


def scene(layer: Gimp.Layer, centre: tuple[float, float] | None) -> Scene:
    """All that is selected of a layer; or, at full size, a detail around a point of it.

    `centre` is that point, in parts of the selected box's width and height.

    Raises:
        Unsuitable: nothing of the layer is selected, or the layer is gone.
    """
    whole = selected_box(layer)
    width, height = layer.get_width(), layer.get_height()
    box = whole if centre is None else _detail(whole, centre)
    scale = min(1.0, SIDE_PX / max(box.width, box.height))
    around, around_all = box.with_context(width, height), whole.with_context(width, height)
    across, down = _scaled(around.width, scale), _scaled(around.height, scale)
    channels = ("Y" if layer.is_gray() else "RGB") + ("A" if layer.has_alpha() else "")
    pixels = _small(layer, around, across, down, CODINGS[channels])
    content = Picture(across, down, channels, "u8", pixels)
    region = _region(box.within(around), scale, content)
    part = (
        1.0 if centre is None else max(around.width, around.height) / max(around_all.width, around_all.height)
    )
    return Scene(content, region, _mask(layer, box, region), part)


def moved(
    layer: Gimp.Layer, centre: tuple[float, float], across_px: float, down_px: float
) -> tuple[float, float]:
    """The centre of a detail, moved by pixels of the layer as far as there is something to see."""
    box = selected_box(layer)
    sides = zip(centre, (across_px, down_px), (box.width, box.height), strict=True)
    x, y = (_clamped(part + by / side, min(0.5, SIDE_PX / side / 2)) for part, by, side in sides)
    return x, y


def _clamped(part: float, margin: float) -> float:
    return min(1 - margin, max(margin, part))


def _detail(whole: Region, centre: tuple[float, float]) -> Region:
    """The part of a box that a preview has room for, around a point of it."""
    width, height = min(SIDE_PX, whole.width), min(SIDE_PX, whole.height)
    x = min(max(0, round(centre[0] * whole.width - width / 2)), whole.width - width)
    y = min(max(0, round(centre[1] * whole.height - height / 2)), whole.height - height)
    return Region(whole.x + x, whole.y + y, width, height)


def _scaled(length: int, scale: float) -> int:
    return max(1, round(length * scale))


def _region(box: Region, scale: float, content: Picture) -> Region:
    x, y = min(int(box.x * scale), content.width - 1), min(int(box.y * scale), content.height - 1)
    width, height = _scaled(box.width, scale), _scaled(box.height, scale)
    return Region(x, y, min(width, content.width - x), min(height, content.height - y))


def _mask(layer: Gimp.Layer, box: Region, region: Region) -> bytes | None:
    """The soft selection times the layer's own mask."""
    image, masks = layer.get_image(), list[bytes]()
    size = region.width, region.height
    if not Gimp.Selection.is_empty(image):
        _found, x, y = layer.get_offsets()
        in_image = Region(box.x + x, box.y + y, box.width, box.height)
        masks.append(_small(image.get_selection(), in_image, *size, MASK))
    if layer.get_mask() and layer.get_apply_mask():
        masks.append(_small(layer.get_mask(), box, *size, MASK))
    return _product(*masks) if masks else None


def _product(first: bytes, *others: bytes) -> bytes:
    for other in others:
        first = bytes(one * another // 255 for one, another in zip(first, other, strict=True))
    return first


def _small(drawable: Gimp.Drawable, box: Region, width: int, height: int, babl: str) -> bytes:
    """A box of a drawable, made small by GIMP, in the format `babl`.

    GIMP 3.0 gives it in the drawable's own format, 3.2 as sRGB of 8 bits, and that of masks too: by
    their 3 bytes a pixel, which no mask of its own has, the two are told apart.
    """
    data = drawable.get_sub_thumbnail_data(box.x, box.y, box.width, box.height, width, height)
    if data is None:
        raise Unsuitable(_(LAYER_CHANGED))
    pixels, made_width, made_height, size = data
    format = CONVERTED[size] if _converts(drawable.get_image()) else Babl.get_name(drawable.get_format())
    made = Gegl.Rectangle.new(0, 0, made_width, made_height)
    buffer = Gegl.Buffer.new(format, 0, 0, made_width, made_height)
    buffer.set(made, format, pixels.get_data())
    wanted = Gegl.Rectangle.new(0, 0, width, height)
    converted: bytes = buffer.get(wanted, 1.0, babl, Gegl.AbyssPolicy.CLAMP)
    return converted


def _converts(image: Gimp.Image) -> bool:
    return bool(image.get_selection().get_sub_thumbnail_data(0, 0, 1, 1, 1, 1)[3] == 3)


# ── On the screen ────────────────────────────────────────────────────────────────────────────────


def before(scene: Scene) -> GdkPixbuf.Pixbuf:
    """The region as it is, on a chequered ground."""
    seen, region = _pixbuf(scene.content), scene.region
    return _on_checks(seen.new_subpixbuf(region.x, region.y, region.width, region.height))


def after(scene: Scene, picture: Picture) -> GdkPixbuf.Pixbuf:
    """The region with a picture of it, of any size, where the mask lets it through."""
    width, height = scene.region.width, scene.region.height
    made = _pixbuf(picture).scale_simple(width, height, GdkPixbuf.InterpType.BILINEAR)
    if scene.mask is not None:
        made = _masked(made, scene.mask)
    seen = before(scene)
    nearest = GdkPixbuf.InterpType.NEAREST
    made.composite(seen, 0, 0, width, height, 0, 0, 1, 1, nearest, 255)
    return seen


def _masked(pixbuf: GdkPixbuf.Pixbuf, mask: bytes) -> GdkPixbuf.Pixbuf:
    """A pixbuf of which as much is seen as before and as the mask says."""
    width, height = pixbuf.get_width(), pixbuf.get_height()
    pixels = bytearray(pixbuf.add_alpha(False, 0, 0, 0).read_pixel_bytes().get_data())
    pixels[3::4] = _product(mask, bytes(pixels[3::4]))
    return _pixbuf(Picture(width, height, "RGBA", "u8", pixels))


def _on_checks(pixbuf: GdkPixbuf.Pixbuf) -> GdkPixbuf.Pixbuf:
    size, nearest = (pixbuf.get_width(), pixbuf.get_height()), GdkPixbuf.InterpType.NEAREST
    return pixbuf.composite_color_simple(*size, nearest, 255, CHECK_PX, LIGHT_CHECK, DARK_CHECK)


def _pixbuf(picture: Picture) -> GdkPixbuf.Pixbuf:
    """A picture of 8 bits as Gtk shows it."""
    has_alpha = picture.channels.endswith("A")
    pixels = bytes(picture.pixels)
    if picture.channels in ("Y", "YA"):
        pixels = _coloured(pixels, has_alpha)
    colours, stride = GdkPixbuf.Colorspace.RGB, (4 if has_alpha else 3) * picture.width
    data = GLib.Bytes.new(pixels)
    size = picture.width, picture.height
    return GdkPixbuf.Pixbuf.new_from_bytes(data, colours, has_alpha, 8, *size, stride)


def _coloured(gray: bytes, has_alpha: bool) -> bytes:
    """Grey pixels as red, green and blue ones."""
    own, wide = (2, 4) if has_alpha else (1, 3)
    pixels = bytearray(len(gray) // own * wide)
    for channel in range(3):
        pixels[channel::wide] = gray[0::own]
    if has_alpha:
        pixels[3::4] = gray[1::2]
    return bytes(pixels)
