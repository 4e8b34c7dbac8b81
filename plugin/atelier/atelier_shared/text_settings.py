"""Parsers of the settings that are written as text: weights by name, weights in order, channels, mixtures."""

from __future__ import annotations

import math

from .deferred_translation import N_
from .errors import Wrong
from .gallery_styles import GALLERY


def weights_by_name(text: str) -> dict[str, float]:
    """Parse "relu1_1, relu2_1:0.5" into names and their weights, in order; 1 where no weight is given.

    Raises:
        Wrong: a name is missing or repeated, or a weight is not a number above 0.
    """
    weights: dict[str, float] = {}
    for item in filter(None, map(str.strip, text.split(","))):
        name, colon, weight = map(str.strip, item.partition(":"))
        if not name or name in weights:
            raise Wrong(N_("“{text}”: the name is missing or repeated."), text=item)
        weights[name] = _weight(weight) if colon else 1.0
    return weights


def weights_in_order(text: str) -> list[float]:
    """Parse "2, 1" into weights.

    Raises:
        Wrong: a weight is not a number above 0.
    """
    return [_weight(item) for item in filter(None, map(str.strip, text.split(",")))]


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        raise Wrong(N_("“{text}” is not a weight. Write a number above 0, such as 0.5."), text=text)
    return weight


def channel_range(text: str) -> range | None:
    """Parse "12" or "12-20", the last channel included; return None for an empty text.

    Raises:
        Wrong: the text has another form, or the range ends before it begins.
    """
    if not text.strip():
        return None
    first, dash, last = map(str.strip, text.partition("-"))
    if not (first.isdecimal() and (last.isdecimal() or not dash)) or int(last or first) < int(first):
        raise Wrong(N_("“{text}” is not a channel range. Write 12 or 12-20."), text=text)
    return range(int(first), int(last or first) + 1)


def gallery_mix(text: str) -> dict[str, float]:
    """Parse "name:0.5, name" into weights of gallery styles.

    Raises:
        Wrong: the text has another form, or names an unknown style.
    """
    weights = weights_by_name(text)
    if unknown := weights.keys() - GALLERY.keys():
        names = {"missing": ", ".join(sorted(unknown)), "styles": ", ".join(GALLERY)}
        raise Wrong(N_("There is no style {missing}. Choose from {styles}."), **names)
    return weights
