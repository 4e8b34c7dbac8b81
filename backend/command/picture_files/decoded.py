"""A decoded picture file: its pixels, its metadata, and how it was compressed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from gettext import gettext as _
from typing import Any

from .formats import Format
from .metadata import Metadata
from .pixels import Pixels

Check = Callable[[int, int], None]
"""Raises an error if a picture of some width and height is too large; called before it is decoded."""
TURNED = (5, 6, 7, 8)
"""The values of Exif's Orientation for swapped width and height."""


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

    def with_note(self, note: str) -> Decoded:
        """Return the same with another note."""
        return replace(self, notes=(*self.notes, note))


def note_of_frames(frames: int, kind: Format) -> tuple[str, ...]:
    """Return a note if a file has several pictures; the others of a JPEG are previews and depth maps."""
    if frames == 1 or kind.name == "JPEG":
        return ()
    text = _("It has {count} frames; only the first one is used.")
    if kind.name == "TIFF":
        text = _("It has {count} pages; only the first one is used.")
    return (text.format(count=frames),)
