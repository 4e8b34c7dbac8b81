"""Pixbufs of previews: an excerpt of a layer, and the filter's result in its place.

They are put together by GdkPixbuf, because GIMP 3.0 may be installed without the bindings of Cairo.
"""

from __future__ import annotations

from gi.repository import GdkPixbuf, GLib

from atelier_shared.messages import Picture, Region
from atelier_shared.sizes import Size

from .excerpt import Excerpt, product_of_masks

CHECK_PX, LIGHT_CHECK, DARK_CHECK = 8, 0x999999, 0x666666
DIM_ALPHA, DIM_COLOUR = 140, 0x808080
LINE_PX, LINE_COLOUR = 2, 0xFFFFFFFF
GREY = 0x808080FF
RGB_BYTES = 3


def original_pixbuf(excerpt: Excerpt) -> GdkPixbuf.Pixbuf:
    """Draw the excerpt's region on a checkerboard."""
    content, region = pixbuf_of(excerpt.content), excerpt.region
    return _on_checkerboard(content.new_subpixbuf(region.x, region.y, region.width, region.height))


def result_pixbuf(excerpt: Excerpt, picture: Picture) -> GdkPixbuf.Pixbuf:
    """Draw the excerpt's region, covered by the filter's result through the mask.

    The result may have any size; it is scaled to the region.
    """
    width, height = excerpt.region.width, excerpt.region.height
    result = pixbuf_of(picture).scale_simple(width, height, GdkPixbuf.InterpType.BILINEAR)
    if excerpt.mask is not None:
        result = _masked(result, excerpt.mask)
    drawn = original_pixbuf(excerpt)
    nearest = GdkPixbuf.InterpType.NEAREST
    result.composite(drawn, 0, 0, width, height, 0, 0, 1, 1, nearest, 255)
    return drawn


def dimmed(pixbuf: GdkPixbuf.Pixbuf) -> GdkPixbuf.Pixbuf:
    """Blend a pixbuf with grey."""
    return pixbuf.composite_color_simple(
        pixbuf.get_width(),
        pixbuf.get_height(),
        GdkPixbuf.InterpType.NEAREST,
        DIM_ALPHA,
        CHECK_PX,
        DIM_COLOUR,
        DIM_COLOUR,
    )


