"""Decoding of a picture file: its pixels upright, its metadata, and how it was compressed."""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pillow_heif
import resvg_py
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from atelier_shared.messages import MAX_SIDE_PX

from . import deep_pixels, exif, metadata, pnm, profiles
from .errors import DAMAGED, PictureFileError, reading
from .formats import Format, identify
from .metadata import Metadata
from .pixels import MODES, Pixels, inverted
from .streams import seekable
from .tiff_directory import BIG_TIFF

MAX_MEGAPIXELS = 250.0
logging.getLogger("PIL").addHandler(logging.NullHandler())  # its errors are raised as well
Image.MAX_IMAGE_PIXELS = None  # replaced by our own limit, which the user can raise
SVG_PX = 2048
OTHER_FILE = re.compile(
    r"""\b(?:xlink:)?href\s*=\s*(["'])(?!\s*(?:#|data:)).*?\1""", re.IGNORECASE | re.DOTALL
)
DEEP_PNG = 16
"""Bits."""
BOX_BYTES = 65536
"""More than the boxes before the pixels of a JPEG 2000 or AVIF file."""
JP2_HEADER = re.compile(rb"ihdr.{10}(.)", re.DOTALL)
AV1_CODING, HIGH_BIT_DEPTH = re.compile(rb"av1C..(.)", re.DOTALL), 0x40
"""AV1 in ISOBMFF 1.2.0, 2.3.3."""
UPRIGHT: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: lambda values: values[:, ::-1],
    3: lambda values: values[::-1, ::-1],
    4: lambda values: values[::-1],
    5: lambda values: values.swapaxes(0, 1),
    6: lambda values: np.rot90(values, -1),
    7: lambda values: np.rot90(values, 2).swapaxes(0, 1),
    8: lambda values: np.rot90(values, 1),
}
"""How to turn an array (H, W, channels) upright, by the value of Exif's Orientation."""
TURNED = (5, 6, 7, 8)
"""The values of Orientation for swapped width and height."""
DEEP_TIFF = ((10, 1), (12, 1), (14, 1), (16, 1), (16, 3), (24, 3), (32, 3), (64, 3))
"""Bits and kind (1: unsigned, 3: float) of the samples to read with OpenImageIO."""
WHITE_IS_ZERO = 0
"""The value of PhotometricInterpretation of gray pictures stored as negatives."""
TIFF_COMPRESSIONS = {
    1: "raw",
    5: "tiff_lzw",
    8: "tiff_adobe_deflate",
    32773: "packbits",
    32946: "tiff_adobe_deflate",
}


@dataclass(frozen=True)
class Compression:
    """How a file is compressed: its format, if without loss, and Pillow's options to write another alike."""

    format: Format
    lossless: bool
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Decoded:
    """A decoded picture file.

    Attributes:
        pixels: upright, as stored: in the coding of the profile.
        premultiplied: the colours are multiplied by alpha.
        linear: the values are proportional to light.
        notes: sentences about unused parts of the file.
    """

    pixels: Pixels
    metadata: Metadata
    compression: Compression
    premultiplied: bool = False
    linear: bool = False
    notes: tuple[str, ...] = ()


def read(path: Path, max_megapixels: float = MAX_MEGAPIXELS) -> Decoded:
    """Read a picture file.

    Raises:
        PictureFileError: there is no such file, it is in no known format, damaged, or too large.
    """

    def check(width: int, height: int) -> None:
        if width < 1 or height < 1:
            raise ValueError("it has no pixels")
        if max(width, height) > MAX_SIDE_PX:
            raise ValueError(f"its longer side has more than {MAX_SIDE_PX} pixels")
        if width * height > max_megapixels * 1e6:
            raise PictureFileError(
                f"{path} has {width * height / 1e6:.0f} megapixels, above the limit of {max_megapixels:g}. "
                f"If you trust the file, raise the limit with --max-megapixels."
            )

    with reading(path), seekable(path) as file, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kind = identify(file)
        decoded = _with_usable_profile(READERS.get(kind.name, _read_with_pillow)(file, kind, check))
    if any("corrupt" in str(each.message).lower() for each in caught):
        decoded = replace(decoded, notes=(*decoded.notes, "Its damaged metadata is left out."))
    return decoded


Check = Callable[[int, int], None]


# ── With Pillow ──────────────────────────────────────────────────────────────────────────────────


def _read_with_pillow(path: Path, kind: Format, check: Check) -> Decoded:
    with Image.open(path, formats=kind.pillow) as image:
        return _decoded(image, kind, check)


