"""The dialog that asks for a filter's settings, made of the procedure's own arguments.

Knows nothing of pixels or of the backend. Imported only where there is a dialog to show, for it
takes Gtk along.
"""

from __future__ import annotations

from gi.repository import Gimp, GimpUi, GObject, Gtk

from translation import _

IN_SIGHT = ("style", "method", "layer", "strength", "size", "iterations")


def ask(procedure: Gimp.Procedure, config: Gimp.ProcedureConfig, title: str, names: list[str]) -> bool:
    """Let a person change the arguments `names` in `config`; whether they want the filter to run."""
    GimpUi.init(procedure.get_name())
    dialog = GimpUi.ProcedureDialog.new(procedure, config, title)
    dialog.set_ok_label(_("R_un"))
    for name in names:
        _choose_widget(dialog, config, name)
    dialog.fill_box("advanced-box", [name for name in names if name not in IN_SIGHT])
    dialog.get_label("advanced-title", _("Advanced"), False, False)
    dialog.fill_expander("advanced", "advanced-title", False, "advanced-box")
    dialog.fill([*(name for name in names if name in IN_SIGHT), "advanced"])
    try:
        return bool(dialog.run())
    finally:
        dialog.destroy()


def _choose_widget(dialog: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig, name: str) -> None:
    """A slider for a decimal number and a list for a choice, where GIMP would decide otherwise."""
    kind = config.find_property(name).value_type
    if kind == GObject.TYPE_DOUBLE:
        dialog.get_spin_scale(name, 1.0)
    elif kind == GObject.TYPE_STRING:
        dialog.get_widget(name, Gtk.ComboBox)
