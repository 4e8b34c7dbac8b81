"""The choices of layers as frames, and of the place for an animation: only what applies can be chosen."""

from __future__ import annotations

from collections.abc import Mapping

from gi.repository import Gimp, Gtk

from host.arguments import argument_name
from host.layers_as_frames import LAYERS_AS_FRAMES, THIS
from host.output import OUTPUT
from host.translation import _

from .file_row import descendants


def offer_frame_layers(control: Gtk.Widget, config: Gimp.ProcedureConfig, reasons: Mapping[str, str]) -> None:
    """Disable the choices that have a reason against them, and explain them in the control's tooltip.

    A choice without effect, from the last run, is replaced. The control is hidden if nothing can be chosen.
    """
    argument = argument_name(LAYERS_AS_FRAMES)
    applicable = [value for value in LAYERS_AS_FRAMES.options if value not in reasons]
    choice = Gimp.param_spec_choice_get_choice(config.find_property(argument))
    for value in LAYERS_AS_FRAMES.options:
        choice.set_sensitive(value, value in applicable)
    if applicable and config.get_property(argument) not in applicable:
        config.set_property(argument, applicable[0])
    explained = (f"{_(LAYERS_AS_FRAMES.options[value])}: {reason}" for value, reason in reasons.items())
    tooltip = "\n\n".join((_(LAYERS_AS_FRAMES.help), *explained))
    for widget in (control, *descendants(control)):
        widget.set_tooltip_text(tooltip)
    control.set_visible(len(applicable) > 1)
    control.set_no_show_all(True)


def offer_places(control: Gtk.Widget, config: Gimp.ProcedureConfig) -> None:
    """Show "A new image" instead of "A new layer" as the place of the result while layers are frames."""
    frames, place = argument_name(LAYERS_AS_FRAMES), argument_name(OUTPUT)
    choice = Gimp.param_spec_choice_get_choice(config.find_property(place))
    was_animation = config.get_property(frames) != THIS

    def update(*_changed: object) -> None:
        nonlocal was_animation
        is_animation = config.get_property(frames) != THIS
        before, after = ("layer", "image") if is_animation else ("image", "layer")
        choice.set_sensitive(after, True)
        if (is_animation or was_animation) and config.get_property(place) == before:
            config.set_property(place, after)
        choice.set_sensitive("layer", not is_animation)
        was_animation = is_animation
        reason = _("An animation becomes a new image, or replaces its frames.")
        for widget in (control, *descendants(control)):
            widget.set_tooltip_text(f"{_(OUTPUT.help)}\n\n{reason}" if is_animation else _(OUTPUT.help))

    update()
    for changed in (frames, place):
        config.connect(f"notify::{changed}", update)
