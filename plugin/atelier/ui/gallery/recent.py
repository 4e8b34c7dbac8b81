"""Recent picture files and favourites, stored in a small file in Atelier's home folder.

A damaged file counts as empty. A file that cannot be written is ignored.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from atelier_shared.home import STYLES_FILE, STYLES_FOLDER, atelier_home, read_json_object, write_json_object

MAX_RECENT = 24


class History(NamedTuple):
    """The URIs of recent files, newest first, and the keys of favourite entries, oldest first."""

    recent: tuple[str, ...] = ()
    favourites: tuple[str, ...] = ()


@runtime_checkable
class File(Protocol):
    """A picture with a URI, such as a Gio.File."""

    def get_uri(self) -> str:
        """Return its URI."""


def read_history() -> History:
    """Read the stored history. Values of an unexpected type are left out."""
    fields = read_json_object(_history_file())
    return History(*(_texts(fields.get(name)) for name in History._fields))


def add_recent(pictures: Iterable[object]) -> None:
    """Store the files among `pictures` as the most recent ones. Layers are not stored: they may not last.

    Nor are the pictures of gallery styles: they have their own group.
    """
    of_styles = (atelier_home() / STYLES_FOLDER).as_uri()
    uris = [picture.get_uri() for picture in pictures if isinstance(picture, File)]
    uris = [uri for uri in uris if not uri.startswith(of_styles)]
    if uris:
        history = read_history()
        recent = tuple(dict.fromkeys((*uris, *history.recent)))[:MAX_RECENT]
        _write(history._replace(recent=recent))


def set_favourite(key: str, is_favourite: bool) -> None:
    """Add the entry with this key to the favourites, or remove it."""
    history = read_history()
    others = tuple(each for each in history.favourites if each != key)
    _write(history._replace(favourites=(*others, key) if is_favourite else others))


def _history_file() -> Path:
    return atelier_home() / STYLES_FILE


def _texts(value: object) -> tuple[str, ...]:
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()


def _write(history: History) -> None:
    write_json_object(_history_file(), history._asdict())
