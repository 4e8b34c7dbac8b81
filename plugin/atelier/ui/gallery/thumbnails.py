"""Thumbnails of built-in entries, files, layers and patterns.

Each function returns a loader. Calling it starts loading, so that a long gallery can load a few at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from gi.repository import Babl, GdkPixbuf, Gegl, Gimp, Gio, GLib

from atelier_shared.home import THUMBNAILS_FOLDER, atelier_home
from atelier_shared.messages import MAX_SIDE_PX

THUMBNAIL_PX = 72
EIGHT_BIT_PRECISIONS = (
    Gimp.Precision.U8_NON_LINEAR,
    Gimp.Precision.U8_PERCEPTUAL,
    Gimp.Precision.U8_LINEAR,
)
PATTERN_FORMATS: dict[int, tuple[str, Sequence[int | None]]] = {
    1: ("Y' u8", (0, 0, 0, None)),
    2: ("Y'A u8", (0, 0, 0, 1)),
    3: ("R'G'B' u8", (0, 1, 2, None)),
    4: ("R'G'B'A u8", (0, 1, 2, 3)),
}
"""By bytes per pixel: a pattern's babl format, and the positions of red, green, blue and alpha in it.

Patterns are read in their own format because babl takes a quarter of a second to prepare any other.
"""

Show: TypeAlias = Callable[[GdkPixbuf.Pixbuf], None]
"""Called with a thumbnail once it is loaded, at once or later; never called if it cannot be loaded."""
Loader: TypeAlias = Callable[[Show], None]


def built_in_thumbnail(kind: str, name: str) -> Loader:
    """Return a loader for the thumbnail of a built-in style or preset, rendered by the installer."""
    file = atelier_home() / THUMBNAILS_FOLDER / f"{kind}-{name.replace(' ', '-')}.png"
    return file_thumbnail(Gio.File.new_for_path(str(file)))


def no_thumbnail(_show: Show) -> None:
    """Leave the placeholder."""


def file_thumbnail(file: Gio.File) -> Loader:
    """Return a loader for a picture file. GLib's threads read and scale the picture."""

    def load(show: Show) -> None:
        def decode(_file: Gio.File, result: Gio.AsyncResult) -> None:
            try:
                stream = file.read_finish(result)
            except GLib.Error:
                return
            scaling = (THUMBNAIL_PX, THUMBNAIL_PX, True, None)
            GdkPixbuf.Pixbuf.new_from_stream_at_scale_async(stream, *scaling, finish)

        def finish(_source: None, result: Gio.AsyncResult) -> None:
            try:
                pixbuf = GdkPixbuf.Pixbuf.new_from_stream_finish(result)
            except GLib.Error:
                return
            show(pixbuf.apply_embedded_orientation())

        file.read_async(GLib.PRIORITY_LOW, None, decode)

    return load


def layer_thumbnail(layer: Gimp.Layer) -> Loader:
    """Return a loader for a layer."""

    def load(show: Show) -> None:
        if layer.is_valid() and _has_thumbnail(layer):
            show(layer.get_thumbnail(THUMBNAIL_PX, THUMBNAIL_PX, Gimp.PixbufTransparency.KEEP_ALPHA))

    return load


def _has_thumbnail(layer: Gimp.Layer) -> bool:
    """Return whether GIMP can make a thumbnail of a layer.

    GIMP 3.0 misreads the thumbnail of a layer of more than 8 bits per channel, or fails to read it.
    """
    is_fixed = (Gimp.MAJOR_VERSION, Gimp.MINOR_VERSION) >= (3, 2)
    return is_fixed or layer.get_image().get_precision() in EIGHT_BIT_PRECISIONS


def pattern_thumbnail(pattern: Gimp.Pattern) -> Loader:
    """Return a loader for a pattern.

    The pattern keeps its size, because its grain is what distinguishes it; a small one is repeated.
    """

    def load(show: Show) -> None:
        babl, channels = PATTERN_FORMATS[pattern.get_info().bpp]
        buffer = pattern.get_buffer(MAX_SIDE_PX, MAX_SIDE_PX, Babl.format(babl))
        extent = buffer.get_extent()
        width, height = min(extent.width, THUMBNAIL_PX), min(extent.height, THUMBNAIL_PX)
        pixels = buffer.get(Gegl.Rectangle.new(0, 0, width, height), 1.0, babl, Gegl.AbyssPolicy.NONE)
        show(_tiled_square(_to_rgba(pixels, channels), width, height))

    return load


def _to_rgba(pixels: bytes, channels: Sequence[int | None]) -> bytes:
    """Reorder the channels of 8-bit pixels to RGBA. Pixels without alpha become opaque."""
    pixel_bytes = max(source for source in channels if source is not None) + 1
    rgba = bytearray(b"\xff" * (len(pixels) // pixel_bytes * 4))
    for target, source in enumerate(channels):
        if source is not None:
            rgba[target::4] = pixels[source::pixel_bytes]
    return bytes(rgba)


def _tiled_square(rgba: bytes, width: int, height: int) -> GdkPixbuf.Pixbuf:
    """Repeat RGBA pixels to fill a square of THUMBNAIL_PX."""
    side, stride = THUMBNAIL_PX, 4 * width
    rows = [rgba[stride * y : stride * (y + 1)] * -(-side // width) for y in range(height)]
    square = b"".join(rows[y % height][: 4 * side] for y in range(side))
    rgb = GdkPixbuf.Colorspace.RGB
    return GdkPixbuf.Pixbuf.new_from_bytes(GLib.Bytes.new(square), rgb, True, 8, side, side, 4 * side)
