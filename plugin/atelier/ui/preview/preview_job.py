"""The backend's job for a preview: its submission, messages, time-out and cancellation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gi.repository import GLib

from atelier_shared.errors import AtelierError, JobCancelled
from atelier_shared.messages import Picture, Progress, Queued, Result
from atelier_shared.request import PaintingRequest
from host.event_loop_client import EventLoopClient
from host.translation import _, translated

from .excerpt import Excerpt

TIME_OUT_S = 30


class PreviewJob:
    """The current preview job. Submitting another request cancels it.

    `show_picture` is called with the excerpt and every picture that the backend sends for it,
    `show_status` with every new status text.
    """

    def __init__(
        self,
        client: EventLoopClient,
        show_picture: Callable[[Excerpt, Picture], None],
        show_status: Callable[[str], None],
    ) -> None:
        self._client, self._show_picture, self._show_status = client, show_picture, show_status
        self._number: int | None = None
        self._time_out = 0

    @property
    def is_running(self) -> bool:
        """Whether a job has neither ended nor been cancelled."""
        return self._number is not None

    def submit(self, request: PaintingRequest, excerpt: Excerpt, styles: Sequence[Picture]) -> None:
        """Request a preview of an excerpt."""
        self.cancel()
        content = excerpt.content
        preview = request.for_preview(content.width, content.height, excerpt.part)
        self._number = number = self._client.submit(
            preview, content, excerpt.region, styles, lambda message: self._receive(number, excerpt, message)
        )
        self._restart_time_out()
        self.show_state()

    def cancel(self) -> None:
        """Cancel the job, if one is running."""
        if self._number is not None:
            self._client.cancel(self._number)
            self._end()

    def show_state(self) -> None:
        """Show that the backend is starting or that a job is running; otherwise leave the status as it is."""
        if self._client.state == "starting":
            self._show_status(_("Atelier is starting…"))
        elif self.is_running:
            self._show_status(_("Updating the preview…"))

    def _receive(
        self, number: int, excerpt: Excerpt, message: Queued | Progress | Result | AtelierError
    ) -> None:
        if number != self._number:
            return
        match message:
            case Queued(place=place):
                self._restart_time_out()
                waiting = _("The preview is waiting for other jobs…")
                self._show_status(waiting if place else _("Updating the preview…"))
            case Progress(preview=Picture() as picture):
                self._show_picture(excerpt, picture)
            case Result(picture=picture):
                self._end()
                self._show_picture(excerpt, picture)
                self._show_status(message.note)
            case AtelierError():
                self._end()
                self._show_status("" if isinstance(message, JobCancelled) else translated(message))

    def _end(self) -> None:
        self._number = None
        self._stop_time_out()

    # ── Time-out ─────────────────────────────────────────────────────────────────────────────────

    def _restart_time_out(self) -> None:
        self._stop_time_out()
        self._time_out = GLib.timeout_add_seconds(TIME_OUT_S, self._timed_out)

    def _stop_time_out(self) -> None:
        if self._time_out:
            GLib.source_remove(self._time_out)
            self._time_out = 0

    def _timed_out(self) -> bool:
        """Cancel the job. The backend's start has a time-out of its own, so that time does not count."""
        if self._client.state == "starting":
            return True
        self._time_out = 0
        self.cancel()
        self._show_status(_("The preview took too long and was cancelled. You can still run the filter."))
        return False