def split(before: GdkPixbuf.Pixbuf, after: GdkPixbuf.Pixbuf, position: float) -> GdkPixbuf.Pixbuf:
    """Show `before` on the left of a line and `after` on the right; `position` is a fraction of the width."""
    width, height = before.get_width(), before.get_height()
    x, drawn = min(width - 1, round(position * width)), before.copy()
    after.copy_area(x, 0, width - x, height, drawn, x, 0)
    line = max(0, min(width - LINE_PX, x - LINE_PX // 2))
    drawn.new_subpixbuf(line, 0, min(LINE_PX, width), height).fill(LINE_COLOUR)
    return drawn


def part_of(pixbuf: GdkPixbuf.Pixbuf, box: Region, whole: Size) -> GdkPixbuf.Pixbuf:
    """Return the part of a pixbuf for a box in the whole; `whole` is its height and width."""
    height, width = whole
    x, across = _span(box.x, box.width, width, pixbuf.get_width())
    y, down = _span(box.y, box.height, height, pixbuf.get_height())
    return pixbuf.new_subpixbuf(x, y, across, down)


def _span(start: int, length: int, whole: int, scaled: int) -> tuple[int, int]:
    """Map start and length on a side `whole` long onto that side scaled to `scaled`; at least one pixel."""
    first = min(start * scaled // whole, scaled - 1)
    last = min(scaled, round((start + length) * scaled / whole))
    return first, max(1, last - first)


def scaled_into(pixbuf: GdkPixbuf.Pixbuf, width: int, height: int) -> GdkPixbuf.Pixbuf:
    """Scale a pixbuf to fit into `width` × `height`, in the middle, and fill the rest with grey."""
    scale = min(width / pixbuf.get_width(), height / pixbuf.get_height())
    across, down = (
        max(1, min(most, round(scale * side)))
        for most, side in ((width, pixbuf.get_width()), (height, pixbuf.get_height()))
    )
    whole = GdkPixbuf.Pixbuf.new(GdkPixbuf.Colorspace.RGB, False, 8, width, height)
    whole.fill(GREY)
    scaled = pixbuf.scale_simple(across, down, GdkPixbuf.InterpType.BILINEAR)
    scaled.copy_area(0, 0, across, down, whole, (width - across) // 2, (height - down) // 2)
    return whole


def enlarged(pixbuf: GdkPixbuf.Pixbuf, side_px: int) -> GdkPixbuf.Pixbuf:
    """Scale a pixbuf to a longest side of `side_px`."""
    scale = side_px / max(pixbuf.get_width(), pixbuf.get_height())
    width, height = (max(1, round(side * scale)) for side in (pixbuf.get_width(), pixbuf.get_height()))
    return pixbuf.scale_simple(width, height, GdkPixbuf.InterpType.BILINEAR)


def pixbuf_of(picture: Picture) -> GdkPixbuf.Pixbuf:
    """Convert an 8-bit picture to a pixbuf."""
    has_alpha = picture.channels.endswith("A")
    pixels = bytes(picture.pixels)
    if picture.channels in ("Y", "YA"):
        pixels = _grey_to_rgb(pixels, has_alpha)
    colours, stride = GdkPixbuf.Colorspace.RGB, (4 if has_alpha else 3) * picture.width
    data = GLib.Bytes.new(pixels)
    size = picture.width, picture.height
    return GdkPixbuf.Pixbuf.new_from_bytes(data, colours, has_alpha, 8, *size, stride)


def picture_of(pixbuf: GdkPixbuf.Pixbuf) -> Picture:
    """Convert an opaque pixbuf to an 8-bit RGB picture.

    A pixbuf on a checkerboard has an alpha channel with some versions of GdkPixbuf.
    """
    width, height, stride = pixbuf.get_width(), pixbuf.get_height(), pixbuf.get_rowstride()
    channels, padded = pixbuf.get_n_channels(), pixbuf.read_pixel_bytes().get_data()
    rows = (padded[stride * y : stride * y + channels * width] for y in range(height))
    with_alpha, pixels = b"".join(rows), bytearray(RGB_BYTES * width * height)
    for colour in range(RGB_BYTES):
        pixels[colour::RGB_BYTES] = with_alpha[colour::channels]
    return Picture(width, height, "RGB", "u8", bytes(pixels))


def _masked(pixbuf: GdkPixbuf.Pixbuf, mask: bytes) -> GdkPixbuf.Pixbuf:
    """Multiply a pixbuf's alpha by a mask."""
    width, height = pixbuf.get_width(), pixbuf.get_height()
    pixels = bytearray(pixbuf.add_alpha(False, 0, 0, 0).read_pixel_bytes().get_data())
    pixels[3::4] = product_of_masks(mask, bytes(pixels[3::4]))
    return pixbuf_of(Picture(width, height, "RGBA", "u8", pixels))


def _on_checkerboard(pixbuf: GdkPixbuf.Pixbuf) -> GdkPixbuf.Pixbuf:
    size, nearest = (pixbuf.get_width(), pixbuf.get_height()), GdkPixbuf.InterpType.NEAREST
    return pixbuf.composite_color_simple(*size, nearest, 255, CHECK_PX, LIGHT_CHECK, DARK_CHECK)


def _grey_to_rgb(grey: bytes, has_alpha: bool) -> bytes:
    """Convert Y or YA pixels to RGB or RGBA."""
    grey_bytes, rgb_bytes = (2, 4) if has_alpha else (1, 3)
    pixels = bytearray(len(grey) // grey_bytes * rgb_bytes)
    for channel in range(3):
        pixels[channel::rgb_bytes] = grey[0::grey_bytes]
    if has_alpha:
        pixels[3::4] = grey[1::2]
    return bytes(pixels)
