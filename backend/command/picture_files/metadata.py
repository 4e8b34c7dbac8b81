"""A picture's metadata: colour profile, Exif, XMP, IPTC, comment, texts and resolution; from file to file.

Sources:
    XMP Specification Part 3 (2020), 1.1; Adobe Photoshop File Formats, *Image Resource Blocks*
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

from . import exif
from .exif import INCH, RESOLUTION_UNIT, X_RESOLUTION, Y_RESOLUTION

IPTC_RESOURCE = 0x0404
XMP_TAG, IPTC_TAG, PROFILE_TAG = 700, 33723, 34675
CENTIMETRE = 3
EMPTY_EXIF = b"II*\0\x08\0\0\0" + b"\0" * 6
"""Exif data with a directory without entries."""
STRUCTURE_TAGS = frozenset(
    (
        *(254, 255, 256, 257, 258, 259, 262, 263, 266, 273, 274, 277, 278, 279, 280, 281, 282, 283, 284, 288),
        *(289, 290, 291, 292, 293, 296, 297, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 330, 332, 334),
        *(336, 338, 339, 340, 341, 342, 347, *range(512, 522), 529, 530, 531, 532, 34377),
        *(XMP_TAG, IPTC_TAG, PROFILE_TAG),
    )
)
"""TIFF tags for the storage of the pixels, or kept apart in `Metadata`."""
DIRECTORIES = (exif.EXIF_DIRECTORY, 0x8825)
"""The tags of the directories for Exif's own tags and for GPS."""
XMP_TEXT = "XML:com.adobe.xmp"
WITH_XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|>))[2-8]""")
COLOUR_CHUNKS = (b"cICP", b"cHRM", b"gAMA", b"sRGB", b"mDCV", b"cLLI")
NAMES = {
    "profile": "the colour profile (the colours become sRGB)",
    "exif": "Exif data",
    "xmp": "XMP data",
    "iptc": "IPTC data",
    "comment": "the comment",
    "texts": "texts",
    "dpi": "the resolution",
}


@dataclass(frozen=True)
class Metadata:
    """The metadata of an upright picture, empty or None where there is none.

    Attributes:
        profile: an ICC profile; None means sRGB.
        exif: Exif data as a TIFF structure, without the six bytes before it in a JPEG.
        texts: texts of a PNG by keyword.
        chunks: a PNG's own descriptions of its colours, in COLOUR_CHUNKS.
        dpi: horizontal and vertical resolution in pixels per inch.
    """

    profile: bytes | None = None
    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    comment: bytes = b""
    texts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    chunks: Mapping[bytes, bytes] = dataclasses.field(default_factory=dict)
    dpi: tuple[float, float] | None = None

    def upright(self, *, turned: bool) -> Metadata:
        """Return the metadata of the picture turned upright; `turned`: width and height were swapped.

        Damaged Exif data is dropped.
        """
        try:
            data = exif.upright(self.exif, turned=turned) if self.exif else b""
        except (struct.error, IndexError):
            data = b""
        dpi = self.dpi[::-1] if self.dpi and turned else self.dpi
        return replace(self, exif=data, xmp=WITH_XMP_ORIENTATION.sub(rb"\g<1>1", self.xmp), dpi=dpi)

    def lost_in(self, held: frozenset[str], longest: int | None) -> list[str]:
        """Return the names of the metadata without a place in a format with the fields `held`."""
        fitting = self.fitting(longest)
        return [
            name
            for field, name in NAMES.items()
            if getattr(self, field) and (field not in held or not getattr(fitting, field))
        ]

    def fitting(self, longest: int | None) -> Metadata:
        """Return the metadata without data above a length in bytes; None for no limit."""
        if longest is None:
            return self
        too_long = {name: b"" for name in ("exif", "xmp", "iptc") if len(getattr(self, name)) > longest}
        return replace(self, **too_long)  # type: ignore[arg-type]


# ── From a file ──────────────────────────────────────────────────────────────────────────────────


def of_image(image: Image.Image) -> Metadata:
    """Return the metadata of a loaded image of Pillow."""
    info = image.info
    texts = dict(getattr(image, "text", None) or {})
    comment = info.get("comment") or texts.pop("Comment", "")
    return Metadata(
        profile=info.get("icc_profile") or None,
        exif=_without_header(info.get("exif") or b""),
        xmp=_as_bytes(info.get("xmp") or texts.pop(XMP_TEXT, "")),
        iptc=_as_bytes((info.get("photoshop") or {}).get(IPTC_RESOURCE) or b""),
        comment=_as_bytes(comment),
        texts={name: text for name, text in texts.items() if name != XMP_TEXT},
        dpi=_resolution(info.get("dpi")) or _resolution_of(image.getexif()),
    )


def of_exif(data: bytes, xmp: bytes) -> Metadata:
    """Return metadata of Exif and XMP data."""
    tags = Image.Exif()
    with contextlib.suppress(struct.error, SyntaxError, OSError):
        tags.load(exif.HEADER + data)
    return Metadata(exif=data, xmp=xmp, dpi=_resolution_of(tags))


def of_tiff(tags: Image.Exif) -> Metadata:
    """Return the metadata in the directory of a TIFF file, by its tags."""
    return Metadata(
        profile=_as_bytes(tags.get(PROFILE_TAG) or b"") or None,
        exif=_tiff_exif(tags),
        xmp=_as_bytes(tags.get(XMP_TAG) or b""),
        iptc=_as_bytes(tags.get(IPTC_TAG) or b""),
        dpi=_resolution_of(tags),
    )


def _tiff_exif(tags: Image.Exif) -> bytes:
    """Return the descriptive tags of a TIFF file as Exif data."""
    kept = Image.Exif()
    for tag, value in tags.items():
        if tag not in STRUCTURE_TAGS:
            kept[tag] = tags.get_ifd(tag) if tag in DIRECTORIES else value
    return _without_header(kept.tobytes()) if len(kept) else b""


def _without_header(data: bytes) -> bytes:
    return data.removeprefix(exif.HEADER)


def _as_bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, tuple) and value and isinstance(value[0], int):
        return struct.pack(f"<{len(value)}I", *value)  # IPTC data is often stored as numbers of 32 bits
    return bytes(value) if not isinstance(value, tuple) else b"".join(value)


def _resolution_of(tags: Image.Exif) -> tuple[float, float] | None:
    """Return the resolution in the tags of Exif or TIFF."""
    unit = tags.get(RESOLUTION_UNIT, INCH)
    if not (tags.get(X_RESOLUTION) and tags.get(Y_RESOLUTION)) or unit not in (INCH, CENTIMETRE):
        return None
    factor = 2.54 if unit == CENTIMETRE else 1.0
    return _resolution((factor * float(tags[X_RESOLUTION]), factor * float(tags[Y_RESOLUTION])))


def _resolution(dpi: Any) -> tuple[float, float] | None:
    """Return a plausible resolution as two numbers, otherwise None."""
    if not dpi or not all(0.1 < float(value) < 1e6 for value in dpi) or tuple(map(float, dpi)) == (1.0, 1.0):
        return None
    return float(dpi[0]), float(dpi[1])


# ── Into a file ──────────────────────────────────────────────────────────────────────────────────


def save_options(metadata: Metadata, name: str) -> dict[str, Any]:
    """Return the options of Pillow's `save` to write the metadata into a file of the format `name`."""
    options = OPTIONS[name](metadata) if name in OPTIONS else {}
    return {option: value for option, value in options.items() if value}


