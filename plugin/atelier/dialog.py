"""The dialog that asks for a filter's settings, made of the procedure's own arguments.

GIMP makes the widgets, but for layers and patterns, of which its own cannot say "none" in every
version. Knows nothing of pixels or of the backend. Imported only where there is a dialog to show,
for it takes Gtk along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gi.repository import Gimp, GimpUi, GObject, Gtk

from atelier_requests import Choice, Number, Setting
from dream_layers import GROUPS
from presets import CONTROLLED
from procedures import Filter, Source, argument
from translation import _

SPACING_PX = 6
ADVANCED_HEIGHT_PX = 170
"""All of a dialog fits on a screen of 800 pixels."""
LINE_CHARACTERS = 60


def ask(
    procedure: Gimp.Procedure, config: Gimp.ProcedureConfig, chosen: Filter, takes: Callable[[], str]
) -> bool:
    """Let a person change the arguments in `config`; whether they want the filter to run.

    `takes` says about how long that will take as things stand; it is asked after every change.
    """
    GimpUi.init(procedure.get_name())
    dialog = GimpUi.ProcedureDialog.new(procedure, config, _(chosen.title))
    dialog.set_ok_label(_("R_un"))
    labels = Gtk.SizeGroup(mode=Gtk.SizeGroupMode.HORIZONTAL)
    _add_rows(dialog, config, chosen, labels)
    _add_settings(dialog, config, chosen, labels)
    _turn_off_what_has_no_say(dialog, chosen)
    _add_line(dialog, config, takes)
    _follow(config, chosen)
    try:
        return bool(dialog.run())
    finally:
        dialog.destroy()


# ── The pictures, and presets ────────────────────────────────────────────────────────────────────


def _add_rows(
    dialog: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig, chosen: Filter, labels: Gtk.SizeGroup
) -> None:
    grid = Gtk.Grid(row_spacing=SPACING_PX, column_spacing=SPACING_PX)
    rows = [_preset_row(config, chosen)] if chosen.presets else []
    rows += [ROWS[source.kind](config, source) for source in chosen.sources]
    for number, (label, widget) in enumerate(rows):
        if label.get_parent():  # a file chooser brings its own
            grid.attach(widget, 0, number, 2, 1)
        else:
            grid.attach(label, 0, number, 1, 1)
            grid.attach(widget, 1, number, 1, 1)
        labels.add_widget(label)
        widget.set_hexpand(True)
    grid.show_all()
    dialog.get_content_area().pack_start(grid, False, False, 0)


def _preset_row(config: Gimp.ProcedureConfig, chosen: Filter) -> tuple[Gtk.Widget, Gtk.Widget]:
    combo = Gtk.ComboBoxText()
    combo.append("", _("—"))
    for key, preset in chosen.presets.items():
        combo.append(key, _(preset.label))
    combo.set_active_id("")

    def choose(_combo: Gtk.ComboBoxText) -> None:
        if preset := chosen.presets.get(combo.get_active_id()):
            for setting in (setting for setting in chosen.settings if setting.name in CONTROLLED):
                config.set_property(argument(setting), preset.settings.get(setting.name, setting.default))

    combo.connect("changed", choose)
    help = _("Sets the other controls, which can be changed afterwards")
    return _label(_("Pres_et"), help, combo), combo


def _file_row(config: Gimp.ProcedureConfig, source: Source) -> tuple[Gtk.Widget, Gtk.Widget]:
    action = Gimp.FileChooserAction.OPEN
    title = _(source.label).replace("_", "")
    chooser = GimpUi.FileChooser.new(action, _(source.label), title, config.get_property(source.name))
    chooser.set_tooltip_text(_(source.help))
    config.bind_property(source.name, chooser, "file", GObject.BindingFlags.BIDIRECTIONAL)
    row = Gtk.Box(spacing=SPACING_PX)
    row.pack_start(chooser, True, True, 0)
    row.pack_start(_clear_button(config, source, chooser), False, False, 0)
    return chooser.get_label_widget(), row


def _clear_button(config: Gimp.ProcedureConfig, source: Source, chooser: GimpUi.FileChooser) -> Gtk.Button:
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


def _layer_row(config: Gimp.ProcedureConfig, source: Source) -> tuple[Gtk.Widget, Gtk.Widget]:
    combo = Gtk.ComboBoxText()
    combo.append("", _("(None)"))
    offered = {str(layer.get_id()): layer for image in Gimp.get_images() for layer in _layers_in(image)}
    for key, layer in offered.items():
        combo.append(key, f"{layer.get_name()} ({layer.get_image().get_name()})")

    def choose(_combo: Gtk.ComboBoxText) -> None:
        config.set_property(source.name, offered.get(combo.get_active_id()))

    def show(*_changed: object) -> None:
        layer = config.get_property(source.name)
        combo.set_active_id(str(layer.get_id()) if layer else "")

    show()
    combo.connect("changed", choose)
    config.connect(f"notify::{source.name}", show)
    return _label(_(source.label), _(source.help), combo), combo


def _layers_in(parent: Gimp.Image | Gimp.GroupLayer) -> Iterator[Gimp.Layer]:
    for layer in parent.get_layers() if isinstance(parent, Gimp.Image) else parent.get_children():
        yield layer
        if layer.is_group():
            yield from _layers_in(layer)


def _pattern_row(config: Gimp.ProcedureConfig, source: Source) -> tuple[Gtk.Widget, Gtk.Widget]:
    pattern = config.get_property(source.name)
    wanted = Gtk.CheckButton(label=_(source.label), use_underline=True, active=bool(pattern))
    wanted.set_tooltip_text(_(source.help))
    chooser = GimpUi.PatternChooser.new(_(source.label), None, pattern or Gimp.context_get_pattern())

    def choose(*_changed: object) -> None:
        config.set_property(source.name, chooser.get_resource() if wanted.get_active() else None)

    def show(*_changed: object) -> None:
        wanted.set_active(bool(config.get_property(source.name)))

    def take(*_changed: object) -> None:
        wanted.set_active(True)
        choose()

    wanted.connect("toggled", choose)
    chooser.connect("resource-set", take)
    config.connect(f"notify::{source.name}", show)
    return wanted, chooser


ROWS: dict[str, Callable[[Gimp.ProcedureConfig, Source], tuple[Gtk.Widget, Gtk.Widget]]] = {
    "file": _file_row,
    "layer": _layer_row,
    "pattern": _pattern_row,
}


def _label(text: str, help: str, widget: Gtk.Widget) -> Gtk.Label:
    label = Gtk.Label(label=text, use_underline=True, xalign=0.0)
    label.set_mnemonic_widget(widget)
    for part in (label, widget):
        part.set_tooltip_text(help)
    return label


def _follow(config: Gimp.ProcedureConfig, chosen: Filter) -> None:
    """Set what goes with a given picture as soon as one is given."""

    def follow(_config: Gimp.ProcedureConfig, pspec: GObject.ParamSpec) -> None:
        if config.get_property(pspec.name):
            for name, value in chosen.given.items():
                config.set_property(name, value)

    for source in chosen.sources:
        config.connect(f"notify::{source.name}", follow)


# ── The settings ─────────────────────────────────────────────────────────────────────────────────


def _add_settings(
    dialog: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig, chosen: Filter, labels: Gtk.SizeGroup
) -> None:
    """Those that are in sight, and the others in a part that scrolls and is folded at first."""
    names = {setting.name: argument(setting) for setting in chosen.settings}
    for setting in chosen.settings:
        widget = _widget(dialog, setting)
        if isinstance(widget, GimpUi.Labeled):
            labels.add_widget(widget.get_label())
        if setting.name in chosen.offered:
            widget.attach(_offer_button(config, chosen, setting), 2, 0, 1, 1)
    dialog.fill_box("advanced-box", [names[name] for name in names if name not in chosen.in_sight])
    scrolled = dialog.fill_scrolled_window("advanced-scrolled", "advanced-box")
    scrolled.set_policy(Gtk.PolicyType.NEVER, Gtk.PolicyType.AUTOMATIC)
    scrolled.set_overlay_scrolling(False)
    scrolled.set_min_content_height(ADVANCED_HEIGHT_PX)
    title = dialog.get_label("advanced-title", _("Ad_vanced"), False, True)
    title.set_mnemonic_widget(dialog.fill_expander("advanced", "advanced-title", False, "advanced-scrolled"))
    dialog.fill([*(names[name] for name in chosen.in_sight), "advanced"])


def _widget(dialog: GimpUi.ProcedureDialog, setting: Setting) -> Gtk.Widget:
    """A slider for a decimal number and a list for a choice, where GIMP would decide otherwise."""
    if isinstance(setting, Number) and isinstance(setting.default, float):
        return dialog.get_spin_scale(argument(setting), 1.0)
    kind = Gtk.ComboBox if isinstance(setting, Choice) else GObject.TYPE_NONE
    return dialog.get_widget(argument(setting), kind)


def _offer_button(config: Gimp.ProcedureConfig, chosen: Filter, setting: Setting) -> Gtk.MenuButton:
    """A button beside a text with a menu of what may stand there, which the network decides."""
    button = Gtk.MenuButton(tooltip_text=_("What there is to choose from"))

    def choose(_item: Gtk.MenuItem, text: str) -> None:
        config.set_property(argument(setting), text)

    def offer(*_changed: object) -> None:
        menu, last_group = Gtk.Menu(), ""
        for text, group in chosen.offered[setting.name][config.get_property("network")]:
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
    names = {setting.name: argument(setting) for setting in chosen.settings}
    for only in chosen.only:
        for name in only.settings:
            values = Gimp.ValueArray.new(len(only.values))
            for value in only.values:
                values.append(GObject.Value(str, value))
            dialog.set_sensitive_if_in(names[name], None, names[only.where], values, True)


def _add_line(dialog: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig, takes: Callable[[], str]) -> None:
    """A line that says how long it takes, as things stand."""
    line = Gtk.Label(label=takes(), xalign=0.0, wrap=True, max_width_chars=LINE_CHARACTERS)
    line.show()
    dialog.get_content_area().pack_start(line, False, False, SPACING_PX)
    config.connect("notify", lambda *_changed: line.set_text(takes()))
