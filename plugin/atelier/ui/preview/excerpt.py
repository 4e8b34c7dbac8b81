"""The pixels of a layer that a preview is made from, reduced by GIMP.

They are 8-bit sRGB, whatever the layer's own format is.
"""

from __future__ import annotations

from dataclasses import dataclass

from gi.repository import Babl, Gegl, Gimp

from atelier_shared.messages import Picture, Region
from atelier_shared.request import LARGEST_PREVIEW_PX
from atelier_shared.sizes import Size
from host.suitability import LAYER_CHANGED, Unsuitable, selected_box
from host.translation import _

from .view import View

FORMATS = {"Y": "Y' u8", "YA": "Y'A u8", "RGB": "R'G'B' u8", "RGBA": "R'G'B'A u8"}
"""The babl formats of previews, by channels."""
MASK_FORMAT = "Y u8"
SRGB_THUMBNAIL_FORMATS = {3: FORMATS["RGB"], 4: FORMATS["RGBA"]}
"""The babl formats of GIMP 3.2's thumbnails, by bytes per pixel."""


@dataclass(frozen=True)
class Excerpt:
    """The pixels of the visible part of a layer.

    Attributes:
        content: the pixels to send: `region` and the context around it.
        region: the part of `content` to show.
        mask: a byte per pixel of `region`, 255 where the filter has its full effect; None if all are 255.
        size: height and width of the content in the layer, not reduced.
        part: longest side of the content ÷ longest side of the whole (1 = the whole is shown).
    """

    content: Picture
    region: Region
    mask: bytes | None
    size: Size
    part: float


def size_of_whole(layer: Gimp.Layer) -> Size:
    """Return height and width of the selection's bounding box; raises like `excerpt_of`."""
    box = selected_box(layer)
    return box.height, box.width


def excerpt_of(layer: Gimp.Layer, view: View, longest_px: int) -> Excerpt:
    """Read the visible part of a layer, reduced to a longest side of `longest_px`.

    Raises:
        Unsuitable: the layer is gone, or the selection does not overlap it.
    """
    whole = selected_box(layer)
    width, height = layer.get_width(), layer.get_height()
    box = view.box((whole.height, whole.width)).moved(whole.x, whole.y)
    around, around_whole = box.with_context(width, height), whole.with_context(width, height)
    longest = max(around.width, around.height)
    scale = min(1.0, longest_px / max(box.width, box.height), LARGEST_PREVIEW_PX / longest)
    channels = ("Y" if layer.is_gray() else "RGB") + ("A" if layer.has_alpha() else "")
    size = _scaled(around.width, scale), _scaled(around.height, scale)
    content = Picture(*size, channels, "u8", _reduced(layer, around, *size, FORMATS[channels]))
    region = _scaled_region(box.within(around), scale, content)
    part = 1.0 if view.zoom == 1 else longest / max(around_whole.width, around_whole.height)
    return Excerpt(content, region, _mask(layer, box, region), (around.height, around.width), part)


def _scaled(length: int, scale: float) -> int:
    return max(1, round(length * scale))


def _scaled_region(box: Region, scale: float, content: Picture) -> Region:
    """Scale a box, and clip it to `content`, which is rounded to whole pixels."""
    x, y = min(int(box.x * scale), content.width - 1), min(int(box.y * scale), content.height - 1)
    width, height = _scaled(box.width, scale), _scaled(box.height, scale)
    return Region(x, y, min(width, content.width - x), min(height, content.height - y))


# ── Masks ────────────────────────────────────────────────────────────────────────────────────────


def _mask(layer: Gimp.Layer, box: Region, region: Region) -> bytes | None:
    """Return the soft selection times the layer's own mask; None without either."""
    image, masks = layer.get_image(), list[bytes]()
    size = region.width, region.height
    if not Gimp.Selection.is_empty(image):
        _found, x, y = layer.get_offsets()
        box_in_image = Region(box.x + x, box.y + y, box.width, box.height)
        masks.append(_reduced(image.get_selection(), box_in_image, *size, MASK_FORMAT))
    if layer.get_mask() and layer.get_apply_mask():
        masks.append(_reduced(layer.get_mask(), box, *size, MASK_FORMAT))
    return product_of_masks(*masks) if masks else None


def product_of_masks(first: bytes, *others: bytes) -> bytes:
    """Multiply masks of a byte per pixel."""
    for other in others:
        first = bytes(one * another // 255 for one, another in zip(first, other, strict=True))
    return first


# ── Reading pixels from GIMP ─────────────────────────────────────────────────────────────────────


def _reduced(drawable: Gimp.Drawable, box: Region, width: int, height: int, babl: str) -> bytes:
    """Return the pixels of a box, reduced by GIMP to `width` × `height`, in the format `babl`."""
    thumbnail = drawable.get_sub_thumbnail_data(box.x, box.y, box.width, box.height, width, height)
    if thumbnail is None:
        raise Unsuitable(_(LAYER_CHANGED))
    pixels, made_width, made_height, pixel_bytes = thumbnail
    is_srgb = _thumbnails_are_srgb(drawable.get_image())
    format = SRGB_THUMBNAIL_FORMATS[pixel_bytes] if is_srgb else Babl.get_name(drawable.get_format())
    buffer = Gegl.Buffer.new(format, 0, 0, made_width, made_height)
    buffer.set(Gegl.Rectangle.new(0, 0, made_width, made_height), format, pixels.get_data())
    wanted = Gegl.Rectangle.new(0, 0, width, height)
    converted: bytes = buffer.get(wanted, 1.0, babl, Gegl.AbyssPolicy.CLAMP)
    return converted


def _thumbnails_are_srgb(image: Gimp.Image) -> bool:
    """Return whether GIMP returns thumbnails as 8-bit sRGB (3.2) or in the drawable's own format (3.0).

    GIMP 3.2 does so for masks too: a thumbnail of the selection then has 3 bytes per pixel. No format
    of a mask has.
    """
    return bool(image.get_selection().get_sub_thumbnail_data(0, 0, 1, 1, 1, 1)[3] == 3)
