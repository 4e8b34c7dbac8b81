"""What a person used last and likes best: recent picture files and favourites, noted in Atelier's home.

Knows them as texts, a file by its URI and a favourite by its key; nothing of pictures or of GIMP. A note
that cannot be read is an empty one, and one that cannot be written is no harm.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from typing import NamedTuple, Protocol, runtime_checkable

from atelier_shared.home import atelier_home

MEMORY_FILE = "styles.json"
MOST_RECENT = 24
MOST_BYTES = 1_000_000


class Memory(NamedTuple):
    """URIs of files, the last one used first; keys of favourites, the oldest first."""

    recent: tuple[str, ...] = ()
    favourites: tuple[str, ...] = ()


@runtime_checkable
class File(Protocol):
    """A picture that has a place of its own, as a Gio.File."""

    def get_uri(self) -> str:
        """Where it is."""


def recall() -> Memory:
    """What is noted; what cannot be understood of it is left out."""
    try:
        content = (atelier_home() / MEMORY_FILE).read_bytes()
        fields = json.loads(content) if len(content) <= MOST_BYTES else {}
    except (OSError, ValueError, RecursionError):
        return Memory()
    if not isinstance(fields, dict):
        return Memory()
    return Memory(*(_texts(fields.get(name)) for name in Memory._fields))


def remember(given: Iterable[object]) -> None:
    """Note that these pictures were used: the files among them, for a layer may be gone tomorrow."""
    uris = [picture.get_uri() for picture in given if isinstance(picture, File)]
    if uris:
        memory = recall()
        recent = tuple(dict.fromkeys((*uris, *memory.recent)))[:MOST_RECENT]
        _write(memory._replace(recent=recent))


def set_favourite(key: str, wanted: bool) -> None:
    """Note a favourite, or that it is none any more."""
    memory = recall()
    others = tuple(each for each in memory.favourites if each != key)
    _write(memory._replace(favourites=(*others, key) if wanted else others))


def _texts(value: object) -> tuple[str, ...]:
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()


def _write(memory: Memory) -> None:
    file = atelier_home() / MEMORY_FILE
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        draft.write_text(json.dumps(memory._asdict(), indent=1), encoding="utf-8")
        draft.replace(file)