def _common(metadata: Metadata) -> dict[str, Any]:
    data = exif.HEADER + metadata.exif if metadata.exif else b""
    return {"icc_profile": metadata.profile, "exif": data, "xmp": metadata.xmp}


def _resolution_in_exif(metadata: Metadata) -> dict[str, Any]:
    """Return the common options, with the resolution in the Exif data, where these formats keep it."""
    if not metadata.dpi:
        return _common(metadata)
    data = metadata.exif or EMPTY_EXIF
    return _common(replace(metadata, exif=exif.with_resolution(data, metadata.dpi)))


def _for_png(metadata: Metadata) -> dict[str, Any]:
    texts = PngImagePlugin.PngInfo()
    for chunk, content in metadata.chunks.items():
        texts.add(chunk, content)
    for name, text in metadata.texts.items():
        texts.add_itxt(name, text) if not text.isascii() else texts.add_text(name, text)
    if metadata.comment:
        texts.add_itxt("Comment", metadata.comment.decode(errors="replace"))
    if metadata.xmp:
        texts.add_itxt(XMP_TEXT, metadata.xmp.decode(errors="replace"))
    return {**_common(metadata), "xmp": None, "pnginfo": texts, "dpi": metadata.dpi}


def _for_jpeg(metadata: Metadata) -> dict[str, Any]:
    dpi = metadata.dpi and tuple(map(round, metadata.dpi))
    resources = _photoshop_resource(metadata.iptc) if metadata.iptc else b""
    return {**_common(metadata), "dpi": dpi, "comment": metadata.comment, "extra": resources}


def _photoshop_resource(iptc: bytes) -> bytes:
    """Return a JPEG segment (APP13) with IPTC data."""
    resource = b"8BIM" + struct.pack(">HHI", IPTC_RESOURCE, 0, len(iptc)) + iptc + b"\0" * (len(iptc) % 2)
    content = b"Photoshop 3.0\0" + resource
    return b"\xff\xed" + struct.pack(">H", len(content) + 2) + content


def tiff_directory(metadata: Metadata, head: bytes) -> TiffImagePlugin.ImageFileDirectory_v2:
    """Return the descriptive tags as a directory for a TIFF file beginning with the 8 bytes `head`."""
    directory = TiffImagePlugin.ImageFileDirectory_v2(head)
    read = Image.Exif()
    if metadata.exif:
        read.load(exif.HEADER + metadata.exif)
    for tag, value in read.items():
        if tag not in STRUCTURE_TAGS:
            directory[tag] = read.get_ifd(tag) if tag in DIRECTORIES else value
    for tag, content in ((XMP_TAG, metadata.xmp), (IPTC_TAG, metadata.iptc)):
        if content:
            directory.tagtype[tag] = 1 if tag == XMP_TAG else 7
            directory[tag] = content
    return directory


OPTIONS: Mapping[str, Callable[[Metadata], dict[str, Any]]] = {
    "PNG": _for_png,
    "JPEG": _for_jpeg,
    "WebP": _resolution_in_exif,
    "AVIF": _resolution_in_exif,
    "HEIC": _resolution_in_exif,
    "JPEG XL": _resolution_in_exif,
    "GIF": lambda metadata: {"comment": metadata.comment},
    "BMP": lambda metadata: {"dpi": metadata.dpi},
}


def jpeg_sampling(image: Image.Image) -> int:
    """Return Pillow's number of the chroma subsampling of an opened JPEG; 0 (4:4:4) if it is unusual."""
    return max(0, JpegImagePlugin.get_sampling(image))
