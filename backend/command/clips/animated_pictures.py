"""Animated pictures: GIF, WebP and APNG, read by Pillow and written frame by frame.

Pillow would keep all frames in memory until the last one, so only the containers are written here, around
frames that are picture files already.

Sources:
    GIF89a specification, 1990; Netscape's application extension for loops
    RFC 9649, *WebP Image Format*, 2.7 (extended file format)
    PNG specification, third edition, 11.3.6 (animation)
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import GifImagePlugin, Image, ImageSequence

from ..picture_files import Canvas
from ..picture_files.errors import reading
from ..picture_files.formats import BY_SUFFIX, identify
from ..picture_files.pixels import Pixels
from ..picture_files.reading import MAX_MEGAPIXELS
from .clip import Frame, StoredFrame

SUFFIXES = (".gif", ".webp", ".apng")
ANIMATED = ("GIF", "WebP", "PNG")
USUAL_MS = 100
"""The duration of a frame without one, as browsers show it."""
MOST_LOOPS = 65535
KEPT, CLEARED = 1, 2
"""A GIF frame's disposal: it stays under the next one, or is removed."""
TRANSPARENT = 255
"""The last colour of a palette, which has 256."""
WEBP_ANIMATION, WEBP_ALPHA, WEBP_PROFILE = 0x02, 0x10, 0x20
NOT_BLENDED = b"\x02"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def is_animated(path: Path) -> bool:
    """Return whether a file is an animated picture."""
    if not path.is_file():
        return False
    with reading(path):
        kind = identify(path)
        if kind.name not in ANIMATED:
            return False
        with Image.open(path, formats=kind.pillow) as image:
            return getattr(image, "n_frames", 1) > 1


@dataclass(frozen=True)
class AnimatedPicture:
    """An animated picture file as a clip."""

    path: Path
    loops: int | None
    count: int
    first: Canvas
    mode: str
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.path.name

    @classmethod
    def open(cls, path: Path, max_megapixels: float = MAX_MEGAPIXELS) -> AnimatedPicture:
        """Read the metadata of a file, and whether a pixel of any frame is transparent.

        Raises:
            PictureFileError: a frame cannot be read, or it is too large.
        """
        first = Canvas.load(path, max_megapixels)
        with reading(path), Image.open(path, formats=identify(path).pillow) as image:
            loops = image.info.get("loop", 1)  # a GIF without the extension plays once
            frames = (frame.convert("RGBA") for frame in ImageSequence.Iterator(image))
            opaque = [frame.getchannel("A").getextrema()[0] == 255 for frame in frames]
        file = replace(first.file, notes=())
        return cls(path, loops, len(opaque), Canvas(file), "RGB" if all(opaque) else "RGBA")

    def frames(self) -> Iterator[Frame]:
        """Yield the frames, each as it is displayed."""
        with reading(self.path), Image.open(self.path, formats=identify(self.path).pillow) as image:
            for number in range(self.count):
                image.seek(number)
                shown = np.asarray(image.convert(self.mode))
                canvas = Canvas(replace(self.first.file, pixels=Pixels.of(shown)))
                yield Frame.of(canvas, Fraction(image.info.get("duration", USUAL_MS) or USUAL_MS) / 1000)


# ── Writing ──────────────────────────────────────────────────────────────────────────────────────


def suffix_of_frames(path: Path) -> str:
    """Return the ending of the picture files from which a clip is written."""
    return ".webp" if path.suffix.lower() == ".webp" else ".png"


def write(path: Path, frames: Iterable[StoredFrame], count: int, loops: int) -> None:
    """Write an animated picture in the format of the path's ending.

    Args:
        path: the file to write.
        frames: picture files of one size and kind, with the ending of `suffix_of_frames`.
        count: the number of frames.
        loops: how often it plays; 0 for ever.

    Raises:
        OSError, ValueError: the file cannot be written.
    """
    with path.open("wb") as file:
        WRITERS[BY_SUFFIX[path.suffix.lower()].name](file, frames, count, min(loops, MOST_LOOPS))


def _milliseconds(frames: Iterable[StoredFrame], unit_ms: int = 1) -> Iterator[tuple[Path, int]]:
    """Yield the durations in milliseconds, in whole units; rounding errors do not add up."""
    exact, written = Fraction(0), 0
    for path, seconds in frames:
        exact += seconds * 1000
        duration = max(unit_ms, round((exact - written) / unit_ms) * unit_ms)
        written += duration
        yield path, duration


