"""The status line at the bottom of a dialog: a message, the progress of a run, or an error."""

from __future__ import annotations

from gi.repository import Gdk, Gtk

from host.translation import _

SPACING_PX = 6
LINE_CHARACTERS = 60
BAR_PX = 220
PULSE_STEP = 0.05


class StatusLine(Gtk.Stack):  # type: ignore[misc]  # gi has no types
    """A stack of the three displays. Its size is that of the largest, so the dialog keeps its layout."""

    def __init__(self) -> None:
        super().__init__(margin_top=SPACING_PX, margin_bottom=SPACING_PX)
        self._message, self._progress, self._error = _wrapped_label(), _wrapped_label(), _wrapped_label()
        self._error.set_selectable(True)
        self._error.set_can_focus(False)
        self._bar = Gtk.ProgressBar(valign=Gtk.Align.CENTER, pulse_step=PULSE_STEP)
        self._bar.set_size_request(BAR_PX, -1)
        self._copy = Gtk.Button(valign=Gtk.Align.CENTER, use_underline=True)
        self._copy.connect("clicked", self._copy_details)
        self._details = ""
        self.add_named(self._message, "message")
        self.add_named(_row(self._bar, self._progress), "progress")
        icon = Gtk.Image.new_from_icon_name("dialog-error", Gtk.IconSize.LARGE_TOOLBAR)
        self.add_named(_row(icon, self._error, self._copy), "error")
        self.show_all()

    def show_message(self, text: str) -> None:
        """Show a message."""
        self._message.set_text(text)
        self.set_visible_child_name("message")

    def show_progress(self, text: str, fraction: float | None) -> None:
        """Show a progress bar at `fraction`, from 0 to 1; None makes the bar pulse."""
        self._progress.set_text(text)
        if fraction is None:
            self._bar.pulse()
        else:
            self._bar.set_fraction(fraction)
        self.set_visible_child_name("progress")

    def show_error(self, sentence: str, details: str) -> None:
        """Show an error, with a button to copy its details."""
        self._error.set_text(sentence)
        self._details = details
        self._copy.set_label(_("Copy D_etails"))
        self.set_visible_child_name("error")

    def _copy_details(self, _button: Gtk.Button) -> None:
        clipboard = Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD)
        clipboard.set_text(self._details, -1)
        clipboard.store()
        self._copy.set_label(_("Copied"))


def _wrapped_label() -> Gtk.Label:
    return Gtk.Label(xalign=0.0, wrap=True, width_chars=LINE_CHARACTERS, max_width_chars=LINE_CHARACTERS)


def _row(*widgets: Gtk.Widget) -> Gtk.Box:
    row = Gtk.Box(spacing=2 * SPACING_PX)
    for widget in widgets:
        row.pack_start(widget, isinstance(widget, Gtk.Label), isinstance(widget, Gtk.Label), 0)
    return row
