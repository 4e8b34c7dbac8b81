"""Progress of a run, as a text and in GIMP's status bar."""

from __future__ import annotations

from types import TracebackType

from gi.repository import Gimp, GLib

from atelier_shared.messages import Progress, Queued

from .translation import _, ngettext

PULSE_MS = 100


def progress_text(title: str, frame: int, frames: int, message: Queued | Progress) -> str:
    """Describe a message of the backend about frame `frame`, counted from 0, of `frames`."""
    if isinstance(message, Queued):
        text = ngettext("Waiting for {count} other job", "Waiting for {count} other jobs", message.place)
        return text.format(count=message.place) if message.place else title
    text = _("{title}: step {step} of {total}")
    if frames > 1:
        text = _("{title}: frame {frame} of {count}, step {step} of {total}")
    return text.format(title=title, step=message.step, total=message.total, frame=frame + 1, count=frames)


class ProgressReporter:
    """A RunMonitor for GIMP's status bar; it never ends the run.

    It is a context manager: it takes the status bar and gives it back.
    """

    finishes_early = False

    def __init__(self, title: str, frames: int) -> None:
        self._title, self._frames = title, frames
        self._pulse_timer = 0

    def __enter__(self) -> ProgressReporter:
        """Take the status bar."""
        Gimp.progress_init(self._title)
        Gimp.progress_set_text(_("Atelier is starting…"))
        self._pulse_timer = GLib.timeout_add(PULSE_MS, self._pulse)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the status bar back."""
        self._stop_pulsing()
        Gimp.progress_end()

    def poll(self) -> None:
        """Do nothing: without a window there are no events to handle."""

    def job_started(self, job: int) -> None:
        """Do nothing: the job is never ended from here."""

    def progressed(self, frame: int, message: Queued | Progress) -> None:
        """Show the progress of a frame."""
        self._stop_pulsing()
        Gimp.progress_set_text(progress_text(self._title, frame, self._frames, message))
        if isinstance(message, Progress):
            Gimp.progress_update((frame + message.step / message.total) / self._frames)

    def _pulse(self) -> bool:
        Gimp.progress_pulse()
        return True

    def _stop_pulsing(self) -> None:
        if self._pulse_timer:
            GLib.source_remove(self._pulse_timer)
            self._pulse_timer = 0
