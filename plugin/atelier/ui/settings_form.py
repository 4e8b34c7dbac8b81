"""The controls of a filter's settings, which GIMP makes of the procedure's arguments.

A few are in sight, the others under Advanced. Changing one changes the config, and the other way round.
"""

from __future__ import annotations

from collections.abc import Iterator

from gi.repository import Gimp, GimpUi, GObject, Gtk

from atelier_shared.networks import GROUPS
from atelier_shared.settings import Choice, Number, Setting
from host.arguments import argument_name
from host.filters import Filter, PictureArgument
from host.translation import _

SPACING_PX = 6
ADVANCED_HEIGHT_PX = 230


def settings_form(
    dialog: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig, chosen: Filter, gallery: Gtk.Widget
) -> Gtk.Widget:
    """The controls, in a column; what is Advanced takes the gallery's room, for screens are not high."""
    labels = Gtk.SizeGroup(mode=Gtk.SizeGroupMode.HORIZONTAL)
    for setting in chosen.settings:
        widget = _widget(dialog, setting)
        if isinstance(widget, GimpUi.Labeled):
            labels.add_widget(widget.get_label())
        if setting.name in chosen.suggestions:
            widget.attach(_offer_button(config, chosen, setting), 2, 0, 1, 1)
    form = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=SPACING_PX)
    in_sight = [argument_name(setting) for setting in chosen.settings if setting.name in chosen.basic]
    form.pack_start(dialog.fill_box("in-sight", in_sight), False, False, 0)
    advanced = _advanced(dialog, config, chosen, labels)
    advanced.bind_property("expanded", gallery, "visible", GObject.BindingFlags.INVERT_BOOLEAN)
    form.pack_start(advanced, True, True, 0)
    _turn_off_what_has_no_say(dialog, chosen)
    form.show_all()
    return form


def _advanced(
    dialog: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig, chosen: Filter, labels: Gtk.SizeGroup
) -> Gtk.Widget:
    """The settings that are seldom needed, in a part that scrolls and is folded at first."""
    names = [argument_name(setting) for setting in chosen.settings if setting.name not in chosen.basic]
    box = dialog.fill_box("advanced-box", names)
    for number, source in enumerate(source for source in chosen.picture_arguments if source.is_advanced):
        row, label = _file_row(config, source)
        labels.add_widget(label)
        box.pack_start(row, False, False, 0)
        box.reorder_child(row, number)
    scrolled = dialog.fill_scrolled_window("advanced-scrolled", "advanced-box")
    scrolled.set_policy(Gtk.PolicyType.NEVER, Gtk.PolicyType.AUTOMATIC)
    scrolled.set_overlay_scrolling(False)
    scrolled.set_min_content_height(ADVANCED_HEIGHT_PX)
    title = dialog.get_label("advanced-title", _("Ad_vanced"), False, True)
    expander = dialog.fill_expander("advanced", "advanced-title", False, "advanced-scrolled")
    expander.set_resize_toplevel(False)
    title.set_mnemonic_widget(expander)
    return expander


def _widget(dialog: GimpUi.ProcedureDialog, setting: Setting) -> Gtk.Widget:
    """A slider for a decimal number and a list for a choice, where GIMP would decide otherwise."""
    if isinstance(setting, Number) and isinstance(setting.default, float):
        return dialog.get_spin_scale(argument_name(setting), 1.0)
    kind = Gtk.ComboBox if isinstance(setting, Choice) else GObject.TYPE_NONE
    return dialog.get_widget(argument_name(setting), kind)


def _offer_button(config: Gimp.ProcedureConfig, chosen: Filter, setting: Setting) -> Gtk.MenuButton:
    """A button beside a text with a menu of what may stand there, with this network."""
    button = Gtk.MenuButton(tooltip_text=_("What there is to choose from"))

    def choose(_item: Gtk.MenuItem, text: str) -> None:
        config.set_property(argument_name(setting), text)

    def offer(*_changed: object) -> None:
        menu, last_group = Gtk.Menu(), ""
        for text, group in chosen.suggestions[setting.name](config.get_property("network")):
            if group != last_group:
                menu.append(Gtk.MenuItem(label=_(GROUPS[group]), sensitive=False))
            item, last_group = Gtk.MenuItem(label=text), group
            item.connect("activate", choose, text)
            menu.append(item)
        menu.show_all()
        button.set_popup(menu)

    offer()
    config.connect("notify::network", offer)
    button.show()
    return button


def _turn_off_what_has_no_say(dialog: GimpUi.ProcedureDialog, chosen: Filter) -> None:
    names = {setting.name: argument_name(setting) for setting in chosen.settings}
    for condition in chosen.request.conditions:
        for name in condition.settings:
            values = Gimp.ValueArray.new(len(condition.values))
            for value in condition.values:
                values.append(GObject.Value(str, value))
            dialog.set_sensitive_if_in(names[name], None, names[condition.depends_on], values, True)


# ── A file that is seldom given ──────────────────────────────────────────────────────────────────


def _file_row(config: Gimp.ProcedureConfig, source: PictureArgument) -> tuple[Gtk.Widget, Gtk.Widget]:
    """A row with GIMP's file button, and its label."""
    action, title = Gimp.FileChooserAction.OPEN, _(source.label).replace("_", "")
    chooser = GimpUi.FileChooser.new(action, _(source.label), title, config.get_property(source.name))
    chooser.set_tooltip_text(_(source.help))
    config.bind_property(source.name, chooser, "file", GObject.BindingFlags.BIDIRECTIONAL)
    row = Gtk.Box(spacing=SPACING_PX)
    row.pack_start(chooser, True, True, 0)
    row.pack_start(_clear_button(config, source, chooser), False, False, 0)
    row.show_all()
    return row, chooser.get_label_widget()


def _clear_button(
    config: Gimp.ProcedureConfig, source: PictureArgument, chooser: GimpUi.FileChooser
) -> Gtk.Button:
    """A button that chooses no file, which GIMP's own widget cannot."""
    button = Gtk.Button.new_from_icon_name("edit-clear", Gtk.IconSize.BUTTON)
    button.set_tooltip_text(_("No picture"))

    def clear(_button: Gtk.Button) -> None:
        config.set_property(source.name, None)
        for part in _parts_of(chooser):
            if isinstance(part, Gtk.FileChooserButton):
                part.unselect_all()

    def show(*_changed: object) -> None:
        button.set_sensitive(bool(config.get_property(source.name)))

    show()
    button.connect("clicked", clear)
    config.connect(f"notify::{source.name}", show)
    return button


def _parts_of(container: Gtk.Container) -> Iterator[Gtk.Widget]:
    for part in container.get_children():
        yield part
        if isinstance(part, Gtk.Container):
            yield from _parts_of(part)
