"""A filter's dialog: the preview, the gallery, the settings, and the run, during which it stays open.

It extends GIMP's own procedure dialog, which has Reset, Load, Save, Cancel and Run. This module loads
Gtk, so it is imported only for interactive calls.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TypeAlias

from gi.repository import Gdk, Gimp, GimpUi, GLib, GObject, Gtk

from atelier_shared import estimate, remote
from atelier_shared.errors import AtelierError, BackendMissing, JobCancelled
from atelier_shared.home import installer
from atelier_shared.request import PREVIEW_PX, PaintingRequest
from host import cutouts
from host.error_report import Failure, error_details
from host.event_loop_client import EventLoopClient
from host.filters import Filter
from host.frame_layers import Target
from host.layers_as_frames import LAYERS_AS_FRAMES
from host.picture_cache import PictureCache
from host.previewed_layer import PreviewedLayer
from host.progress_reporter import ProgressReporter
from host.run import make_layers
from host.session_results import SessionResult, add_session_result, session_results
from host.source_pictures import SourcePicture
from host.suitability import Unsuitable
from host.task import Task, extra_value, task_of
from host.translation import _, translated

from .gallery.entries import has_gallery, recorded_arguments, set_arguments
from .gallery.gallery import Gallery
from .gallery.recent import add_recent
from .install_dialog import offer_installation
from .preview.pane import PreviewPane, selected_part
from .preview.rendering import picture_of
from .results_strip import ResultsStrip
from .run_progress import RunProgress
from .settings_form import settings_form
from .status_line import StatusLine

SPACING_PX = 12
RESET, FINISH_EARLY = 1, 2
"""Responses; RESET is the one that GIMP uses."""
CANCEL_RESPONSES = (Gtk.ResponseType.CANCEL, Gtk.ResponseType.CLOSE, Gtk.ResponseType.DELETE_EVENT)

Attempt: TypeAlias = Callable[[Callable[[], Gimp.Layer]], Gimp.Layer | Failure]


class FilterDialog:
    """The dialog and its connection to the backend; a context manager that closes both."""

    def __init__(
        self, procedure: Gimp.Procedure, config: Gimp.ProcedureConfig, chosen: Filter, target: Target
    ) -> None:
        GimpUi.init(procedure.get_name())
        self._config, self._chosen, self._target = config, chosen, target
        self._layer = layer = target.layer
        self._run: RunProgress | None = None
        self._is_closed = self._has_offered = False
        self._update = 0
        self._client = EventLoopClient(self._backend_changed)
        self._pictures = PictureCache(layer)
        self._dialog = GimpUi.ProcedureDialog.new(procedure, config, _(chosen.title))
        self._previewed = PreviewedLayer(target)
        self._preview = PreviewPane(
            self._previewed_layer, self._pictures, self._client, self._current_request
        )
        results = session_results(chosen.request.name)
        self._strip = ResultsStrip(results, self._preview.compare_with, self._restore)
        self._gallery = Gallery(config, chosen).view if has_gallery(chosen) else None
        self._status_line = StatusLine()
        self._body = Gtk.Box(spacing=SPACING_PX)
        self._settings = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=SPACING_PX)
        self._disabled_in_a_run = [self._settings, self._strip]
        self._lay_out()
        self._finish_early = self._add_finish_early_button()
        self._connect_signals()
        self._show_changes()

    def _lay_out(self) -> None:
        """Place the preview above the strip, the gallery above the settings, and the advanced ones beside."""
        against_frames = self._target.reasons_against()
        form = settings_form(self._dialog, self._config, self._chosen, against_frames)
        if self._gallery:
            self._settings.pack_start(self._gallery, True, True, 0)
        self._settings.pack_start(form.basic, False, False, 0)
        left = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=SPACING_PX, visible=True)
        left.pack_start(self._preview, True, True, 0)
        left.pack_start(self._strip, False, False, 0)
        self._body.pack_start(left, True, True, 0)
        self._body.pack_start(self._settings, False, True, 0)
        self._settings.show()
        self._body.show()
        content = self._dialog.get_content_area()
        content.pack_start(self._body, True, True, 0)
        content.pack_start(self._status_line, False, False, 0)
        if form.advanced:
            self._place_advanced(form.advanced)

    def _place_advanced(self, advanced: Gtk.Widget) -> None:
        """Place the advanced settings in their own column, or instead of the gallery if that is too wide."""
        self._body.pack_start(advanced, False, True, 0)
        if self._width_with(advanced) <= _screen_width():
            self._disabled_in_a_run.append(advanced)
            advanced.connect("hide", self._shrink)
            return
        self._body.remove(advanced)
        self._settings.pack_start(advanced, True, True, 0)
        if self._gallery:
            advanced.bind_property("visible", self._gallery, "visible", GObject.BindingFlags.INVERT_BOOLEAN)

    def _width_with(self, hidden: Gtk.Widget) -> int:
        """Return the dialog's width with a hidden widget, which depends on language and text size."""
        hidden.show()
        _least, width = self._dialog.get_preferred_width()
        hidden.hide()
        return int(width)

    def _shrink(self, advanced: Gtk.Widget) -> None:
        """Take back the width of a hidden column."""
        width, height = self._dialog.get_size()
        self._dialog.resize(max(1, width - advanced.get_allocated_width()), height)

    def _add_finish_early_button(self) -> Gtk.Button:
        """Add the button "Stop and keep" between Cancel and Run. It is visible only during a run."""
        self._dialog.set_ok_label(_("R_un"))
        button = self._dialog.add_button(_("Stop and _keep"), FINISH_EARLY)
        button.set_tooltip_text(_("End the run now, and keep the picture as it is"))
        buttons, run = button.get_parent(), self._dialog.get_widget_for_response(Gtk.ResponseType.OK)
        buttons.reorder_child(button, buttons.get_children().index(run))
        button.hide()
        return button

    def _connect_signals(self) -> None:
        self._config.connect("notify", self._config_changed)
        self._dialog.connect("response", self._responded)
        self._dialog.connect("delete-event", self._closed)
        self._dialog.connect("key-press-event", self._key_pressed)
        self._dialog.connect("focus-in-event", self._focused)

    def __enter__(self) -> FilterDialog:
        """Connect to the backend; start it if none is running."""
        self._client.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the dialog and the connection. The backend then drops unfinished jobs."""
        self._cancel_update()
        self._client.close()
        self._dialog.destroy()
        self._previewed.forget()

    def make_layer(self, attempt: Attempt) -> Gimp.Layer:
        """Let the user change the settings and run the filter until a run has made a layer.

        `attempt` calls its argument and returns a Failure if that raises.

        Raises:
            JobCancelled: the user has cancelled the dialog.
        """
        while not self._is_closed and self._dialog.run():
            self._cancel_update()  # it would replace the run's progress or error
            outcome = attempt(self._run_filter)
            if not isinstance(outcome, Failure):
                return outcome
            self._show_failure(outcome)
        raise JobCancelled("The filter was cancelled.")

    # ── Before a run ─────────────────────────────────────────────────────────────────────────────

    def _current_request(self) -> tuple[PaintingRequest, Sequence[SourcePicture]]:
        task = self._task()
        if not task.layers:
            cutouts.size_to_send(self._layer)
        return task.request, task.pictures

    def _previewed_layer(self) -> Gimp.Layer:
        return self._previewed.layer(extra_value(self._config, self._chosen, LAYERS_AS_FRAMES))

    def _task(self) -> Task:
        return task_of(self._config, self._chosen, self._target)

    def _config_changed(self, *_changed: object) -> None:
        """Update the dialog once for several changes, before it is drawn again."""
        if not self._update:
            self._update = GLib.idle_add(self._show_changes, priority=GLib.PRIORITY_HIGH_IDLE)

    def _show_changes(self) -> bool:
        self._update = 0
        self._status_line.show_message(self._expected_duration())
        self._preview.refresh_soon()
        return bool(GLib.SOURCE_REMOVE)

    def _cancel_update(self) -> None:
        if self._update:
            GLib.source_remove(self._update)
            self._update = 0

    def _restore(self, result: SessionResult) -> None:
        set_arguments(self._config, recorded_arguments(self._chosen, result.record))

    def _backend_changed(self) -> None:
        self._preview.refresh_soon()
        is_missing = isinstance(self._client.state, BackendMissing)
        if is_missing and not (self._has_offered or self._run):
            self._has_offered = True
            GLib.idle_add(self._offer_installation)

    def _offer_installation(self) -> bool:
        """Offer to install a missing backend if its installer is known."""
        file = installer()
        if file and offer_installation(self._dialog, file):
            self._client.start()
            self._preview.request_again()
            if self._gallery:
                self._gallery.refresh()  # the installation has made its thumbnails
        return bool(GLib.SOURCE_REMOVE)

    def _focused(self, _dialog: Gtk.Dialog, _event: Gdk.Event) -> bool:
        """Preview again if a layer or the selection was changed in GIMP's window."""
        self._previewed.forget()
        self._preview.refresh_soon()
        return False

    def _expected_duration(self) -> str:
        """Return the expected duration as a sentence, or the error in the settings."""
        try:
            seconds = self._estimate(self._task())
            machine = remote.machine()
        except Unsuitable as error:
            return str(error)
        except AtelierError as error:
            return translated(error)
        return estimate.expectation(seconds, machine, _)

    def _estimate(self, task: Task) -> float | None:
        if task.layers:
            return task.seconds(*cutouts.canvas_size_to_send(self._target.image))
        return task.seconds(*cutouts.size_to_send(self._layer))

    # ── A run ────────────────────────────────────────────────────────────────────────────────────

    def _run_filter(self) -> Gimp.Layer:
        """Run the filter with the current settings, while the dialog stays responsive.

        Raises the errors of `make_layers`.
        """
        task = self._task()
        if isinstance(self._client.state, AtelierError):
            self._client.start()
        with ProgressReporter(task.title, task.frames) as status_bar:
            self._run = RunProgress(
                task,
                self._estimate(task),
                client=self._client,
                status_bar=status_bar,
                status_line=self._status_line,
                preview=self._preview,
            )
            self._set_running(True)
            try:
                made = make_layers(task, self._layer, self._pictures, self._client, self._run)
                self._add_to_strip(task, made)
            finally:
                self._run = None
                self._set_running(False)
        add_recent(task.pictures)
        return made

    def _add_to_strip(self, task: Task, made: Gimp.Layer) -> None:
        """Keep a result for the strip of the next dialog."""
        try:
            picture = picture_of(selected_part(made, PREVIEW_PX))
        except Unsuitable:  # the selection was moved off the layer during the run
            return
        name = task.name if task.layers else task.layer_name(task.frames)
        result = SessionResult(name, json.loads(task.record()), picture)
        add_session_result(task.request.name, result)

    def _show_failure(self, failure: Failure) -> None:
        """Show the error of a run. A cancelled run has none.

        The preview is not refreshed after an error, because it would show the same error.
        """
        if failure.status == Gimp.PDBStatusType.CANCEL:
            self._config_changed()
        else:
            details = error_details(failure, self._arguments_text())
            self._status_line.show_error(failure.sentence, details)
        if isinstance(self._client.state, BackendMissing):
            self._offer_installation()

    def _arguments_text(self) -> str:
        names = (pspec.name for pspec in self._config.list_properties())
        return "\n".join(f"{name}: {self._config.get_property(name)}" for name in names)

    def _set_running(self, is_running: bool) -> None:
        """Disable everything during a run except the buttons to end it; enable everything after it."""
        (self._preview.pause if is_running else self._preview.resume)()
        for widget in (*self._disabled_in_a_run, *self._load_and_save()):
            Gtk.Widget.set_sensitive(widget, not is_running)
        for response in (Gtk.ResponseType.OK, Gtk.ResponseType.HELP, RESET):
            self._dialog.set_response_sensitive(response, not is_running)
        self._finish_early.set_visible(is_running)
        self._finish_early.set_sensitive(is_running)
        if is_running:
            self._dialog.set_focus(None)  # otherwise Cancel has the focus, and Return cancels by accident

    def _load_and_save(self) -> list[Gtk.Widget]:
        """Return GIMP's widgets between our content and the buttons: Load and Save."""
        return [
            widget
            for widget in self._dialog.get_content_area().get_children()
            if widget not in (self._body, self._status_line) and not self._finish_early.is_ancestor(widget)
        ]

    def _responded(self, _dialog: Gtk.Dialog, response: int) -> None:
        if self._run and response == FINISH_EARLY:
            self._run.finish_early()
            self._finish_early.set_sensitive(False)
        elif self._run and response in CANCEL_RESPONSES:
            self._run.cancel()

    def _closed(self, _dialog: Gtk.Dialog, _event: Gdk.Event) -> bool:
        """Cancel the run and hide the dialog when the user closes the window during a run."""
        if not self._run:
            return False
        self._is_closed = True
        self._dialog.hide()
        self._run.cancel()
        self._client.close()
        return True

    def _key_pressed(self, _dialog: Gtk.Dialog, event: Gdk.EventKey) -> bool:
        """Cancel the run on Escape. GTK would otherwise close the window."""
        if not (self._run and event.keyval == Gdk.KEY_Escape):
            return False
        self._run.cancel()
        return True


def _screen_width() -> int:
    """Return the width of the main screen, without the desktop's panels."""
    display = Gdk.Display.get_default()
    monitor = display.get_primary_monitor() or display.get_monitor(0)
    return int(monitor.get_workarea().width)
