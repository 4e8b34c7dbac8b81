"""The controls of a filter's settings, made by GIMP from the procedure's arguments and bound to them.

The basic settings are always visible. A button, Advanced, shows the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gi.repository import Gimp, GimpUi, GObject, Gtk, Pango

from atelier_shared.networks import GROUPS
from atelier_shared.settings import Choice, Number, Setting
from host.arguments import argument_name
from host.filters import Filter
from host.layers_as_frames import LAYERS_AS_FRAMES
from host.output import OUTPUT
from host.translation import _

from .file_row import descendants, file_row
from .frame_choice import offer_frame_layers, offer_places
from .name_search import add_name_search

SPACING_PX = 6
ADVANCED_WIDTH_PX, ADVANCED_HEIGHT_PX = 340, 230
LABEL_CHARACTERS = 18
LOW_DEFAULT = 0.25
"""A slider gets a curve if its default lies in this part of its range or below."""


class SettingsForm(NamedTuple):
    """The basic controls in a column, with a button to show the advanced ones; these, if there are any."""

    basic: Gtk.Widget
    advanced: Gtk.Widget | None


def settings_form(
    dialog: GimpUi.ProcedureDialog,
    config: Gimp.ProcedureConfig,
    chosen: Filter,
    against_frames: Mapping[str, str],
) -> SettingsForm:
    """Return the controls; the advanced ones are hidden.

    `against_frames`: the choices of LAYERS_AS_FRAMES that do not apply, each with the reason.
    """
    labels = Gtk.SizeGroup(mode=Gtk.SizeGroupMode.HORIZONTAL)
    for setting in chosen.settings:
        control = _control(dialog, setting)
        if isinstance(control, GimpUi.Labeled):
            _add_label(labels, control.get_label())
        if setting.name in chosen.suggestions:
            control.attach(_suggestions_button(config, chosen, setting), 2, 0, 1, 1)
        if setting.name in chosen.searched_names:
            add_name_search(control.get_entry(), chosen.searched_names[setting.name])
    form = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=SPACING_PX)
    basic = [argument_name(setting) for setting in chosen.settings if chosen.is_basic(setting)]
    form.pack_start(dialog.fill_box("basic", basic), False, False, 0)
    advanced = _advanced(dialog, config, chosen, labels)
    if advanced:
        form.pack_start(_advanced_button(advanced), False, False, 0)
    _disable_without_effect(dialog, config, chosen)
    form.show_all()
    if chosen.takes_frames:
        offer_places(dialog.get_widget(argument_name(OUTPUT), GObject.TYPE_NONE), config)
        control = dialog.get_widget(argument_name(LAYERS_AS_FRAMES), GObject.TYPE_NONE)
        offer_frame_layers(control, config, against_frames)
    return SettingsForm(form, advanced)


def _add_label(labels: Gtk.SizeGroup, label: Gtk.Label) -> None:
    """Give a label the width of the others, and break a long one into lines."""
    if len(label.get_text()) > LABEL_CHARACTERS:
        label.set_line_wrap(True)
        label.set_max_width_chars(LABEL_CHARACTERS)
    labels.add_widget(label)


def _advanced_button(advanced: Gtk.Widget) -> Gtk.ToggleButton:
    button = Gtk.ToggleButton(label=_("Ad_vanced"), use_underline=True, halign=Gtk.Align.START)
    button.set_tooltip_text(_("Show all other settings"))
    button.bind_property("active", advanced, "visible", GObject.BindingFlags.DEFAULT)
    return button


def _advanced(
    dialog: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig, chosen: Filter, labels: Gtk.SizeGroup
) -> Gtk.Widget | None:
    """Return the scrolling part with the advanced pictures and settings; None if there are none."""
    names = [argument_name(setting) for setting in chosen.settings if not chosen.is_basic(setting)]
    if not names:  # GIMP would put all arguments into the box
        return None
    box = dialog.fill_box("advanced-box", names)
    scrolled = dialog.fill_scrolled_window("advanced-scrolled", "advanced-box")
    scrolled.set_policy(Gtk.PolicyType.NEVER, Gtk.PolicyType.AUTOMATIC)
    scrolled.set_overlay_scrolling(False)
    scrolled.set_min_content_height(ADVANCED_HEIGHT_PX)
    scrolled.set_size_request(ADVANCED_WIDTH_PX, -1)
    scrolled.show_all()
    scrolled.hide()
    scrolled.set_no_show_all(True)
    _add_file_rows_when_shown(scrolled, box, config, chosen, labels)
    return scrolled


def _add_file_rows_when_shown(
    scrolled: Gtk.Widget,
    box: Gtk.Box,
    config: Gimp.ProcedureConfig,
    chosen: Filter,
    labels: Gtk.SizeGroup,
) -> None:
    """Add the advanced pictures above the advanced settings once these are shown.

    No other control takes as long to make, so the dialog opens sooner without it.
    """

    def add(_scrolled: Gtk.Widget) -> None:
        scrolled.disconnect(handler)
        advanced_pictures = (each for each in chosen.picture_arguments if each.is_advanced)
        for position, argument in enumerate(advanced_pictures):
            row, label = file_row(config, argument)
            _add_label(labels, label)
            box.pack_start(row, False, False, 0)
            box.reorder_child(row, position)

    handler = scrolled.connect("show", add)


def _control(dialog: GimpUi.ProcedureDialog, setting: Setting) -> Gtk.Widget:
    """Return a slider for a float and a combo box for a choice, instead of GIMP's defaults."""
    if isinstance(setting, Number) and isinstance(setting.default, float):
        scale = dialog.get_spin_scale(argument_name(setting), 1.0)
        scale.set_gamma(_gamma(setting))
        return scale
    kind = Gtk.ComboBox if isinstance(setting, Choice) else GObject.TYPE_NONE
    control = dialog.get_widget(argument_name(setting), kind)
    for widget in descendants(control):
        if isinstance(widget, Gtk.ComboBox):  # otherwise a long option makes the dialog wide
            widget.set_property("ellipsize", Pango.EllipsizeMode.END)
    return control


