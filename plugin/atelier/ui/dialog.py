"""A filter's dialog: preview, pictures to choose from, settings, and the run, for which it stays open.

It is GIMP's own dialog of a procedure, which brings Reset, Load, Save, Cancel and Run. Knows nothing of
pixels. Imported only where there is a dialog to show, for it takes Gtk along.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from gi.repository import Gdk, Gimp, GimpUi, Gtk

from atelier_shared import estimate
from atelier_shared.errors import AtelierError, JobCancelled
from host import cutouts
from host.error_report import Failure, error_details
from host.event_loop_client import EventLoopClient
from host.filters import Filter
from host.picture_cache import PictureCache
from host.progress_reporter import ProgressReporter
from host.run import make_layers
from host.suitability import Unsuitable
from host.task import Task, task_of
from host.translation import _

from .gallery.gallery import Gallery
from .gallery.recent import add_recent
from .preview.pane import PreviewPane
from .run_progress import Running
from .settings_form import settings_form
from .status_line import StatusLine

SPACING_PX = 12
RESET, FINISH_EARLY = 1, 2
ENDS = (Gtk.ResponseType.CANCEL, Gtk.ResponseType.CLOSE, Gtk.ResponseType.DELETE_EVENT)

Attempt = Callable[[Callable[[], Gimp.Layer]], Gimp.Layer | Failure]


def layer_made(
    procedure: Gimp.Procedure,
    config: Gimp.ProcedureConfig,
    chosen: Filter,
    layer: Gimp.Layer,
    attempt: Attempt,
) -> Gimp.Layer:
    """Let a person change the arguments in `config` and run the filter, until that has made a layer.

    `attempt` calls what it is given, and returns a Failure where that raises.

    Raises:
        JobCancelled: the person does not want the filter after all.
    """
    GimpUi.init(procedure.get_name())
    with FilterDialog(procedure, config, chosen, layer) as dialog:
        while dialog.ask():
            outcome = attempt(dialog.run)
            if not isinstance(outcome, Failure):
                return outcome
            dialog.show(outcome)
    raise JobCancelled("The filter was cancelled.")


class FilterDialog:
    """The window and its parts, with a connection to the backend; a context manager that closes both."""

    def __init__(
        self,
        procedure: Gimp.Procedure,
        config: Gimp.ProcedureConfig,
        chosen: Filter,
        layer: Gimp.Layer,
    ) -> None:
        self._config, self._chosen, self._layer = config, chosen, layer
        self._running: Running | None = None
        self._is_closed = False
        self._link = EventLoopClient(self._link_changed)
        self._dialog = GimpUi.ProcedureDialog.new(procedure, config, _(chosen.title))
        self._given = PictureCache(layer)
        self._line, self._pane = StatusLine(), PreviewPane(layer, self._given, self._link, self._wanted)
        self._body = Gtk.Box(spacing=SPACING_PX)
        self._settings = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=SPACING_PX)
        self._lay_out()
        self._finish_early = self._finish_early_button()
        self._listen()
        self._config_changed()

    def _lay_out(self) -> None:
        gallery = Gallery(self._config, self._chosen).view
        form = settings_form(self._dialog, self._config, self._chosen, gallery)
        self._settings.pack_start(gallery, True, True, 0)
        self._settings.pack_start(form, False, False, 0)
        self._body.pack_start(self._pane, False, False, 0)
        self._body.pack_start(self._settings, True, True, 0)
        self._settings.show()
        self._body.show()
        content = self._dialog.get_content_area()
        content.pack_start(self._body, True, True, 0)
        content.pack_start(self._line, False, False, 0)

    def _finish_early_button(self) -> Gtk.Button:
        """Stop and keep, between Cancel and Run, of which nothing is seen but during a run."""
        self._dialog.set_ok_label(_("R_un"))
        button = self._dialog.add_button(_("Stop and _keep"), FINISH_EARLY)
        button.set_tooltip_text(_("Ends the run now, and adds the picture as it is by then"))
        buttons, run = button.get_parent(), self._dialog.get_widget_for_response(Gtk.ResponseType.OK)
        buttons.reorder_child(button, buttons.get_children().index(run))
        button.hide()
        return button

    def _listen(self) -> None:
        self._config.connect("notify", self._config_changed)
        self._dialog.connect("response", self._responded)
        self._dialog.connect("delete-event", self._closed)
        self._dialog.connect("key-press-event", self._key_pressed)

    def __enter__(self) -> FilterDialog:
        """Connect to the backend, which is started where none runs."""
        self._link.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close window and connection; the backend drops what it still does for it."""
        self._link.close()
        self._dialog.destroy()

    # ── Before a run ──

    def ask(self) -> bool:
        """Wait until the person wants the filter to run, or does not want it any more: False."""
        return not self._is_closed and bool(self._dialog.run())

    def _wanted(self) -> tuple[Any, list[Any]]:
        cutouts.size_to_send(self._layer)
        task = task_of(self._config, self._chosen)
        return task.request, list(task.pictures)

    def _config_changed(self, *_changed: object) -> None:
        self._line.say(self._duration())
        self._pane.refresh_soon()

    def _link_changed(self) -> None:
        self._pane.refresh_soon()

    def _duration(self) -> str:
        """About how long it will take, or what is wrong with the settings."""
        try:
            seconds = self._estimate(task_of(self._config, self._chosen))
        except Unsuitable as error:
            return str(error)
        sentence, count = estimate.in_words(seconds)
        return _(sentence).format(count=count)

    def _estimate(self, task: Task) -> float | None:
        return task.seconds(*cutouts.size_to_send(self._layer))

    # ── A run ──

    def run(self) -> Gimp.Layer:
        """Do what the settings say, while the window lives; raises as `make` does."""
        task = task_of(self._config, self._chosen)
        if isinstance(self._link.state, AtelierError):
            self._link.start()
        with ProgressReporter(task.title, task.frames) as bar:
            self._running = Running(
                task, self._estimate(task), link=self._link, bar=bar, line=self._line, pane=self._pane
            )
            self._set_busy(True)
            try:
                made = make_layers(task, self._layer, self._given, self._link, self._running)
            finally:
                self._running = None
                self._set_busy(False)
        add_recent(task.pictures)
        return made

    def show(self, failure: Failure) -> None:
        """Show why there is no layer; a run that was cancelled needs no explanation.

        After an error no preview is asked for that would say the same; the next change does that.
        """
        if failure.status == Gimp.PDBStatusType.CANCEL:
            self._config_changed()
        else:
            self._line.show_error(failure.sentence, error_details(failure, self._described()))

    def _described(self) -> str:
        """The settings, for the details of an error."""
        properties = (pspec.name for pspec in self._config.list_properties())
        return "\n".join(f"{name}: {self._config.get_property(name)}" for name in properties)

    def _set_busy(self, busy: bool) -> None:
        """Leave nothing to be used during a run but the buttons that end it."""
        (self._pane.pause if busy else self._pane.resume)()
        for part in (self._settings, *self._saving()):
            Gtk.Widget.set_sensitive(part, not busy)
        for response in (Gtk.ResponseType.OK, Gtk.ResponseType.HELP, RESET):
            self._dialog.set_response_sensitive(response, not busy)
        self._finish_early.set_visible(busy)
        self._finish_early.set_sensitive(busy)
        if busy:
            self._dialog.set_focus(None)  # Return must not cancel by chance

    def _saving(self) -> list[Gtk.Widget]:
        """What GIMP has between our parts and the buttons: Load and Save."""
        return [
            part
            for part in self._dialog.get_content_area().get_children()
            if part not in (self._body, self._line) and not self._finish_early.is_ancestor(part)
        ]

    def _responded(self, _dialog: Gtk.Dialog, response: int) -> None:
        if self._running and response == FINISH_EARLY:
            self._running.finish_early()
            self._finish_early.set_sensitive(False)
        elif self._running and response in ENDS:
            self._running.cancel()

    def _closed(self, _dialog: Gtk.Dialog, _event: Gdk.Event) -> bool:
        """The window's own button during a run: nothing is wanted any more, nor to be seen."""
        if not self._running:
            return False
        self._is_closed = True
        self._dialog.hide()
        self._running.cancel()
        self._link.close()
        return True

    def _key_pressed(self, _dialog: Gtk.Dialog, event: Gdk.EventKey) -> bool:
        """Escape during a run means Cancel; GTK takes it for the window's own button."""
        if not (self._running and event.keyval == Gdk.KEY_Escape):
            return False
        self._running.cancel()
        return True
