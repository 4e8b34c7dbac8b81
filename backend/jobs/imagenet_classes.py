"""A class of ImageNet by what a person calls it: its number, its name, or most of either.

Knows a list of names; nothing of networks.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

MOST_SHOWN = 8
NEAR = 0.5
"""How much of a name must be right to be offered: half of its letters."""


def class_index(text: str, classes: Sequence[str]) -> int:
    """The number of the class that `text` names, in capitals or not, or whose number it is.

    Raises:
        ValueError: there is no such class; the sentence lists those that are called much the same.
    """
    wanted = text.strip().casefold()
    if wanted.isdecimal() and int(wanted) < len(classes):
        return int(wanted)
    names = [name.casefold() for name in classes]
    if wanted in names:
        return names.index(wanted)
    raise ValueError(_sentence(text, _near(wanted, names), len(classes)))


def _near(wanted: str, names: Sequence[str]) -> list[str]:
    """Names that hold the text, then names that are written much like it."""
    holding = [name for name in names if wanted and wanted in name]
    alike = difflib.get_close_matches(wanted, names, MOST_SHOWN, NEAR)
    return list(dict.fromkeys([*holding, *alike]))[:MOST_SHOWN]


def _sentence(text: str, near: Sequence[str], count: int) -> str:
    if not count:
        return "This network knows no classes: choose one with a classifier, such as squeezenet."
    if not text.strip():
        return f"Name the class to dream of, or give its number from 0 to {count - 1}."
    hint = f"did you mean {', '.join(near)}?" if near else "none is called anything like it."
    return f"ImageNet has no class “{text}”; {hint}"
