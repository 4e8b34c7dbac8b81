"""Look-up of an ImageNet class by its number or name, with suggestions for misspelt names."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

MOST_SUGGESTIONS = 8
LEAST_SIMILARITY = 0.5
"""Least difflib ratio between a suggestion and the text."""


def class_index(text: str, classes: Sequence[str]) -> int:
    """Return the number of the class given as a name, in any case, or as a number.

    Raises:
        ValueError: there is no such class; the message suggests classes with a similar name.
    """
    wanted = text.strip().casefold()
    if wanted.isdecimal() and int(wanted) < len(classes):
        return int(wanted)
    names = [name.casefold() for name in classes]
    if wanted in names:
        return names.index(wanted)
    raise ValueError(_error(text, _suggestions(wanted, names), len(classes)))


def _suggestions(wanted: str, names: Sequence[str]) -> list[str]:
    """Return the names that contain the text, then names with a similar spelling."""
    containing = [name for name in names if wanted and wanted in name]
    similar = difflib.get_close_matches(wanted, names, MOST_SUGGESTIONS, LEAST_SIMILARITY)
    return list(dict.fromkeys([*containing, *similar]))[:MOST_SUGGESTIONS]


def _error(text: str, suggestions: Sequence[str], count: int) -> str:
    if not count:
        return "This network has no classes. Choose a network with classes, such as squeezenet."
    if not text.strip():
        return f"Enter the name of the class to dream of, or its number from 0 to {count - 1}."
    if not suggestions:
        return f"ImageNet has no class “{text}” and no class with a similar name."
    return f"ImageNet has no class “{text}”. Did you mean {', '.join(suggestions)}?"
