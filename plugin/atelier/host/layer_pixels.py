"""Pixel formats of GIMP's drawables, and access to their pixels.

Pixels are sent with the layer's own primaries and, where the protocol has it, in the layer's own coding.
Pixels left unchanged by a filter come back bit by bit. Drawables are read and written in strips. The
callback `poll` runs after each strip, for example to keep a window responsive.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gi.repository import Babl, Gegl, Gimp

from atelier_shared.colour_space import Matrix, colour_space
from atelier_shared.messages import Frame, Picture, Region

from .suitability import LAYER_CHANGED, Unsuitable
from .translation import _

STRIP_PX = 1 << 17
Poll = Callable[[], None]
"""A function called between strips; it may raise JobCancelled to stop reading or writing."""


def no_poll() -> None:
    """Do nothing between strips."""


# ── Codings ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Coding:
    """A pixel format: channels, depth, primaries and curve of a Picture, and the equal babl format's name."""

    channels: str
    depth: str
    babl: str
    to_srgb: Matrix = ()
    gamma: float = 0.0

    def picture(self, width: int, height: int, pixels: Frame) -> Picture:
        """Return pixels in this format as a picture."""
        return Picture(width, height, self.channels, self.depth, pixels, self.to_srgb, self.gamma)


STORED_PERCEPTUALLY = {
    Gimp.Precision.U8_NON_LINEAR: ("u8", "'"),
    Gimp.Precision.U8_PERCEPTUAL: ("u8", "~"),
    Gimp.Precision.U16_NON_LINEAR: ("u16", "'"),
    Gimp.Precision.U16_PERCEPTUAL: ("u16", "~"),
}
OWN_CURVE = "'"
CONVERTED = ("f32", "~")
"""Depth and curve for all other precisions. babl's ~ is sRGB's curve in every colour space."""
BABL_MODELS = {"Y": "Y{0}", "YA": "Y{0}A", "RGB": "R{0}G{0}B{0}", "RGBA": "R{0}G{0}B{0}A"}
BABL_TYPES = {"u8": "u8", "u16": "u16", "f32": "float"}
TYPE_CODES = {"u8": "B", "u16": "H", "f32": "f"}
"""The type of Python's arrays by depth."""
OPAQUE = {"u8": b"\xff", "u16": b"\xff\xff", "f32": array("f", [1.0]).tobytes()}
"""An alpha of 1.0 by depth."""


def coding_for(layer: Gimp.Layer, *, alpha: bool) -> Coding:
    """Return a lossless coding of a layer's pixels, with a perceptual curve and the layer's primaries.

    Layers of 8 or 16 bits with such a curve keep their own coding. Other curves, linear light, floats and
    32-bit integers are converted to floats with sRGB's curve.
    """
    image = layer.get_image()
    depth, curve = STORED_PERCEPTUALLY.get(image.get_precision(), CONVERTED)
    profile = image.get_effective_color_profile()
    space = colour_space(bytes(profile.get_icc_profile()))
    gamma = space.gamma if space and curve == OWN_CURVE else 0.0
    if profile.is_linear() or gamma is None:
        depth, curve = CONVERTED
        gamma = 0.0
    channels = ("Y" if layer.is_gray() else "RGB") + ("A" if alpha else "")
    encoding = f"{BABL_MODELS[channels].format(curve)} {BABL_TYPES[depth]}"
    babl_space = Babl.format_get_space(layer.get_format())
    to_srgb = space.to_srgb if space and not layer.is_gray() else ()
    return Coding(
        channels, depth, Babl.get_name(Babl.format_with_space(encoding, babl_space)), to_srgb, gamma
    )


# ── Reading and writing ──────────────────────────────────────────────────────────────────────────


def read_pixels(drawable: Gimp.Drawable, box: Region, babl: str, poll: Poll = no_poll) -> bytes:
    """Read a box of a drawable in a babl format.

    Raises:
        Unsuitable: the drawable was deleted.
    """
    pixels = bytearray()
    for strip in _strips(box):
        if not drawable.is_valid():  # GIMP kills a plug-in that reads a deleted drawable
            raise Unsuitable(_(LAYER_CHANGED))
        rectangle = Gegl.Rectangle.new(strip.x, strip.y, strip.width, strip.height)
        pixels += drawable.get_buffer().get(rectangle, 1.0, babl, Gegl.AbyssPolicy.NONE)
        poll()
    return bytes(pixels)


def write_pixels(drawable: Gimp.Drawable, babl: str, pixels: Frame, poll: Poll = no_poll) -> None:
    """Fill a drawable; `pixels` must have its size, because GEGL silently ignores any other."""
    whole = Region(0, 0, drawable.get_width(), drawable.get_height())
    stride = len(pixels) // whole.height
    for strip in _strips(whole):
        rectangle = Gegl.Rectangle.new(strip.x, strip.y, strip.width, strip.height)
        buffer = drawable.get_buffer()
        buffer.set(rectangle, babl, bytes(pixels[strip.y * stride : (strip.y + strip.height) * stride]))
        buffer.flush()
        poll()
    drawable.update(whole.x, whole.y, whole.width, whole.height)


def _strips(box: Region) -> Iterator[Region]:
    """Cut a box into strips of its full width and about STRIP_PX pixels, from top to bottom."""
    height = max(1, STRIP_PX // box.width)
    for y in range(0, box.height, height):
        yield Region(box.x, box.y + y, box.width, min(height, box.height - y))


def slices(length: int, pixel_size: int = 1) -> Iterator[slice]:
    """Cut a sequence of `length` elements, `pixel_size` for each pixel, into slices of STRIP_PX pixels."""
    step = STRIP_PX * pixel_size
    return (slice(start, start + step) for start in range(0, length, step))
