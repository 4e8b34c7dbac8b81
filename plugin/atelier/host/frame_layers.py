"""Layers as the frames of an animation, by the conventions of GIMP's own playback and export.

The lowest layer is the first frame. Hidden layers are frames too, and a group is one frame. A layer named
"… (replace)" is a frame of its own; any other is seen together with the frame below it. "(100ms)" is the
duration.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from gi.repository import Gimp

from .layer_tree import layers_in
from .layers_as_frames import THIS
from .suitability import Unsuitable, check_image, check_layers, single_layer
from .translation import _

DISPOSAL = re.compile(r"\((combine|replace)\)")
REPLACE = "(replace)"


class Target(NamedTuple):
    """The image and the selected drawables that a filter is called with."""

    image: Gimp.Image
    drawables: Sequence[Gimp.Drawable]

    @property
    def layer(self) -> Gimp.Layer:
        """The layer of the preview: the lowest of the selected layers; of a group, its lowest layer."""
        layer = _bottom_to_top(self.image, self.drawables)[0]
        while layer.is_group() and (children := layer.get_children()):
            layer = children[-1]
        return layer

    def check(self, takes_frames: bool) -> None:
        """Raise Unsuitable if a filter can do nothing with the selected layers.

        `takes_frames`: whether it takes layers as frames.
        """
        if takes_frames and (len(self.drawables) > 1 or self._group()):
            check_image(self.image)
            check_layers(self.drawables)
        else:
            single_layer(self.image, self.drawables)

    def frames(self, choice: str) -> list[Gimp.Layer]:
        """Return the layers of a choice of LAYERS_AS_FRAMES, the first frame first; none for THIS.

        Raises:
            Unsuitable: the choice does not apply.
        """
        if choice == THIS:
            single_layer(self.image, self.drawables)
            return []
        check_image(self.image)
        check_layers(self.drawables)
        if choice in (reasons := self.reasons_against()):
            raise Unsuitable(reasons[choice])
        if choice == "selected":
            return _bottom_to_top(self.image, self.drawables)
        group = self._group() if choice == "group" else None
        return list(reversed(group.get_children() if group else self.image.get_layers()))

    def reasons_against(self) -> dict[str, str]:
        """Return the choices of LAYERS_AS_FRAMES that do not apply, each with the reason as a sentence."""
        group, reasons = self._group(), dict[str, str]()
        if len(self.drawables) != 1 or self.drawables[0].is_group():
            reasons[THIS] = _("More than one layer is selected.")
        if len(self.drawables) < 2:
            reasons["selected"] = _("Select at least two layers to use them as frames.")
        if group is None or len(group.get_children()) < 2:
            reasons["group"] = _("The selected layer is not in a group with other layers.")
        if len(self.image.get_layers()) < 2:
            reasons["image"] = _("The image has only one layer.")
        return reasons

    def _group(self) -> Gimp.GroupLayer | None:
        """Return the selected group, or the group of the selected layer."""
        drawable = self.drawables[0] if self.drawables else None
        if drawable is None or not drawable.is_layer():
            return None
        return drawable if drawable.is_group() else drawable.get_parent()


def _bottom_to_top(image: Gimp.Image, layers: Sequence[Gimp.Layer]) -> list[Gimp.Layer]:
    return [layer for layer in reversed(list(layers_in(image))) if layer in layers]


def is_combined(layer: Gimp.Layer) -> bool:
    """Return whether a frame is seen together with the frame below it: GIMP's default."""
    found = DISPOSAL.search(layer.get_name())
    return found is None or found[0] != REPLACE


def name_of_result(layer_name: str) -> str:
    """Return the name of a frame's result: the duration is kept, and the result is a frame of its own."""
    if DISPOSAL.search(layer_name):
        return DISPOSAL.sub(REPLACE, layer_name)
    return f"{layer_name} {REPLACE}"