def _decoded(image: ImageFile, kind: Format, check: Check) -> Decoded:
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
    return Decoded(pixels, found, compression, notes=_note_of_frames(frames, kind))


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
        raise ValueError("its values exceed 16 bits; save it as 16-bit")
    return Pixels.of(levels.astype(np.uint16))


def _note_of_frames(frames: int, kind: Format) -> tuple[str, ...]:
    """Return a note if a file has several pictures; the others of a JPEG are previews and depth maps."""
    if frames == 1 or kind.name == "JPEG":
        return ()
    name = "pages" if kind.name == "TIFF" else "frames"
    return (f"It has {frames} {name}; only the first one is used.",)


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
        return Compression(kind, True, {"compression": _tiff_compression(image.tag_v2)})
    if kind.name == "WebP":
        return Compression(kind, _is_lossless_webp(image))
    return Compression(kind, not kind.lossy)


def _tiff_compression(tags: Mapping[int, Any]) -> str:
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


# ── With other libraries ─────────────────────────────────────────────────────────────────────────


def _read_png(path: Path, kind: Format, check: Check) -> Decoded:
    with Image.open(path, formats=kind.pillow) as image:
        with path.open("rb") as file:
            bits = file.read(25)[24]
        if bits != DEEP_PNG:
            return _with_colour_chunks(_decoded(image, kind, check), path)
        check(*image.size)
        image.load()
        orientation, found = image.getexif().get(exif.ORIENTATION, 1), metadata.of_image(image)
        frames = getattr(image, "n_frames", 1)
    picture = deep_pixels.read(path, check)._replace(pictures=frames)
    return _with_colour_chunks(_deep(picture, kind, found, orientation, Compression(kind, True)), path)


def _read_tiff(path: Path, kind: Format, check: Check) -> Decoded:
    with path.open("rb") as file:
        tags = _tiff_tags(file)
        bits, sample, photometric = tags.get(258, 1), tags.get(339, 1), tags.get(262, 1)
        bits, sample = (value[0] if isinstance(value, tuple) else value for value in (bits, sample))
        if photometric not in (0, 1, 2) or (bits, sample) not in DEEP_TIFF:
            return _shallow_tiff(path, kind, check, bits)
        compression = Compression(kind, True, {"compression": _tiff_compression(tags)})
        found, orientation = metadata.of_tiff(tags), tags.get(exif.ORIENTATION, 1)
    picture = deep_pixels.read(path, check)
    if photometric == WHITE_IS_ZERO:
        picture = picture._replace(values=inverted(picture.values))
    return _deep(picture, kind, found, orientation, compression)


def _tiff_tags(file: BinaryIO) -> Image.Exif:
    """Read the tags of a TIFF file; of one in the form for more than 4 GiB, without Exif's directories."""
    tags = Image.Exif()
    head = file.read(16)
    if BIG_TIFF not in head[2:4]:
        file.seek(0)
        tags.load_from_fp(file)
        return tags
    directory = ImageFileDirectory_v2(head)
    file.seek(directory.next)
    directory.load(file)
    tags.update((tag, value) for tag, value in directory.items() if tag not in metadata.DIRECTORIES)
    return tags


def _shallow_tiff(path: Path, kind: Format, check: Check, bits: int) -> Decoded:
    """Read a TIFF file with Pillow, if need be with only 8 bits."""
    decoded = _read_with_pillow(path, kind, check)
    return _with_reduced_bits(decoded, "16") if bits == 16 and decoded.pixels.depth == "u8" else decoded


def _read_pnm(path: Path, kind: Format, check: Check) -> Decoded:
    size = pnm.size_of(path)
    if size is None:
        return _read_with_pillow(path, kind, check)
    check(*size)
    return Decoded(Pixels(pnm.read(path)), Metadata(), Compression(kind, True))


def _read_deep(path: Path, kind: Format, check: Check) -> Decoded:
    picture = deep_pixels.read(path, check)
    return _deep(picture, kind, Metadata(profile=picture.profile), 1, Compression(kind, not kind.lossy))


def _with_colour_chunks(decoded: Decoded, path: Path) -> Decoded:
    """Add the chunks of a PNG that describe its colours, unless a profile does."""
    if decoded.metadata.profile:
        return decoded
    with path.open("rb") as file:
        chunks = {
            name: content for name, content in deep_pixels.png_header(file) if name in metadata.COLOUR_CHUNKS
        }
    return replace(decoded, metadata=replace(decoded.metadata, chunks=chunks))