def _gamma(setting: Number) -> float:
    """Return the exponent of a slider that puts a low default into its middle; otherwise 1."""
    place = (setting.default - setting.low) / (setting.high - setting.low)
    return math.log(place) / math.log(0.5) if 0 < place <= LOW_DEFAULT else 1.0


def _suggestions_button(config: Gimp.ProcedureConfig, chosen: Filter, setting: Setting) -> Gtk.MenuButton:
    """Return a button with a menu of values for a text setting, which depend on the chosen network."""
    button = Gtk.MenuButton(tooltip_text=_("Choose a value from a list"))

    def choose(_item: Gtk.MenuItem, text: str) -> None:
        config.set_property(argument_name(setting), text)

    def fill_menu(*_changed: object) -> None:
        menu, last_group = Gtk.Menu(), ""
        for text, group in chosen.suggestions[setting.name](config.get_property("network")):
            if group != last_group:
                menu.append(Gtk.MenuItem(label=_(GROUPS[group]), sensitive=False))
            item, last_group = Gtk.MenuItem(label=text), group
            item.connect("activate", choose, text)
            menu.append(item)
        menu.show_all()
        button.set_popup(menu)

    fill_menu()
    config.connect("notify::network", fill_menu)
    button.show()
    return button


def _disable_without_effect(
    dialog: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig, chosen: Filter
) -> None:
    """Make each control insensitive while its setting has no effect. Its tooltip then gives the reason."""
    by_name = {setting.name: setting for setting in chosen.settings}
    for condition in chosen.conditions:
        depends_on = by_name[condition.depends_on]
        for name in condition.settings:
            values = Gimp.ValueArray.new(len(condition.values))
            for value in condition.values:
                values.append(GObject.Value(str, value))
            argument = argument_name(by_name[name])
            dialog.set_sensitive_if_in(argument, None, argument_name(depends_on), values, True)
            control = dialog.get_widget(argument, GObject.TYPE_NONE)
            _explain(control, config, by_name[name], depends_on, condition.values)


def _explain(
    control: Gtk.Widget,
    config: Gimp.ProcedureConfig,
    setting: Setting,
    depends_on: Setting,
    values: Sequence[str],
) -> None:
    """Keep a control's tooltips: the help and, while there is no effect, the choices that give it one."""
    assert isinstance(depends_on, Choice), depends_on
    choices = " / ".join(_(depends_on.options[value]) for value in values)
    sentence = _("This has an effect only with {setting}: {choices}.")
    reason = sentence.format(setting=_(depends_on.label).replace("_", ""), choices=choices)

    def update(*_changed: object) -> None:
        has_effect = config.get_property(argument_name(depends_on)) in values
        text = _(setting.help) if has_effect else f"{_(setting.help)}\n\n{reason}"
        for widget in (control, *descendants(control)):
            widget.set_tooltip_text(text)

    update()
    config.connect(f"notify::{argument_name(depends_on)}", update)
