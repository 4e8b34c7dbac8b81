"""The pictures given beside a layer: each is read once, for the preview and for the run.

GIMP reads a file in one go, and the window stands still for so long. A file is read again when it has
changed, and a layer, which may have been painted on, for every run.
"""

from __future__ import annotations

from typing import Any

from gi.repository import Gimp, Gio, GLib

from atelier_shared.messages import Picture

from .layer_pixels import Poll, coding_for, no_poll
from .source_pictures import LEAST_PX, place_of, read_picture

MOST_PICTURES = 8
VERSION = "standard::size,time::modified,time::modified-usec"


class GivenPictures:
    """Files, layers and patterns as pictures in the colours of the layer `like`; see `read_picture`."""

    def __init__(self, like: Gimp.Layer) -> None:
        self._like = like
        self._read: dict[tuple[object, ...], Picture] = {}

    def __len__(self) -> int:
        """How many pictures are kept."""
        return len(self._read)

    def seen(self, given: Any, longest_px: int) -> Picture:
        """A picture as it was when it was first asked for, of `longest_px` or up to twice as much."""
        side_px = _step_above(longest_px)
        key = (identity(given), side_px, coding_for(self._like, alpha=False))
        if key not in self._read:
            if len(self._read) >= MOST_PICTURES:
                del self._read[next(iter(self._read))]
            self._read[key] = read_picture(given, self._like, side_px)
        return self._read[key]

    def latest(self, given: Any, longest_px: int, turn: Poll = no_poll) -> Picture:
        """A picture as it is now, for a run; `turn` is called where it is read piece by piece."""
        if isinstance(given, Gimp.Layer):
            return read_picture(given, self._like, longest_px, turn)
        return self.seen(given, longest_px)


def identity(given: Any) -> tuple[str, ...]:
    """What tells one given picture from another, and a file from what it was before it changed."""
    if isinstance(given, Gio.File):
        return "file", place_of(given), _version(given)
    number = "" if isinstance(given, Gimp.Resource) else str(given.get_id())
    return type(given).__name__, place_of(given), number


def _version(file: Gio.File) -> str:
    """A file's size and when it was written; nothing where there is no such file."""
    try:
        info = file.query_info(VERSION, Gio.FileQueryInfoFlags.NONE, None)
    except GLib.Error:
        return ""
    return " ".join(str(info.get_attribute_as_string(name)) for name in VERSION.split(","))


def _step_above(longest_px: int) -> int:
    """The smallest doubling of STYLE_PX that is enough, so that a slider does not have all read anew."""
    side_px = LEAST_PX
    while side_px < longest_px:
        side_px *= 2
    return side_px
