"""How far a run is, in words and on GIMP's own status bar."""

from __future__ import annotations

from types import TracebackType

from gi.repository import Gimp, GLib

from atelier_shared.messages import Progress, Queued

from .translation import _, ngettext

PULSE_MS = 100


def words(title: str, frame: int, frames: int, message: Queued | Progress) -> str:
    """What the backend said of frame `frame` of `frames`, counted from 0, in a few words."""
    if isinstance(message, Queued):
        text = ngettext(
            "Waiting: {count} job before this one", "Waiting: {count} jobs before this one", message.place
        )
        return text.format(count=message.place) if message.place else title
    text = _("{title}: step {step} of {total}")
    if frames > 1:
        text = _("{title}: frame {frame} of {count}, step {step} of {total}")
    return text.format(title=title, step=message.step, total=message.total, frame=frame + 1, count=frames)


class ProgressReporter:
    """GIMP's status bar as the one that watches a run: it shows how far that is, and never ends it.

    A context manager, for the bar is taken and given back.
    """

    finishes_early = False

    def __init__(self, title: str, frames: int) -> None:
        self._title, self._frames = title, frames
        self._pulsing = 0

    def __enter__(self) -> ProgressReporter:
        """Take the bar."""
        Gimp.progress_init(self._title)
        Gimp.progress_set_text(_("Atelier is starting…"))
        self._pulsing = GLib.timeout_add(PULSE_MS, self._pulse)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the bar back."""
        self._stand_still()
        Gimp.progress_end()

    def turn(self) -> None:
        """Nothing: where there is no window, nothing has to be kept alive."""

    def started(self, job: int) -> None:
        """Nothing: a job is of no use to a bar."""

    def heard(self, frame: int, message: Queued | Progress) -> None:
        """Show how far frame `frame` is."""
        self._stand_still()
        Gimp.progress_set_text(words(self._title, frame, self._frames, message))
        if isinstance(message, Progress):
            Gimp.progress_update((frame + message.step / message.total) / self._frames)

    def _pulse(self) -> bool:
        Gimp.progress_pulse()
        return True

    def _stand_still(self) -> None:
        if self._pulsing:
            GLib.source_remove(self._pulsing)
            self._pulsing = 0
