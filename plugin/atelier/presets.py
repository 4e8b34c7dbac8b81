"""DeepDreams named by what one sees in them: settings for a person to begin with and to change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from atelier_requests import N_


class Preset(NamedTuple):
    """The name that a person reads, and the settings that differ from their defaults."""

    label: str
    settings: Mapping[str, int | float | str]


PRESETS: dict[str, Preset] = {
    "eyes": Preset(N_("Eyes"), {"layers": "Mixed_6a"}),
    "fur": Preset(N_("Fur and snouts"), {"layers": "Mixed_6b"}),
}
