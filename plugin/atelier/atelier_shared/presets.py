"""DeepDream's presets: settings named by the look of their dreams, to start from and to change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .deferred_translation import N_

Settings = Mapping[str, int | float | str]


class Preset(NamedTuple):
    """A label, and the settings that differ from their defaults."""

    label: str
    settings: Settings


def _channel(number: int) -> Settings:
    """Return the settings that dream with one channel of Inception v3's Mixed_6b."""
    layer: Settings = {"network": "inception-v3", "layers": "Mixed_6b", "step_size": 0.012, "octaves": 6}
    return {**layer, "channels": str(number)}


PRESETS: dict[str, Preset] = {
    "animals": Preset(N_("Animals"), {"network": "vgg16", "layers": "relu4_3"}),
    "creatures": Preset(N_("Creatures"), {"network": "vgg16", "layers": "relu5_3", "smoothing": "laplacian"}),
    "snouts": Preset(
        N_("Eyes and snouts"),
        {
            "network": "squeezenet",
            "layers": "fire7",
            "smoothing": "gaussian",
            "step_size": 0.008,
            "octaves": 6,
        },
    ),
    "eyes": Preset(N_("Eyes"), _channel(133)),
    "fur": Preset(N_("Fur"), _channel(61)),
    "hair": Preset(N_("Hair"), _channel(119)),
    "leaves": Preset(N_("Leaves"), _channel(181)),
    "roses": Preset(N_("Roses"), _channel(88)),
    "spirals": Preset(N_("Spirals"), _channel(72)),
    "arches": Preset(N_("Arches"), _channel(129)),
    "curtains": Preset(N_("Curtains"), _channel(166)),
    "weave": Preset(N_("Woven strokes"), _channel(90)),
    "beads": Preset(N_("Beads"), _channel(151)),
    "honeycomb": Preset(N_("Honeycomb"), _channel(85)),
    "glass": Preset(N_("Stained glass"), _channel(36)),
    "embers": Preset(N_("Embers"), _channel(14)),
    "storm": Preset(N_("Storm"), _channel(48)),
    "relief": Preset(N_("Dotted relief"), {"network": "inception-v3", "layers": "Mixed_5d"}),
}
CONTROLLED = frozenset({"objective"}).union(*(preset.settings for preset in PRESETS.values()))
"""The settings that a preset sets; those it does not mention get their defaults."""
