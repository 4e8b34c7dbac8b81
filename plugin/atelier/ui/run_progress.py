"""A run as the dialog watches it: how far it is, the picture as it grows, and how a person ends it."""

from __future__ import annotations

import time

from gi.repository import GLib

from atelier_shared.errors import JobCancelled
from atelier_shared.estimate import left_in_words
from atelier_shared.messages import Progress, Queued
from host.event_loop_client import EventLoopClient
from host.progress_reporter import ProgressReporter, progress_text
from host.task import Task
from host.translation import _

from .preview.pane import PreviewPane
from .status_line import StatusLine
from .time_left import Pace


class Running:
    """The monitor of a run that a dialog shows; GIMP's status bar shows the same."""

    def __init__(
        self,
        task: Task,
        estimate: float | None,
        *,
        link: EventLoopClient,
        bar: ProgressReporter,
        line: StatusLine,
        pane: PreviewPane,
    ) -> None:
        self.finishes_early = False
        self._task, self._link = task, link
        self._bar, self._line, self._pane = bar, line, pane
        self._pace = Pace(task.frames, estimate)
        self._job: int | None = None
        self._is_cancelled = False
        line.show_progress(_("Atelier is starting…"), 0.0)

    # ── What a person does ──

    def cancel(self) -> None:
        """Nothing is wanted any more."""
        self._is_cancelled = True
        self._line.show_progress(_("Cancelling…"), None)
        if self._job is not None:
            self._link.cancel(self._job)

    def finish_early(self) -> None:
        """End the run with the picture as it is now."""
        self.finishes_early = True
        self._line.show_progress(_("Stopping…"), None)
        if self._job is not None:
            self._link.finish_early(self._job)

    # ── What it is told ──

    def poll(self) -> None:
        """Let the window live; raises JobCancelled where nothing is wanted any more."""
        context = GLib.MainContext.default()
        while context.pending():
            context.iteration(False)
        if self._is_cancelled:
            raise JobCancelled("The run was cancelled.")

    def job_started(self, job: int) -> None:
        """A frame was asked for; it may be that it is not wanted any more by now, or not for long."""
        self._job = job
        if self._is_cancelled:
            self._link.cancel(job)
        elif self.finishes_early:
            self._link.finish_early(job)

    def progressed(self, frame: int, message: Queued | Progress) -> None:
        """Show how far frame `frame` is, in the dialog and on GIMP's status bar."""
        if self._is_cancelled or self.finishes_early:
            return
        self._bar.progressed(frame, message)
        text = progress_text(self._task.title, frame, self._task.frames, message)
        if isinstance(message, Queued):
            self._line.show_progress(text, None)
            return
        left = self._pace.seconds_left(frame, message, time.monotonic())
        self._line.show_progress(text + _left(left), self._pace.fraction(frame, message))
        if message.preview:
            self._pane.show(message.preview)


def _left(seconds: float | None) -> str:
    if seconds is None or seconds <= 0:
        return ""
    sentence, count = left_in_words(seconds)
    return ", " + _(sentence).format(count=count)
