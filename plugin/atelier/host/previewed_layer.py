"""The layer that a dialog previews: the selected one, or its frame of an animation as the run composes it."""

from __future__ import annotations

from collections.abc import Sequence

from gi.repository import Babl, Gimp

from atelier_shared.messages import Region

from .cutouts import kind_of
from .frame_layers import Target, is_combined
from .frame_pictures import insert_canvas, insert_copy
from .layer_pixels import read_pixels, write_pixels
from .layers_as_frames import THIS
from .suitability import LAYER_CHANGED, Unsuitable
from .translation import _

MOST_LAYERS = 100
"""Composing more layers takes too long; then the first frame is shown."""


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
        layers = _layers_of_frame(frames, _frame_with(self._selected, frames))
        source = self._target.image
        image = kind_of(source).new_image(source.get_width(), source.get_height())
        try:
            insert_canvas(image)
            for layer in layers if len(layers) <= MOST_LAYERS else frames[:1]:
                insert_copy(layer, image)
            frame = image.merge_visible_layers(Gimp.MergeType.CLIP_TO_IMAGE)
            _copy_selection(source, image)
        except BaseException:
            image.delete()
            raise
        return frame


def _copy_selection(source: Gimp.Image, image: Gimp.Image) -> None:
    """Select in an image what is selected in another one of its size."""
    if Gimp.Selection.is_empty(source):
        return
    selection, whole = source.get_selection(), Region(0, 0, source.get_width(), source.get_height())
    babl = Babl.get_name(selection.get_format())
    Gimp.Selection.all(image)
    write_pixels(image.get_selection(), babl, read_pixels(selection, whole, babl))


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
