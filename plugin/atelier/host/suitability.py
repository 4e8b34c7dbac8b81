"""Checks of the selected layers before a filter runs, and the error for unusable input."""

from __future__ import annotations

from collections.abc import Sequence

from gi.repository import Gimp

from atelier_shared.deferred_translation import N_
from atelier_shared.errors import AtelierError
from atelier_shared.messages import Region

from .translation import _

LAYER_CHANGED = N_("The layer was deleted or converted after the filter was opened. Start the filter again.")


class Unsuitable(AtelierError):
    """An error for input on which the filter cannot work; its text states the remedy."""


def single_layer(image: Gimp.Image, drawables: Sequence[Gimp.Drawable]) -> Gimp.Layer:
    """Return the only selected layer.

    Raises:
        Unsuitable: the selection is not exactly one layer, or the filter cannot read it or add a
            layer above it.
    """
    check_image(image)
    if len(drawables) != 1:
        sentence = _("The filter works on one layer, but {count} are selected. Select one layer.")
        raise Unsuitable(sentence.format(count=len(drawables)))
    check_layers(drawables)
    (layer,) = drawables
    if layer.is_group():
        raise Unsuitable(
            _("A layer group has no pixels of its own. Select a layer in it, or merge the group.")
        )
    selected_box(layer)
    return layer


def check_image(image: Gimp.Image) -> None:
    """Raise Unsuitable if the image is indexed or has a floating selection."""
    if image.get_base_type() == Gimp.ImageBaseType.INDEXED:
        raise Unsuitable(_("The image is indexed. Choose Image ▸ Mode ▸ RGB, then run the filter again."))
    if image.get_floating_sel():
        raise Unsuitable(_("The image has a floating selection. Anchor it (Ctrl+H), then try again."))


def check_layers(drawables: Sequence[Gimp.Drawable]) -> None:
    """Raise Unsuitable if a drawable is no layer, or was deleted."""
    for drawable in drawables:
        if not drawable.is_valid():
            raise Unsuitable(_(LAYER_CHANGED))
        if drawable.is_layer_mask():
            raise Unsuitable(
                _("A layer mask is selected. Click the layer's own thumbnail beside it, then try again.")
            )
        if not drawable.is_layer():
            raise Unsuitable(_("A channel is selected. Select a layer in the Layers dialog, then try again."))


def selected_box(layer: Gimp.Layer) -> Region:
    """Return the bounding box of the selection within a layer, in the layer's coordinates.

    Raises:
        Unsuitable: the layer is gone, or the selection does not overlap it.
    """
    if not layer.is_valid():
        raise Unsuitable(_(LAYER_CHANGED))
    overlap, x, y, width, height = layer.mask_intersect()
    if not overlap:
        raise Unsuitable(
            _("The selection is outside the layer. Move it onto the layer, or choose Select ▸ None.")
        )
    return Region(x, y, width, height)


def selected_box_of_canvas(image: Gimp.Image) -> Region:
    """Return the bounding box of the selection; without a selection, the whole canvas."""
    _found, _is_selected, left, top, right, bottom = Gimp.Selection.bounds(image)
    return Region(left, top, right - left, bottom - top)
