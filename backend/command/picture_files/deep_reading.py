"""Reading of picture files with more than 8 bits, with Pillow's metadata and OpenImageIO's pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from gettext import gettext as _
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from . import deep_pixels, exif, jxl_boxes, metadata, pillow_reading, pnm
from .decoded import TURNED, Check, Compression, Decoded, note_of_frames
from .formats import Format
from .metadata import Metadata
from .pixels import Pixels, inverted
from .tiff_directory import BIG_TIFF

DEEP_PNG = 16
"""Bits."""
DEEP_TIFF = ((10, 1), (12, 1), (14, 1), (16, 1), (16, 3), (24, 3), (32, 3), (64, 3))
"""Bits and kind (1: unsigned, 3: float) of the samples to read with OpenImageIO."""
WHITE_IS_ZERO = 0
"""The value of PhotometricInterpretation of gray pictures stored as negatives."""
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


def read_png(path: Path, kind: Format, check: Check) -> Decoded:
    """Read a PNG file of 16 bits, or with Pillow one of fewer."""
    with Image.open(path, formats=kind.pillow) as image:
        with path.open("rb") as file:
            bits = file.read(25)[24]
        if bits != DEEP_PNG:
            return _with_colour_chunks(pillow_reading.decode(image, kind, check), path)
        check(*image.size)
        image.load()
        orientation, found = image.getexif().get(exif.ORIENTATION, 1), metadata.of_image(image)
        frames = getattr(image, "n_frames", 1)
    picture = deep_pixels.read(path, check)._replace(pictures=frames)
    return _with_colour_chunks(_deep(picture, kind, found, orientation, Compression(kind, True)), path)


def read_tiff(path: Path, kind: Format, check: Check) -> Decoded:
    """Read a TIFF file of 10 to 16 bits or of floats, or with Pillow another one."""
    with path.open("rb") as file:
        tags = _tiff_tags(file)
        bits, sample, photometric = tags.get(258, 1), tags.get(339, 1), tags.get(262, 1)
        bits, sample = (value[0] if isinstance(value, tuple) else value for value in (bits, sample))
        if photometric not in (0, 1, 2) or (bits, sample) not in DEEP_TIFF:
            return _shallow_tiff(path, kind, check, bits)
        compression = Compression(kind, True, {"compression": pillow_reading.tiff_compression(tags)})
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
    decoded = pillow_reading.read(path, kind, check)
    return (
        decoded.with_note(_("Its 16 bits are reduced to 8."))
        if bits == 16 and decoded.pixels.depth == "u8"
        else decoded
    )


def read_pnm(path: Path, kind: Format, check: Check) -> Decoded:
    """Read a PNM file of 16 bits, or with Pillow one of fewer."""
    size = pnm.size_of(path)
    if size is None:
        return pillow_reading.read(path, kind, check)
    check(*size)
    return Decoded(Pixels(pnm.read(path)), Metadata(), Compression(kind, True))


def read_light(path: Path, kind: Format, check: Check) -> Decoded:
    """Read an OpenEXR or Radiance file."""
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
        raise ValueError(_("it has infinite or undefined values; repair it first"))
    values = UPRIGHT.get(orientation, np.asarray)(picture.values)
    turned = orientation in TURNED
    notes = note_of_frames(picture.pictures, kind)
    if picture.left_out:
        text = _("Its channels {names} are not used.")
        notes += (text.format(names=", ".join(picture.left_out)),)
    pixels = Pixels.of(np.ascontiguousarray(values))
    return Decoded(
        pixels, found.upright(turned=turned), compression, picture.premultiplied, kind.linear, notes
    )


def read_jpeg_xl(path: Path, kind: Format, check: Check) -> Decoded:
    """Read a JPEG XL file; its code stream has an orientation of its own, which libjxl applies."""
    decoded = read_light(path, kind, check)
    found = metadata.of_exif(*jxl_boxes.read(path))
    return replace(decoded, metadata=replace(found, profile=decoded.metadata.profile).upright(turned=False))
