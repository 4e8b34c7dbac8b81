"""The built-in styles of the gallery method."""

from __future__ import annotations

from .deferred_translation import N_

GALLERY = {
    "peach and sky": N_("Peach and sky"),
    "yellow and ink": N_("Yellow and ink"),
    "charcoal": N_("Charcoal"),
    "electric mosaic": N_("Electric mosaic"),
    "crimson and cream": N_("Crimson and cream"),
    "embers": N_("Embers"),
    "indigo speckle": N_("Indigo speckle"),
    "primary colours": N_("Primary colours"),
    "coloured pencil": N_("Coloured pencil"),
    "pebbles": N_("Pebbles"),
    "umber": N_("Umber"),
    "parchment": N_("Parchment"),
    "lavender and gold": N_("Lavender and gold"),
    "linocut": N_("Linocut"),
    "pale fresco": N_("Pale fresco"),
    "leaded glass": N_("Leaded glass"),
    "cobalt strokes": N_("Cobalt strokes"),
    "woven": N_("Woven"),
    "woodcut": N_("Woodcut"),
    "starry": N_("Starry"),
    "scarlet": N_("Scarlet"),
    "cut-outs": N_("Cut-outs"),
    "stone": N_("Stone"),
    "dusk": N_("Dusk"),
    "great wave": N_("Great wave"),
    "rough oil": N_("Rough oil"),
}
"""The styles in the order of the network's outputs, and their labels. The network was published without
names; these describe the looks."""
