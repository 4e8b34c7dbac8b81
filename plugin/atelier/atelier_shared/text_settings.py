"""Parsers of the settings that are written as text: weights by name, weights in order, channels, mixtures."""

from __future__ import annotations

import math

from .deferred_translation import N_
from .gallery_styles import GALLERY
from .settings import Wrong


def weights_by_name(text: str) -> dict[str, float]:
    """What "relu1_1, relu2_1:0.5" says: names and their weights, 1 where none is given, in their order.

    Raises:
        Wrong: a name is missing or comes twice, or a weight is not a number above 0.
    """
    weights: dict[str, float] = {}
    for item in filter(None, map(str.strip, text.split(","))):
        name, colon, weight = map(str.strip, item.partition(":"))
        if not name or name in weights:
            raise Wrong(N_("“{text}” has no name, or one that stands there already."), text=item)
        weights[name] = _weight(weight) if colon else 1.0
    return weights


def weights_in_order(text: str) -> list[float]:
    """What "2, 1" says: the weights of things that have an order and no names.

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
        raise Wrong(N_("“{text}” is no weight: write a number above 0, such as 0.5."), text=text)
    return weight


def channel_range(text: str) -> range | None:
    """What "12" or "12-20" says: the channels of a layer, the last one included; None where nothing is said.

    Raises:
        Wrong: it is neither, or ends before it begins.
    """
    if not text.strip():
        return None
    first, dash, last = map(str.strip, text.partition("-"))
    if not (first.isdecimal() and (last.isdecimal() or not dash)) or int(last or first) < int(first):
        template = N_("“{text}” are no channels: write one as 12, or several as 12-20.")
        raise Wrong(template, text=text)
    return range(int(first), int(last or first) + 1)


def gallery_mix(text: str) -> dict[str, float]:
    """What "name:0.5, name" says of the gallery's styles: their weights.

    Raises:
        Wrong: it says nothing of that form, or names a style that the gallery has not.
    """
    weights = weights_by_name(text)
    if unknown := weights.keys() - GALLERY.keys():
        names = {"missing": ", ".join(sorted(unknown)), "styles": ", ".join(GALLERY)}
        raise Wrong(N_("There is no style {missing}; there are {styles}."), **names)
    return weights