def _write_gif(file: BinaryIO, frames: Iterable[StoredFrame], _count: int, loops: int) -> None:
    for path, duration in _milliseconds(frames, unit_ms=10):
        with Image.open(path, formats=("PNG",)) as image:
            if not file.tell():
                file.write(b"GIF89a" + struct.pack("<HHBBB", *image.size, 0, 0, 0))
                if loops != 1:
                    file.write(b"!\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<HB", loops, 0))
            file.write(b"".join(_gif_frame(image, duration)))
    file.write(b";")


def _gif_frame(image: Image.Image, duration: int) -> list[bytes]:
    """Encode a frame with a palette of its own; one with transparency is cleared before the next one."""
    options: Any = {"duration": duration, "include_color_table": True}
    if not image.has_transparency_data:
        paletted = image.convert("RGB").convert("P", palette=Image.Palette.ADAPTIVE)
        return GifImagePlugin.getdata(paletted, disposal=KEPT, **options)
    visible = image.convert("RGBA")
    paletted = visible.convert("RGB").quantize(TRANSPARENT)
    paletted.paste(TRANSPARENT, mask=visible.getchannel("A").point(lambda alpha: 255 * (alpha < 128)))
    return GifImagePlugin.getdata(paletted, disposal=CLEARED, transparency=TRANSPARENT, **options)


def _write_webp(file: BinaryIO, frames: Iterable[StoredFrame], _count: int, loops: int) -> None:
    file.write(b"RIFF\0\0\0\0WEBP")
    flags_at, flags = 0, WEBP_ANIMATION
    for path, duration in _milliseconds(frames):
        chunks = dict(_webp_chunks(path.read_bytes()))
        with Image.open(path, formats=("WEBP",)) as image:
            size = b"".join((side - 1).to_bytes(3, "little") for side in image.size)
            flags |= WEBP_ALPHA if image.has_transparency_data else 0
        if not flags_at:
            flags_at = file.tell() + 8
            file.write(_webp_chunk(b"VP8X", bytes(4) + size))
            if b"ICCP" in chunks:
                flags |= WEBP_PROFILE
                file.write(_webp_chunk(b"ICCP", chunks[b"ICCP"]))
            file.write(_webp_chunk(b"ANIM", bytes(4) + struct.pack("<H", loops)))
        names = (name for name in (b"ALPH", b"VP8 ", b"VP8L") if name in chunks)
        picture = b"".join(_webp_chunk(name, chunks[name]) for name in names)
        head = bytes(6) + size + duration.to_bytes(3, "little") + NOT_BLENDED
        file.write(_webp_chunk(b"ANMF", head + picture))
    length = file.tell()
    file.seek(4)
    file.write(struct.pack("<I", length - 8))
    file.seek(flags_at)
    file.write(bytes([flags]))


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(data):
        (size,) = struct.unpack_from("<I", data, at + 4)
        yield data[at : at + 4], data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _webp_chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def _write_apng(file: BinaryIO, frames: Iterable[StoredFrame], count: int, loops: int) -> None:
    number, end = 0, b""  # number: of the next chunk of the animation
    for path, duration in _milliseconds(frames):
        chunks = list(_png_chunks(path.read_bytes()))
        is_first = not number
        if is_first:
            first_data = [name for name, _ in chunks].index(b"IDAT")
            file.write(PNG_SIGNATURE + b"".join(_png_chunk(*chunk) for chunk in chunks[:first_data]))
            file.write(_png_chunk(b"acTL", struct.pack(">II", count, loops)))
            size, end = chunks[0][1][:8], _png_chunk(*chunks[-1])
        whole_frame = size + bytes(8) + struct.pack(">HHBB", duration, 1000, 0, 0)
        file.write(_png_chunk(b"fcTL", struct.pack(">I", number) + whole_frame))
        number += 1
        for content in (content for name, content in chunks if name == b"IDAT"):
            if is_first:
                file.write(_png_chunk(b"IDAT", content))
            else:
                file.write(_png_chunk(b"fdAT", struct.pack(">I", number) + content))
                number += 1
    file.write(end)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(PNG_SIGNATURE)
    while at + 8 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        at += 12 + size


def _png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


WRITERS: Mapping[str, Callable[[BinaryIO, Iterable[StoredFrame], int, int], None]] = {
    "GIF": _write_gif,
    "WebP": _write_webp,
    "PNG": _write_apng,
}
