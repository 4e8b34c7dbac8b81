"""The offer to install a missing backend, and the progress of its installation."""

from __future__ import annotations

from pathlib import Path

from gi.repository import GLib, Gtk, Pango

from atelier_shared.home import atelier_home
from host.backend_installation import BackendInstallation
from host.translation import _

WIDTH_CHARACTERS = 60
PULSE_MS, PULSE_STEP = 200, 0.03


def offer_installation(parent: Gtk.Window, installer: Path) -> bool:
    """Ask whether to install the backend, and install it. Return whether it is installed now."""
    return _is_wanted(parent) and _InstallDialog(parent, installer).install()


def _is_wanted(parent: Gtk.Window) -> bool:
    missing = _("Atelier's backend, which makes the pictures, is not installed yet.")
    offer = _(
        "Install it now? This downloads one to four gigabytes and takes some minutes. "
        "Everything is installed into {home} and can be removed again."
    )
    question = _message(parent, Gtk.MessageType.QUESTION, Gtk.ButtonsType.CANCEL, _("Install Atelier"))
    question.props.secondary_text = f"{missing}\n\n{offer.format(home=atelier_home())}"
    question.add_button(_("_Install"), Gtk.ResponseType.OK)
    question.set_default_response(Gtk.ResponseType.OK)
    return bool(_answer(question) == Gtk.ResponseType.OK)


def _message(
    parent: Gtk.Window, kind: Gtk.MessageType, buttons: Gtk.ButtonsType, text: str
) -> Gtk.MessageDialog:
    return Gtk.MessageDialog(
        transient_for=parent,
        modal=True,
        title=_("Install Atelier"),
        message_type=kind,
        buttons=buttons,
        text=text,
    )


def _answer(dialog: Gtk.Dialog) -> int:
    answer: int = dialog.run()
    dialog.destroy()
    return answer


class _InstallDialog:
    """The progress of an installation, with a button to cancel it."""

    def __init__(self, parent: Gtk.Window, installer: Path) -> None:
        self._parent, self._installer, self._error, self._is_known = parent, installer, "", False
        self._dialog = _message(parent, Gtk.MessageType.OTHER, Gtk.ButtonsType.CANCEL, _("Install Atelier"))
        self._step = Gtk.Label(xalign=0.0, wrap=True, width_chars=WIDTH_CHARACTERS)
        self._bar = Gtk.ProgressBar(pulse_step=PULSE_STEP)
        self._details = Gtk.Label(xalign=0.0, ellipsize=Pango.EllipsizeMode.END)
        for widget in (self._step, self._bar, self._details):
            self._dialog.get_message_area().pack_start(widget, False, False, 0)
            widget.show()

    def install(self) -> bool:
        """Install, show an error, and return whether it succeeded. Cancel ends it."""
        try:
            installation = BackendInstallation(self._installer, self._show, self._end)
        except GLib.Error as error:
            self._dialog.destroy()
            return self._fail(error.message)
        pulse = GLib.timeout_add(PULSE_MS, self._pulse)
        answer = _answer(self._dialog)
        GLib.source_remove(pulse)
        if answer == Gtk.ResponseType.REJECT:
            return self._fail(self._error)
        if answer != Gtk.ResponseType.OK:
            installation.cancel()
        return bool(answer == Gtk.ResponseType.OK)

    def _show(self, step: str, part: float | None, details: str) -> None:
        self._step.set_text(step)
        self._details.set_text(details)
        self._is_known = part is not None
        if part is not None:
            self._bar.set_fraction(part)

    def _pulse(self) -> bool:
        if not self._is_known:
            self._bar.pulse()
        return bool(GLib.SOURCE_CONTINUE)

    def _end(self, error: str) -> None:
        self._error = error
        self._dialog.response(Gtk.ResponseType.REJECT if error else Gtk.ResponseType.OK)

    def _fail(self, error: str) -> bool:
        text = _("The installation failed.")
        message = _message(self._parent, Gtk.MessageType.ERROR, Gtk.ButtonsType.CLOSE, text)
        message.props.secondary_text = error
        _answer(message)
        return False
