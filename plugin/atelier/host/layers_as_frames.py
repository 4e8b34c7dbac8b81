"""The setting for the layers that are frames of an animation."""

from __future__ import annotations

from atelier_shared.deferred_translation import N_
from atelier_shared.settings import Choice

THIS = "this"
LAYERS_AS_FRAMES = Choice(
    "layers_as_frames",
    N_("Layers as frames"),
    N_(
        "The layers that are the frames of an animation, from bottom to top. The animation is a new image"
        " that GIMP can play and export. Durations in the layers' names, such as (100ms), are kept."
    ),
    THIS,
    {
        THIS: N_("This layer, no animation"),
        "selected": N_("Selected layers"),
        "group": N_("All layers of the group"),
        "image": N_("All layers of the image"),
    },
)
