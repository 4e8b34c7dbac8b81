"""Metadata in a TIFF file of another library: its directory is written again, at the end.

libtiff writes no directory of Exif tags from Pillow, and OpenImageIO writes a choice of its own.

Source: TIFF 6.0, section 2
"""

from __future__ import annotations

import struct
from pathlib import Path

from . import metadata
from .exif import INCH, RESOLUTION_UNIT, X_RESOLUTION, Y_RESOLUTION
from .metadata import IPTC_TAG, PROFILE_TAG, STRUCTURE_TAGS, XMP_TAG, Metadata

PIXEL_TAGS = STRUCTURE_TAGS - {XMP_TAG, IPTC_TAG, PROFILE_TAG}
ENTRY_BYTES = 12
BIG_TIFF = 43


def add_metadata(path: Path, found: Metadata) -> None:
    """Add metadata to the directory of a TIFF file; a file above 4 GiB stays as it is."""
    with path.open("r+b") as file:
        head = file.read(8)
        order = "<" if head[:2] == b"II" else ">"
        version, first = struct.unpack(order + "2xHI", head)
        if version == BIG_TIFF:
            return
        file.seek(first)
        written = _entries(file.read(2 + ENTRY_BYTES * 0xFFFF), order)
        # The libraries add descriptions of their own, such as the time of writing.
        entries = {tag: entry for tag, entry in written.items() if tag in PIXEL_TAGS}
        end = file.seek(0, 2)
        end += file.write(b"\0" * (end % 2))
        added = _packed(found, head, end)
        entries.update(_entries(added, order))
        file.write(added)
        file.write(struct.pack(order + "H", len(entries)))
        file.write(b"".join(entries[tag] for tag in sorted(entries)) + b"\0" * 4)
        file.seek(4)
        file.write(struct.pack(order + "I", end + len(added)))


def _entries(directory: bytes, order: str) -> dict[int, bytes]:
    """Return the entries of a directory by tag; the values of some lie elsewhere in the file."""
    (count,) = struct.unpack_from(order + "H", directory)
    entries = (
        directory[start : start + ENTRY_BYTES] for start in range(2, 2 + ENTRY_BYTES * count, ENTRY_BYTES)
    )
    return {struct.unpack_from(order + "H", entry)[0]: entry for entry in entries}


def _packed(found: Metadata, head: bytes, position: int) -> bytes:
    """Return a directory with the metadata, and the values of its entries, for a position in the file."""
    directory = metadata.tiff_directory(found, head)
    if found.profile:
        directory.tagtype[PROFILE_TAG] = 7
        directory[PROFILE_TAG] = found.profile
    if found.dpi:
        directory[X_RESOLUTION], directory[Y_RESOLUTION] = found.dpi
        directory[RESOLUTION_UNIT] = INCH
    packed: bytes = directory.tobytes(position)
    return packed + b"\0" * (len(packed) % 2)
