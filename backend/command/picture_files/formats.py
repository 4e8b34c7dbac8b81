"""The picture formats, recognised by their first bytes. No decoder of another format is ever started.

Pillow would open over forty formats. One of them is PostScript: Ghostscript executes such files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Any

from atelier_shared.messages import CHANNELS, DEPTH_BYTES

from .errors import PictureFileError

HEAD_BYTES = 256
"""More than the longest signature; an SVG may begin with a declaration and comments."""


@dataclass(frozen=True)
class Format:
    """A picture format.

    Attributes:
        start: matches the first bytes of its files.
        pillow: Pillow's names of it; empty if another library reads and writes it.
        depths: the possible depths of its pixels, as in `Picture`; empty if it is only read.
        channels: their possible channels, as in `Picture`.
        metadata: the fields of `Metadata` with a place in its files.
        longest: the bytes of Exif, XMP and IPTC data each that they can hold; None for no limit.
        lossy: its files lose information unless asked otherwise.
        linear: its values are proportional to light.
    """

    name: str
    suffixes: tuple[str, ...]
    start: re.Pattern[bytes]
    pillow: tuple[str, ...] = ()
    depths: tuple[str, ...] = ("u8",)
    channels: tuple[str, ...] = ()
    metadata: frozenset[str] = frozenset()
    longest: int | None = None
    lossy: bool = False
    linear: bool = False


def _row(name: str, suffixes: str, start: bytes, pillow: str, holds: str, **more: Any) -> Format:
    """Return a format; `holds` lists depths, channels and metadata."""
    words = holds.split()
    return Format(
        name,
        tuple(suffixes.split()),
        re.compile(start, re.DOTALL),
        tuple(pillow.split()),
        tuple(word for word in words if word in DEPTH_BYTES),
        tuple(word for word in words if word in CHANNELS),
        frozenset(words) - DEPTH_BYTES.keys() - CHANNELS.keys(),
        **more,
    )


JPEG_2000, JPEG_XL = rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"
AVIF, HEIC = rb"....ftyp(?:avi[fs]|mif1.{0,40}avif)", rb"....ftyp(?:he[iv][cxms]|mif1|msf1)"
SVG = rb"\s*(?:\xef\xbb\xbf)?(?:<\?xml|<!--|<!DOCTYPE svg|<svg)"
ALL = "Y YA RGB RGBA"
FORMATS = (
    _row(
        "PNG", ".png .apng", rb"\x89PNG\r\n\x1a\n", "PNG", f"u8 u16 {ALL} profile exif xmp comment texts dpi"
    ),
    _row(
        *("JPEG", ".jpg .jpeg .jpe .jfif .mpo", rb"\xff\xd8\xff", "JPEG MPO"),
        "u8 Y RGB profile exif xmp iptc comment dpi",
        longest=65_000,  # a segment, less its head
        lossy=True,
    ),
    _row("TIFF", ".tif .tiff", rb"II[*+]\0|MM\0[*+]", "TIFF", f"u8 u16 f32 {ALL} profile exif xmp iptc dpi"),
    _row("WebP", ".webp", rb"RIFF....WEBP", "WEBP", "u8 RGB RGBA profile exif xmp dpi", lossy=True),
    _row("AVIF", ".avif", AVIF, "AVIF", "u8 RGB RGBA profile exif xmp dpi", lossy=True),
    _row("HEIC", ".heic .heif", HEIC, "HEIF", "u8 u16 RGB RGBA profile exif xmp dpi", lossy=True),
    _row("JPEG XL", ".jxl", JPEG_XL, "", "u8 u16 Y RGB RGBA profile exif xmp dpi", lossy=True),
    _row("JPEG 2000", ".jp2 .j2k .jpx", JPEG_2000, "JPEG2000", f"u8 {ALL}"),
    _row("GIF", ".gif", rb"GIF8[79]a", "GIF", "u8 Y RGB RGBA comment"),
    _row("BMP", ".bmp", rb"BM", "BMP", "u8 Y RGB dpi"),
    _row("PNM", ".ppm .pgm .pbm .pnm", rb"P[1-6]\s", "PPM", "u8 u16 Y RGB"),
    _row("EXR", ".exr", rb"v/1\x01", "", f"f32 {ALL}", linear=True),
    _row("HDR", ".hdr", rb"#\?(?:RADIANCE|RGBE)", "", "f32 RGB", linear=True),
    _row("SVG", ".svg", SVG, "", ""),
)
"""The formats to read. A format with depths is written as well."""

BY_SUFFIX = {suffix: each for each in FORMATS for suffix in each.suffixes}


def identify(path: Path) -> Format:
    """Return the format of a file by its first bytes.

    Raises:
        PictureFileError: the file is in none of the formats.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(HEAD_BYTES)
    for each in FORMATS:
        if each.start.match(start):
            return each
    if start.startswith(b"gimp xcf"):
        template = _("{file} is a file of GIMP's own. Export it from GIMP as PNG first.")
        raise PictureFileError(template, file=path)
    known = ", ".join(each.name for each in FORMATS)
    template = _("{file} cannot be read as a picture: it is in none of the formats {known}.")
    raise PictureFileError(template, file=path, known=known)


def by_name(name: str) -> Format:
    """Return the writable format of a name such as png, .jpg or JPEG.

    Raises:
        PictureFileError: there is none.
    """
    wanted = name.lower().removeprefix(".")
    for each in FORMATS:
        if each.depths and wanted in (each.name.lower(), *(suffix[1:] for suffix in each.suffixes)):
            return each
    known = ", ".join(suffix[1:] for suffix in writable_suffixes())
    template = _("{name} is no format for writing. Choose one of {known}.")
    raise PictureFileError(template, name=name, known=known)


def for_writing(path: Path) -> Format:
    """Return the format of a file name's ending.

    Raises:
        PictureFileError: no writable format has such names.
    """
    if path.is_dir():
        template = _("{file} cannot be written because it is a folder. Name a file in it.")
        raise PictureFileError(template, file=path)
    chosen = BY_SUFFIX.get(path.suffix.lower())
    if chosen is None or not chosen.depths:
        raise PictureFileError(
            _no_format(path), file=path, ending=path.suffix, known=", ".join(writable_suffixes())
        )
    return chosen


def _no_format(path: Path) -> str:
    if path.suffix:
        return _(
            "{file} cannot be written, because no picture format has names in {ending}. "
            "Choose a name that ends in one of {known}."
        )
    return _(
        "{file} cannot be written, because its name has no ending. Choose a name that ends in one of {known}."
    )


def writable_suffixes() -> Iterator[str]:
    """Yield the usual ending of each writable format."""
    return (each.suffixes[0] for each in FORMATS if each.depths)
