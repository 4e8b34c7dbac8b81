"""Encoding of a picture file: pixels and metadata, compressed like the content's file."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image

from ...jobs.picture_arrays import DTYPES
from . import deep_pixels, exif, jxl_boxes, metadata, pnm, tiff_directory
from .decoded import Compression
from .formats import Format
from .metadata import Metadata
from .pixels import MODES, WHITE, Pixels, in_channels, in_depth

QUALITY = 95
"""Quality of a lossy file if the content's was none: no loss is seen, without chroma subsampling."""
HEIC_BITS = 10
STRAIGHT_ALPHA = {"oiio:UnassociatedAlpha": 1}
DEEP_COMPRESSIONS = {"raw": "none", "tiff_lzw": "lzw", "packbits": "packbits"}


@dataclass(frozen=True)
class Encoding:
    """How to write a file.

    Attributes:
        format: its format.
        compression: how the content's file was compressed; a file of the same format is compressed alike.
        quality: of a lossy file, 1 to 100; None for the content's, or QUALITY.
    """

    format: Format
    compression: Compression
    quality: int | None = None

    def depth(self, wanted: str) -> str:
        """Return the best depth in the format for pixels of the depth `wanted`."""
        held = self.format.depths
        return wanted if wanted in held else held[-1]

    def losses(self, pixels: Pixels, found: Metadata) -> list[str]:
        """Return notes about losses of a picture in the format."""
        notes = []
        depth = self.depth(pixels.depth)
        if pixels.depth != depth and pixels.depth != "u8" and depth != "f32":
            text = _("{format} holds {count} bits: the 16 bits are reduced.")
            if pixels.depth == "f32":
                text = _("{format} holds {count} bits: the float values are reduced.")
            notes.append(text.format(format=self.format.name, count=8 * DTYPES[depth].itemsize))
        if self.format.name == "GIF":
            notes.append(_("GIF holds at most 256 colours, and no partial transparency."))
        if lost := found.lost_in(self.format.metadata, self.format.longest):
            text = _("Not kept in {format}: {names}.")
            notes.append(text.format(format=self.format.name, names=", ".join(lost)))
        return notes


def write(path: Path, pixels: Pixels, found: Metadata, encoding: Encoding) -> None:
    """Write pixels, in the coding of the file, and metadata; the path's ending is one of the format's.

    Raises:
        OSError, ValueError, KeyError: the format cannot hold such a picture, or the file cannot be written.
    """
    found = found.fitting(encoding.format.longest)
    pixels = in_channels(pixels, encoding.format.channels)
    pixels = in_depth(pixels, encoding.depth(pixels.depth))
    WRITERS.get(encoding.format.name, _write_with_pillow)(path, pixels, found, encoding)


# ── With Pillow ──────────────────────────────────────────────────────────────────────────────────


def _write_with_pillow(path: Path, pixels: Pixels, found: Metadata, encoding: Encoding) -> None:
    options = {**metadata.save_options(found, encoding.format.name), **_compression(encoding)}
    _image(pixels).save(path, format=encoding.format.pillow[0], **options)


def _image(pixels: Pixels) -> Image.Image:
    values = pixels.values
    return Image.fromarray(values if values.shape[-1] > 1 else values[..., 0])


def _compression(encoding: Encoding) -> dict[str, Any]:
    """Return Pillow's options for the compression."""
    name, quality = encoding.format.name, encoding.quality
    if name == encoding.compression.format.name and encoding.compression.options and quality is None:
        return dict(encoding.compression.options)
    match name:
        case "TIFF":
            return {"compression": "tiff_adobe_deflate"}
        case "JPEG":
            return {"quality": quality or QUALITY, "subsampling": 0}
        case "WebP":
            lossless = encoding.compression.lossless and quality is None
            return {"lossless": lossless, "quality": quality or QUALITY, "exact": True, "method": 4}
        case "AVIF":
            return {"quality": quality or QUALITY, "subsampling": "4:4:4"}
        case "HEIC":
            return {"quality": quality or QUALITY, "chroma": 444}
    return {}


# ── With other libraries ───────────────────────────────────────────────────────────────────────────────────


def _write_png(path: Path, pixels: Pixels, found: Metadata, encoding: Encoding) -> None:
    if pixels.depth == "u8":
        _write_with_pillow(path, pixels, found, encoding)
        return
    deep_pixels.write(path, pixels.values, pixels.depth, STRAIGHT_ALPHA)
    model = io.BytesIO()
    Image.new(MODES[pixels.channels], (1, 1)).save(model, "PNG", **metadata.save_options(found, "PNG"))
    deep_pixels.add_png_metadata(path, model.getvalue())


def _write_tiff(path: Path, pixels: Pixels, found: Metadata, encoding: Encoding) -> None:
    if pixels.depth == "u8":
        _write_with_pillow(path, pixels, found, encoding)
    else:
        compression = DEEP_COMPRESSIONS.get(_compression(encoding)["compression"], "zip")
        attributes = {**STRAIGHT_ALPHA, "compression": compression}
        deep_pixels.write(path, pixels.values, pixels.depth, attributes)
    tiff_directory.add_metadata(path, found)


def _write_pnm(path: Path, pixels: Pixels, found: Metadata, encoding: Encoding) -> None:
    if pixels.depth == "u8":
        _write_with_pillow(path, pixels, found, encoding)
    else:
        pnm.write(path, pixels.values)


def _write_jpeg_xl(path: Path, pixels: Pixels, found: Metadata, encoding: Encoding) -> None:
    """Write pixels without loss, unless a quality is given."""
    attributes: dict[str, Any] = {"compression": f"jpegxl:{encoding.quality or 100}"}
    if found.profile:
        attributes["ICCProfile"] = found.profile
    deep_pixels.write(path, pixels.values, pixels.depth, attributes)
    options = metadata.save_options(found, "JPEG XL")
    jxl_boxes.add_metadata(path, options.get("exif", b"").removeprefix(exif.HEADER), found.xmp)


def _write_light(path: Path, pixels: Pixels, _found: Metadata, _encoding: Encoding) -> None:
    deep_pixels.write(path, pixels.values, pixels.depth, {})


def _write_heic(path: Path, pixels: Pixels, found: Metadata, encoding: Encoding) -> None:
    """Write pixels with 8 bits, or with 10 instead of 16, the most of x265's usual profile."""
    levels, mode = pixels.values, MODES[pixels.channels]
    if pixels.depth == "u16":
        levels = np.rint(levels * ((2**HEIC_BITS - 1) / WHITE["u16"])).astype(np.uint16) << (16 - HEIC_BITS)
        mode += ";16"
    heif = pillow_heif.from_bytes(mode, levels.shape[1::-1], levels.tobytes())
    heif.save(path, **metadata.save_options(found, "HEIC"), **_compression(encoding))


WRITERS: Mapping[str, Callable[[Path, Pixels, Metadata, Encoding], None]] = {
    "PNG": _write_png,
    "TIFF": _write_tiff,
    "HEIC": _write_heic,
    "PNM": _write_pnm,
    "JPEG XL": _write_jpeg_xl,
    "EXR": _write_light,
    "HDR": _write_light,
}
"""The writers of formats beyond Pillow, or beyond its depths."""
