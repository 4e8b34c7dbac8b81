"""Edits of Exif data in place: upright orientation, no thumbnail, swapped sides. Other bits do not change.

Rewriting the data would move the manufacturers' notes, and their offsets count from its start.

Sources:
    CIPA DC-008-2023 (Exif 3.0), 4.6; TIFF 6.0, section 2
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

HEADER = b"Exif\0\0"
ORIENTATION, EXIF_DIRECTORY, WIDTH, HEIGHT = 0x0112, 0x8769, 0xA002, 0xA003
THUMBNAIL_START, THUMBNAIL_BYTES = 0x0201, 0x0202
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT, INCH = 282, 283, 296, 2
SHORT, RATIONAL, DENOMINATOR = 3, 5, 1000
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}


class ExifEntry(NamedTuple):
    """An entry of a directory: its tag, and the type, number and position of its values."""

    tag: int
    type: int
    values: int
    position: int


class _Editor:
    """Exif data to change in place, without HEADER."""

    def __init__(self, data: bytes) -> None:
        self.bytes = bytearray(data)
        self.order = "<" if data[:2] == b"II" else ">"

    def number(self, form: str, position: int) -> int:
        value: int = struct.unpack_from(self.order + form, self.bytes, position)[0]
        return value

    def entries(self, directory: int) -> Iterator[ExifEntry]:
        for position in range(directory + 2, self.end(directory), 12):
            tag, type, values = struct.unpack_from(self.order + "HHI", self.bytes, position)
            yield ExifEntry(tag, type, values, position + 8)

    def end(self, directory: int) -> int:
        """Return the position of the link to the next directory."""
        return directory + 2 + 12 * self.number("H", directory)

    def value(self, entry: ExifEntry) -> int:
        return self.number("H" if entry.type == 3 else "I", entry.position)

    def set_value(self, entry: ExifEntry, value: int) -> None:
        struct.pack_into(self.order + ("H" if entry.type == 3 else "I"), self.bytes, entry.position, value)

    def erase(self, start: int, length: int) -> None:
        """Overwrite bytes by zeros, or cut them off at the end of the data."""
        end = start + length
        if end >= len(self.bytes):
            del self.bytes[start:]
        else:
            self.bytes[start:end] = bytes(length)


def upright(data: bytes, *, turned: bool) -> bytes:
    """Return the Exif data of a picture after turning it upright; `turned`: this swapped width and height.

    Raises:
        struct.error: the data is damaged.
    """
    editor = _Editor(data)
    first = editor.number("I", 4)
    for entry in editor.entries(first):
        if entry.tag == ORIENTATION:
            editor.set_value(entry, 1)
        if entry.tag == EXIF_DIRECTORY and turned:
            _swap_sides(editor, editor.value(entry))
    _remove_thumbnail(editor, editor.end(first))
    return bytes(editor.bytes)


def with_resolution(data: bytes, dpi: tuple[float, float]) -> bytes:
    """Return Exif data with a resolution, unless it has one: in a new first directory, at the end.

    Raises:
        struct.error: the data is damaged.
    """
    editor = _Editor(data + b"\0" * (len(data) % 2))
    first = editor.number("I", 4)
    entries: dict[int, bytes] = {
        entry.tag: bytes(editor.bytes[entry.position - 8 : entry.position + 4])
        for entry in editor.entries(first)
    }
    if X_RESOLUTION in entries:
        return data
    end = len(editor.bytes)
    entries[X_RESOLUTION] = struct.pack(editor.order + "HHII", X_RESOLUTION, RATIONAL, 1, end)
    entries[Y_RESOLUTION] = struct.pack(editor.order + "HHII", Y_RESOLUTION, RATIONAL, 1, end + 8)
    entries[RESOLUTION_UNIT] = struct.pack(editor.order + "HHIHH", RESOLUTION_UNIT, SHORT, 1, INCH, 0)
    x, y = (round(value * DENOMINATOR) for value in dpi)
    editor.bytes += struct.pack(editor.order + "4IH", x, DENOMINATOR, y, DENOMINATOR, len(entries))
    editor.bytes += b"".join(entries[tag] for tag in sorted(entries)) + b"\0" * 4
    struct.pack_into(editor.order + "I", editor.bytes, 4, end + 16)
    return bytes(editor.bytes)


def _swap_sides(editor: _Editor, directory: int) -> None:
    sides = {entry.tag: entry for entry in editor.entries(directory) if entry.tag in (WIDTH, HEIGHT)}
    if len(sides) == 2:
        width, height = editor.value(sides[WIDTH]), editor.value(sides[HEIGHT])
        editor.set_value(sides[WIDTH], height)
        editor.set_value(sides[HEIGHT], width)


def _remove_thumbnail(editor: _Editor, link: int) -> None:
    """Erase the thumbnail, and the second directory with its description."""
    directory = editor.number("I", link)
    if not directory:
        return
    entries = list(editor.entries(directory))
    struct.pack_into(editor.order + "I", editor.bytes, link, 0)
    values = {entry.tag: editor.value(entry) for entry in entries}
    places = [
        (editor.number("I", entry.position), TYPE_BYTES[entry.type] * entry.values)
        for entry in entries
        if TYPE_BYTES.get(entry.type, 0) * entry.values > 4
    ]
    if THUMBNAIL_START in values:
        places.append((values[THUMBNAIL_START], values.get(THUMBNAIL_BYTES, 0)))
    places.append((directory, 2 + 12 * len(entries) + 4))
    for start, length in sorted(places, reverse=True):
        editor.erase(start, length)
