"""Reading of picture files with Pillow: pixels of 8 bits, and gray ones of 16 bits and floats."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from gettext import gettext as _
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from . import exif, metadata, profiles
from .decoded import TURNED, Check, Compression, Decoded, note_of_frames
from .formats import Format
from .pixels import Pixels

logging.getLogger("PIL").addHandler(logging.NullHandler())  # its errors are raised as well
Image.MAX_IMAGE_PIXELS = None  # replaced by our own limit, which the user can raise
TIFF_COMPRESSIONS = {
    1: "raw",
    5: "tiff_lzw",
    8: "tiff_adobe_deflate",
    32773: "packbits",
    32946: "tiff_adobe_deflate",
}
BOX_BYTES = 65536
"""More than the boxes before the pixels of a JPEG 2000 or AVIF file."""
JP2_HEADER = re.compile(rb"ihdr.{10}(.)", re.DOTALL)
AV1_CODING, HIGH_BIT_DEPTH = re.compile(rb"av1C..(.)", re.DOTALL), 0x40
"""AV1 in ISOBMFF 1.2.0, 2.3.3."""


def read(path: Path, kind: Format, check: Check) -> Decoded:
    """Read a file of a format that Pillow knows.

    Raises:
        One of DAMAGED, or what `check` raises.
    """
    with Image.open(path, formats=kind.pillow) as image:
        return decode(image, kind, check)


def decode(image: ImageFile, kind: Format, check: Check) -> Decoded:
    """Decode an opened image, turned upright, in one of the modes of `Picture`."""
    check(*image.size)
    frames = getattr(image, "n_frames", 1)
    orientation = image.getexif().get(exif.ORIENTATION, 1)
    compression = _compression_of(image, kind)
    tiff = metadata.of_tiff(image.getexif()) if isinstance(image, TiffImageFile) else None
    image.load()
    found = tiff or metadata.of_image(image)
    pixels, profile = _pixels_of(ImageOps.exif_transpose(image), found.profile)
    turned = orientation in TURNED
    if turned:
        compression = replace(compression, options=_turned(compression.options))
    found = replace(found, profile=profile).upright(turned=turned)
    return Decoded(pixels, found, compression, notes=note_of_frames(frames, kind))


def _pixels_of(image: Image.Image, profile: bytes | None) -> tuple[Pixels, bytes | None]:
    """Return an image's pixels and their profile, converted to sRGB if no `Picture` has such channels.

    Raises:
        ValueError: the values exceed 16 bits.
    """
    if image.mode == "F":
        return Pixels.of(np.asarray(image)), profile
    if image.mode.startswith("I"):
        return _integers(image), profile
    if image.mode == "LAB" or (image.mode == "CMYK" and profile and profiles.fits(profile, "CMYK")):
        return Pixels.of(np.asarray(profiles.to_profile(image, profile, None))), profiles.SRGB
    model = "L" if Image.getmodebase(image.mode) == "L" else "RGB"
    mode = model + "A" if image.has_transparency_data else model
    return Pixels.of(np.asarray(image if image.mode == mode else image.convert(mode))), profile


def _integers(image: Image.Image) -> Pixels:
    """Return the 16-bit pixels of a gray picture of integers of any width and byte order."""
    levels = np.asarray(image)
    if levels.min() < 0 or levels.max() > np.iinfo(np.uint16).max:
        raise ValueError(_("its values exceed 16 bits; save it as 16-bit"))
    return Pixels.of(levels.astype(np.uint16))


# ── How it was compressed ────────────────────────────────────────────────────────────────────────


def _compression_of(image: ImageFile, kind: Format) -> Compression:
    if kind.name == "JPEG" and image.mode in ("L", "RGB"):
        sampling = metadata.jpeg_sampling(image)
        tables = getattr(image, "quantization", {})
        options = {
            "qtables": tables,
            "subsampling": sampling,
            "progressive": bool(image.info.get("progressive")),
        }
        return Compression(kind, False, options)
    if isinstance(image, TiffImageFile):
        return Compression(kind, True, {"compression": tiff_compression(image.tag_v2)})
    if kind.name == "WebP":
        return Compression(kind, _is_lossless_webp(image))
    return Compression(kind, not kind.lossy)


def tiff_compression(tags: Mapping[int, Any]) -> str:
    """Return Pillow's name of the compression of a TIFF file; deflate if it is unusual."""
    return TIFF_COMPRESSIONS.get(tags.get(259, 1), "tiff_adobe_deflate")


def _is_lossless_webp(image: ImageFile) -> bool:
    """Return whether the first picture of a WebP file is stored without loss (RFC 9649, 2.6)."""
    assert image.fp is not None
    image.fp.seek(0)
    data = image.fp.read()
    lossless, lossy = data.find(b"VP8L"), data.find(b"VP8 ")
    return lossless >= 0 and (lossy < 0 or lossless < lossy)


def _turned(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options for the picture with rows and columns swapped."""
    turned = dict(options)
    if "qtables" in turned:
        tables = turned["qtables"].items()
        turned["qtables"] = {number: np.reshape(table, (8, 8)).T.ravel().tolist() for number, table in tables}
        if turned["subsampling"] == 1:  # 4:2:2 turned is 4:4:0, which Pillow cannot write
            turned["subsampling"] = 0
    return turned


# ── Files of boxes ───────────────────────────────────────────────────────────────────────────────


def read_jpeg_2000(path: Path, kind: Format, check: Check) -> Decoded:
    """Read a file with Pillow: OpenImageIO 3.2 crashes on some JPEG 2000 files of 16 bits."""
    decoded = read(path, kind, check)
    deep = (header := _search(JP2_HEADER, path)) and header[0] & 0x7F >= 8  # bits, less one, below the sign
    return (
        decoded.with_note(_("Its 16 bits are reduced to 8."))
        if deep and decoded.pixels.depth == "u8"
        else decoded
    )


def read_avif(path: Path, kind: Format, check: Check) -> Decoded:
    """Read an AVIF file; Pillow reduces it to 8 bits."""
    decoded = read(path, kind, check)
    deep = (coding := _search(AV1_CODING, path)) and coding[0] & HIGH_BIT_DEPTH
    return decoded.with_note(_("Its 10 or 12 bits are reduced to 8.")) if deep else decoded


def _search(pattern: re.Pattern[bytes], path: Path) -> bytes:
    """Return the first group of a pattern in the boxes at the start of a file; nothing if it is not there."""
    with path.open("rb") as file:
        found = pattern.search(file.read(BOX_BYTES))
    return found[1] if found else b""
