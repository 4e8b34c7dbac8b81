"""The layer that a dialog previews: the selected one, or its frame of an animation as the run composes it."""

from __future__ import annotations

from collections.abc import Sequence

from gi.repository import Gimp

from .frame_layers import Target, is_combined
from .frame_pictures import insert_canvas, insert_copy
from .layers_as_frames import THIS
from .suitability import LAYER_CHANGED, Unsuitable
from .translation import _


class PreviewedLayer:
    """The previewed layer of a target, for each choice of LAYERS_AS_FRAMES.

    A frame is the only layer of a temporary image with the target's selection. It is composed again after
    `forget`, because the layers may have changed.
    """

    def __init__(self, target: Target) -> None:
        self._target, self._selected = target, target.layer
        self._choice = THIS
        self._frame: Gimp.Layer | None = None

    def layer(self, choice: str) -> Gimp.Layer:
        """Return the selected layer, or the frame that it is part of.

        Raises:
            Unsuitable: the choice does not apply, or a layer of the frame was deleted.
        """
        if choice == THIS:
            return self._selected
        if self._frame is None or choice != self._choice:
            self.forget()
            self._frame, self._choice = self._compose(self._target.frames(choice)), choice
        return self._frame

    def forget(self) -> None:
        """Delete the temporary image."""
        if self._frame:
            self._frame.get_image().delete()
            self._frame = None

    def _compose(self, frames: Sequence[Gimp.Layer]) -> Gimp.Layer:
        """Merge the frame's layers on an empty canvas, as the run does."""
        if not self._selected.is_valid():
            raise Unsuitable(_(LAYER_CHANGED))
        image = self._target.image.duplicate()
        try:
            image.undo_disable()
            for layer in image.get_layers():  # only the selection is used
                image.remove_layer(layer)
            insert_canvas(image)
            for layer in _layers_of_frame(frames, _frame_with(self._selected, frames)):
                insert_copy(layer, image)
            return image.merge_visible_layers(Gimp.MergeType.CLIP_TO_IMAGE)
        except BaseException:
            image.delete()
            raise


def _frame_with(layer: Gimp.Layer, frames: Sequence[Gimp.Layer]) -> int:
    """Return the number of the frame that is a layer or a group around it; 0 if none is."""
    while layer and layer not in frames:
        layer = layer.get_parent()
    return frames.index(layer) if layer else 0


def _layers_of_frame(frames: Sequence[Gimp.Layer], number: int) -> Sequence[Gimp.Layer]:
    """Return the layers that are seen together in a frame, from bottom to top."""
    lowest = number
    while lowest and is_combined(frames[lowest]):
        lowest -= 1
    return frames[lowest : number + 1]
