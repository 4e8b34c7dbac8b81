"""A cache of style and guide pictures, shared by the preview and the run.

GIMP reads a file in one call, and the dialog does not respond meanwhile. The cache reads a file again
only if it has changed. It reads a layer again for every run, because its pixels may have changed.
"""

from __future__ import annotations

from gi.repository import Gimp, Gio, GLib

from atelier_shared.messages import Picture

from .layer_pixels import Coding, Poll, coding_for, no_poll
from .source_pictures import LEAST_PX, SourcePicture, place_of, read_picture

MOST_PICTURES = 8
VERSION = "standard::size,time::modified,time::modified-usec"

Identity = tuple[str, ...]


class PictureCache:
    """Pictures as `read_picture` returns them for the layer `like`."""

    def __init__(self, like: Gimp.Layer) -> None:
        self._like = like
        self._pictures: dict[tuple[Identity, int, Coding], Picture] = {}

    def __len__(self) -> int:
        """Return the number of pictures in the cache."""
        return len(self._pictures)

    def for_preview(self, source: SourcePicture, longest_px: int) -> Picture:
        """Return a picture as first read, with `longest_px` rounded up to one of few sizes."""
        side_px = _rounded_up(longest_px)
        key = (identity(source), side_px, coding_for(self._like, alpha=False))
        if key not in self._pictures:
            if len(self._pictures) >= MOST_PICTURES:
                del self._pictures[next(iter(self._pictures))]
            self._pictures[key] = read_picture(source, self._like, side_px)
        return self._pictures[key]

    def for_run(self, source: SourcePicture, longest_px: int, poll: Poll = no_poll) -> Picture:
        """Return a picture as it is now; `poll` is called between the strips of a layer."""
        if isinstance(source, Gimp.Layer):
            return read_picture(source, self._like, longest_px, poll)
        return self.for_preview(source, longest_px)


def identity(source: SourcePicture) -> Identity:
    """Return a key for a source picture; the key of a file changes with its contents."""
    if isinstance(source, Gio.File):
        return "file", place_of(source), _version(source)
    number = "" if isinstance(source, Gimp.Resource) else str(source.get_id())
    return type(source).__name__, place_of(source), number


def _version(file: Gio.File) -> str:
    """Return a file's size and time of modification; an empty text if the file does not exist."""
    try:
        info = file.query_info(VERSION, Gio.FileQueryInfoFlags.NONE, None)
    except GLib.Error:
        return ""
    return " ".join(str(info.get_attribute_as_string(name)) for name in VERSION.split(","))


def _rounded_up(longest_px: int) -> int:
    """Round up to LEAST_PX × 2^n, so that few positions of a size slider cause another read."""
    side_px = LEAST_PX
    while side_px < longest_px:
        side_px *= 2
    return side_px
