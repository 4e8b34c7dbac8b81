"""The line at the foot of a dialog: what is to be said, how far a run is, or what went wrong."""

from __future__ import annotations

from gi.repository import Gdk, Gtk

from host.translation import _

SPACING_PX = 6
LINE_CHARACTERS = 60
BAR_PX = 220
PULSE = 0.05


class StatusLine(Gtk.Stack):  # type: ignore[misc]  # gi has no types
    """One of three things at a time, in the same place, so that nothing beside it moves."""

    def __init__(self) -> None:
        super().__init__(margin_top=SPACING_PX, margin_bottom=SPACING_PX)
        self._note, self._so_far, self._sentence = _wrapped(), _wrapped(), _wrapped()
        self._sentence.set_selectable(True)
        self._sentence.set_can_focus(False)
        self._bar = Gtk.ProgressBar(valign=Gtk.Align.CENTER, pulse_step=PULSE)
        self._bar.set_size_request(BAR_PX, -1)
        self._copy = Gtk.Button(valign=Gtk.Align.CENTER, use_underline=True)
        self._copy.connect("clicked", self._copy_details)
        self._details = ""
        self.add_named(self._note, "note")
        self.add_named(_row(self._bar, self._so_far), "progress")
        icon = Gtk.Image.new_from_icon_name("dialog-error", Gtk.IconSize.LARGE_TOOLBAR)
        self.add_named(_row(icon, self._sentence, self._copy), "error")
        self.show_all()

    def say(self, text: str) -> None:
        """Show a text."""
        self._note.set_text(text)
        self.set_visible_child_name("note")

    def show_progress(self, text: str, fraction: float | None) -> None:
        """Show how far a run is, from 0 to 1; None where that is not known yet."""
        self._so_far.set_text(text)
        if fraction is None:
            self._bar.pulse()
        else:
            self._bar.set_fraction(fraction)
        self.set_visible_child_name("progress")

    def show_error(self, sentence: str, details: str) -> None:
        """Show what went wrong, and offer `details` to be copied."""
        self._sentence.set_text(sentence)
        self._details = details
        self._copy.set_label(_("Copy d_etails"))
        self.set_visible_child_name("error")

    def _copy_details(self, _button: Gtk.Button) -> None:
        clipboard = Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD)
        clipboard.set_text(self._details, -1)
        clipboard.store()
        self._copy.set_label(_("Copied"))


def _wrapped() -> Gtk.Label:
    return Gtk.Label(xalign=0.0, wrap=True, width_chars=LINE_CHARACTERS, max_width_chars=LINE_CHARACTERS)


def _row(*widgets: Gtk.Widget) -> Gtk.Box:
    row = Gtk.Box(spacing=2 * SPACING_PX)
    for widget in widgets:
        row.pack_start(widget, isinstance(widget, Gtk.Label), isinstance(widget, Gtk.Label), 0)
    return row