def _deep(
    picture: deep_pixels.DeepPicture,
    kind: Format,
    found: Metadata,
    orientation: int,
    compression: Compression,
) -> Decoded:
    """Return the decoded file of a picture read by OpenImageIO."""
    if not np.isfinite(picture.values).all():
        raise ValueError("it has infinite or undefined values; repair it first")
    values = UPRIGHT.get(orientation, np.asarray)(picture.values)
    turned = orientation in TURNED
    notes = _note_of_frames(picture.pictures, kind)
    if picture.left_out:
        notes += (f"Its channels {', '.join(picture.left_out)} are not used.",)
    pixels = Pixels.of(np.ascontiguousarray(values))
    return Decoded(
        pixels, found.upright(turned=turned), compression, picture.premultiplied, kind.linear, notes
    )


def _read_jpeg_2000(path: Path, kind: Format, check: Check) -> Decoded:
    """Read a file with Pillow: OpenImageIO 3.2 crashes on some JPEG 2000 files of 16 bits."""
    decoded = _read_with_pillow(path, kind, check)
    deep = (header := _search(JP2_HEADER, path)) and header[0] & 0x7F >= 8  # bits, less one, below the sign
    return _with_reduced_bits(decoded, "16") if deep and decoded.pixels.depth == "u8" else decoded


def _read_avif(path: Path, kind: Format, check: Check) -> Decoded:
    decoded = _read_with_pillow(path, kind, check)
    deep = (coding := _search(AV1_CODING, path)) and coding[0] & HIGH_BIT_DEPTH
    return _with_reduced_bits(decoded, "10 or 12") if deep else decoded


def _search(pattern: re.Pattern[bytes], path: Path) -> bytes:
    """Return the first group of a pattern in the boxes at the start of a file; nothing if it is not there."""
    with path.open("rb") as file:
        found = pattern.search(file.read(BOX_BYTES))
    return found[1] if found else b""


def _with_reduced_bits(decoded: Decoded, bits: str) -> Decoded:
    return replace(decoded, notes=(*decoded.notes, f"Its {bits} bits are reduced to 8."))


def _read_heic(path: Path, kind: Format, check: Check) -> Decoded:
    """Read a HEIC file; its 10 or 12 bits become 16. libheif turns it upright."""
    with path.open("rb") as file:
        heif = pillow_heif.open_heif(file, convert_hdr_to_8bit=False)
        check(*heif.size)
        values = np.asarray(heif)
    if values.dtype == np.uint16:
        bits = heif.info["bit_depth"]
        values = np.rint((values >> (16 - bits)) * (65535 / (2**bits - 1))).astype(np.uint16)
    image = Image.new("L", (1, 1))
    image.info.update(heif.info)
    return Decoded(
        Pixels.of(values), metadata.of_image(image).upright(turned=False), Compression(kind, False)
    )


def _read_svg(path: Path, kind: Format, check: Check) -> Decoded:
    """Render a drawing with a longer side of SVG_PX, without reading any other file."""
    drawing = OTHER_FILE.sub("", path.read_text("utf-8"))
    with _rendered(drawing, width=SVG_PX // 100) as small:
        width, height = small.size
    with _rendered(drawing, width=max(1, min(SVG_PX, SVG_PX * width // height))) as image:
        return _decoded(image, kind, check)


def _rendered(drawing: str, width: int) -> ImageFile:
    return Image.open(io.BytesIO(resvg_py.svg_to_bytes(svg_string=drawing, width=width)), formats=["PNG"])


READERS: Mapping[str, Callable[[Path, Format, Check], Decoded]] = {
    "PNG": _read_png,
    "TIFF": _read_tiff,
    "PNM": _read_pnm,
    "HEIC": _read_heic,
    "AVIF": _read_avif,
    "JPEG 2000": _read_jpeg_2000,
    "JPEG XL": _read_deep,
    "EXR": _read_deep,
    "HDR": _read_deep,
    "SVG": _read_svg,
}
"""The readers of formats beyond Pillow, or beyond its depths."""


def _with_usable_profile(decoded: Decoded) -> Decoded:
    """Drop a profile that is damaged or of another colour space, and note if the values are light."""
    profile = decoded.metadata.profile
    if profile is None:
        return decoded
    mode = MODES[decoded.pixels.channels]
    try:
        if profiles.fits(profile, mode):
            return replace(decoded, linear=decoded.linear or profiles.is_linear(profile))
    except DAMAGED:
        pass
    notes = (*decoded.notes, "Its colour profile is of no use for it and is left out.")
    return replace(decoded, metadata=replace(decoded.metadata, profile=None), notes=notes)
