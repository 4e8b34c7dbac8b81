"""Where the result of a filter goes, and how GIMP blends it with the layers below: settings and values."""

from __future__ import annotations

from typing import NamedTuple

from atelier_shared.deferred_translation import N_
from atelier_shared.settings import Choice, Number

OUTPUT = Choice(
    "output",
    N_("Result"),
    N_("Where the result goes; one Ctrl+Z takes it back"),
    "layer",
    {
        "layer": N_("A new layer"),
        "image": N_("A new image"),
        "replace": N_("The layer itself, in place of its pixels"),
    },
)
BLEND_MODE = Choice(
    "blend_mode",
    N_("Mode of the new layer"),
    N_("How the new layer is blended with the layers below it"),
    "default",
    {
        "default": N_("GIMP's default for new layers"),
        "normal": N_("Normal"),
        "multiply": N_("Multiply"),
        "screen": N_("Screen"),
        "overlay": N_("Overlay"),
        "softlight": N_("Soft light"),
        "hardlight": N_("Hard light"),
        "darken_only": N_("Darken only"),
        "lighten_only": N_("Lighten only"),
        "luminance": N_("Luminance"),
        "lch_color": N_("LCh Color"),
        "lch_lightness": N_("LCh Lightness"),
    },
)
"""The values are GIMP's names of layer modes in lower case, except the default."""
OPACITY = Number(
    "opacity", N_("Opacity of the new layer"), N_("In percent; 100 hides the layer below"), 100.0, 0.0, 100.0
)
OUTPUT_SETTINGS = (OUTPUT, BLEND_MODE, OPACITY)


class Output(NamedTuple):
    """The values of OUTPUT_SETTINGS."""

    place: str = OUTPUT.default
    mode: str = BLEND_MODE.default
    opacity: float = OPACITY.default

    @property
    def is_blended(self) -> bool:
        """Whether a new layer lets the layers below it show through."""
        return self.opacity < OPACITY.high or self.mode not in (BLEND_MODE.default, "normal")


DEFAULT_OUTPUT = Output()
