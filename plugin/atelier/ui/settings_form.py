"""The controls of a filter's settings, made by GIMP from the procedure's arguments and bound to them.

The basic settings are always visible; the others are in a folded part, Advanced.
"""

from __future__ import annotations

from gi.repository import Gimp, GimpUi, GObject, Gtk

from atelier_shared.networks import GROUPS
from atelier_shared.settings import Choice, Number, Setting
from host.arguments import argument_name
from host.filters import Filter
from host.translation import _

from .file_row import file_row

SPACING_PX = 6
ADVANCED_HEIGHT_PX = 230


def settings_form(
    dialog: GimpUi.ProcedureDialog,
    config: Gimp.ProcedureConfig,
    chosen: Filter,
    gallery: Gtk.Widget | None = None,
) -> Gtk.Widget:
    """Return the controls in a column.

    Unfolding Advanced hides the gallery, because screens are not high enough for both.
    """
    labels = Gtk.SizeGroup(mode=Gtk.SizeGroupMode.HORIZONTAL)
    for setting in chosen.settings:
        control = _control(dialog, setting)
        if isinstance(control, GimpUi.Labeled):
            labels.add_widget(control.get_label())
        if setting.name in chosen.suggestions:
            control.attach(_suggestions_button(config, chosen, setting), 2, 0, 1, 1)
    form = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=SPACING_PX)
    basic = [argument_name(setting) for setting in chosen.settings if chosen.is_basic(setting)]
    form.pack_start(dialog.fill_box("basic", basic), False, False, 0)
    if advanced := _advanced(dialog, config, chosen, labels):
        form.pack_start(advanced, True, True, 0)
        if gallery:
            advanced.bind_property("expanded", gallery, "visible", GObject.BindingFlags.INVERT_BOOLEAN)
    _disable_without_effect(dialog, chosen)
    form.show_all()
    return form


def _advanced(
    dialog: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig, chosen: Filter, labels: Gtk.SizeGroup
) -> Gtk.Widget | None:
    """Return the folded, scrolling part with the advanced pictures and settings; None if there are none."""
    names = [argument_name(setting) for setting in chosen.settings if not chosen.is_basic(setting)]
    if not names:  # GIMP would put all arguments into the box
        return None
    box = dialog.fill_box("advanced-box", names)
    advanced_pictures = (each for each in chosen.picture_arguments if each.is_advanced)
    for position, argument in enumerate(advanced_pictures):
        row, label = file_row(config, argument)
        labels.add_widget(label)
        box.pack_start(row, False, False, 0)
        box.reorder_child(row, position)
    scrolled = dialog.fill_scrolled_window("advanced-scrolled", "advanced-box")
    scrolled.set_policy(Gtk.PolicyType.NEVER, Gtk.PolicyType.AUTOMATIC)
    scrolled.set_overlay_scrolling(False)
    scrolled.set_min_content_height(ADVANCED_HEIGHT_PX)
    title = dialog.get_label("advanced-title", _("Ad_vanced"), False, True)
    expander = dialog.fill_expander("advanced", "advanced-title", False, "advanced-scrolled")
    expander.set_resize_toplevel(False)
    title.set_mnemonic_widget(expander)
    return expander


def _control(dialog: GimpUi.ProcedureDialog, setting: Setting) -> Gtk.Widget:
    """Return a slider for a float and a combo box for a choice, instead of GIMP's defaults."""
    if isinstance(setting, Number) and isinstance(setting.default, float):
        return dialog.get_spin_scale(argument_name(setting), 1.0)
    kind = Gtk.ComboBox if isinstance(setting, Choice) else GObject.TYPE_NONE
    return dialog.get_widget(argument_name(setting), kind)


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


def _disable_without_effect(dialog: GimpUi.ProcedureDialog, chosen: Filter) -> None:
    """Make each control insensitive while its setting has no effect."""
    names = {setting.name: argument_name(setting) for setting in chosen.settings}
    for condition in chosen.request.conditions:
        for name in condition.settings:
            values = Gimp.ValueArray.new(len(condition.values))
            for value in condition.values:
                values.append(GObject.Value(str, value))
            dialog.set_sensitive_if_in(names[name], None, names[condition.depends_on], values, True)
