"""The choice of layers as frames: only what applies to the image can be chosen."""

from __future__ import annotations

from collections.abc import Mapping

from gi.repository import Gimp, Gtk

from host.arguments import argument_name
from host.layers_as_frames import LAYERS_AS_FRAMES
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
