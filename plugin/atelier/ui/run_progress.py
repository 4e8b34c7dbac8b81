"""The progress of a run in the dialog, and the user's means to end the run."""

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
from .time_left import TimeLeft


class RunProgress:
    """The RunMonitor of a run in the dialog. It shows the progress in GIMP's status bar, too."""

    def __init__(
        self,
        task: Task,
        estimate: float | None,
        *,
        client: EventLoopClient,
        status_bar: ProgressReporter,
        status_line: StatusLine,
        preview: PreviewPane,
    ) -> None:
        self.finishes_early = False
        self._task, self._client = task, client
        self._status_bar, self._status_line, self._preview = status_bar, status_line, preview
        self._time_left = TimeLeft(task.frames, estimate)
        self._job: int | None = None
        self._is_cancelled = False
        status_line.show_progress(_("Atelier is starting…"), 0.0)

    # ── Called when the user ends the run ──

    def cancel(self) -> None:
        """Cancel the run. Its next `poll` raises JobCancelled."""
        self._is_cancelled = True
        self._status_line.show_progress(_("Cancelling…"), None)
        if self._job is not None:
            self._client.cancel(self._job)

    def finish_early(self) -> None:
        """End the run with the picture as it is now."""
        self.finishes_early = True
        self._status_line.show_progress(_("Stopping…"), None)
        if self._job is not None:
            self._client.finish_early(self._job)

    # ── Called by the run ──

    def poll(self) -> None:
        """Handle pending GTK events.

        Raises:
            JobCancelled: the user has cancelled the run.
        """
        context = GLib.MainContext.default()
        while context.pending():
            context.iteration(False)
        if self._is_cancelled:
            raise JobCancelled("The run was cancelled.")

    def job_started(self, job: int) -> None:
        """Store the number of the job for the next frame. End it at once if the user has ended the run."""
        self._job = job
        if self._is_cancelled:
            self._client.cancel(job)
        elif self.finishes_early:
            self._client.finish_early(job)

    def progressed(self, frame: int, message: Queued | Progress) -> None:
        """Show the progress of a frame, and its intermediate picture in the preview."""
        if self._is_cancelled or self.finishes_early:
            return
        self._status_bar.progressed(frame, message)
        text = progress_text(self._task.title, frame, self._task.frames, message)
        if isinstance(message, Queued):
            self._status_line.show_progress(text, None)
            return
        seconds = self._time_left.seconds(frame, message, time.monotonic())
        fraction = self._time_left.fraction_done(frame, message)
        self._status_line.show_progress(text + _time_left_text(seconds), fraction)
        if message.preview:
            self._preview.show_run_picture(message.preview)


def _time_left_text(seconds: float | None) -> str:
    if seconds is None or seconds <= 0:
        return ""
    sentence, count = left_in_words(seconds)
    return ", " + _(sentence).format(count=count)
