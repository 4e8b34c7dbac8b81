"""Metadata of JPEG XL files: boxes around the code stream, which OpenImageIO neither reads nor writes.

Source: ISO/IEC 18181-2:2024, 9 (boxes)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

SIGNATURE = b"\0\0\0\x0cJXL \r\n\x87\n"
FILE_TYPE_BYTES = 20
EXIF, XMP = b"Exif", b"xml "
TIFF_OFFSET = b"\0\0\0\0"
"""Before the Exif data in its box: the position of the TIFF header."""


def read(path: Path) -> tuple[bytes, bytes]:
    """Return the Exif and the XMP data of a file, empty where there is none or it is compressed."""
    boxes = dict(_boxes(path.read_bytes()))
    data = boxes.get(EXIF, b"")
    start = struct.unpack(">I", data[:4])[0] if len(data) > 4 else 0
    return data[4 + start :], boxes.get(XMP, b"")


def add_metadata(path: Path, exif: bytes, xmp: bytes) -> None:
    """Put boxes with Exif and XMP data before the code stream of a file with boxes."""
    boxes = [_box(EXIF, TIFF_OFFSET + exif)] if exif else []
    boxes += [_box(XMP, xmp)] if xmp else []
    content = path.read_bytes()
    assert content.startswith(SIGNATURE), "OpenImageIO writes boxes"
    start = len(SIGNATURE) + FILE_TYPE_BYTES
    path.write_bytes(b"".join([content[:start], *boxes, content[start:]]))


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, name) + content


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of each box of a file; of a file without boxes, nothing."""
    position = 0 if data.startswith(SIGNATURE) else len(data)
    while position + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        head = 8
        if length == 1 and position + 16 <= len(data):
            length, head = struct.unpack_from(">Q", data, position + 8)[0], 16
        end = len(data) if length == 0 else position + length
        if length and length < head:
            return
        yield name, data[position + head : end]
        position = end
