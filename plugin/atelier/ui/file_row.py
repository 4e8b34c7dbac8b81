"""A row with GIMP's file chooser button for a picture argument, and a button to clear it."""

from __future__ import annotations

from collections.abc import Iterator

from gi.repository import Gimp, GimpUi, GObject, Gtk

from host.filters import PictureArgument
from host.translation import _

SPACING_PX = 6


def file_row(config: Gimp.ProcedureConfig, argument: PictureArgument) -> tuple[Gtk.Widget, Gtk.Widget]:
    """Return a row bound to the argument, and the row's label."""
    action, title = Gimp.FileChooserAction.OPEN, _(argument.label).replace("_", "")
    chooser = GimpUi.FileChooser.new(action, _(argument.label), title, config.get_property(argument.name))
    chooser.set_tooltip_text(_(argument.help))
    config.bind_property(argument.name, chooser, "file", GObject.BindingFlags.BIDIRECTIONAL)
    row = Gtk.Box(spacing=SPACING_PX)
    row.pack_start(chooser, True, True, 0)
    row.pack_start(_clear_button(config, argument.name, chooser), False, False, 0)
    row.show_all()
    return row, chooser.get_label_widget()


def _clear_button(config: Gimp.ProcedureConfig, name: str, chooser: GimpUi.FileChooser) -> Gtk.Button:
    """Return a button to choose no file, because GIMP's file chooser has none."""
    button = Gtk.Button.new_from_icon_name("edit-clear", Gtk.IconSize.BUTTON)
    button.set_tooltip_text(_("Clear the file"))

    def clear(_button: Gtk.Button) -> None:
        config.set_property(name, None)
        for widget in descendants(chooser):
            if isinstance(widget, Gtk.FileChooserButton):
                widget.unselect_all()

    def update(*_changed: object) -> None:
        button.set_sensitive(bool(config.get_property(name)))

    update()
    button.connect("clicked", clear)
    config.connect(f"notify::{name}", update)
    return button


def descendants(widget: Gtk.Widget) -> Iterator[Gtk.Widget]:
    """Yield all widgets inside a widget."""
    for child in widget.get_children() if isinstance(widget, Gtk.Container) else ():
        yield child
        yield from descendants(child)
