"""The backend's jobs for a preview: from the quick picture to the one most like the result."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from atelier_shared.errors import AtelierError, JobCancelled, JobFailed
from atelier_shared.messages import Picture, Progress, Queued, Result
from atelier_shared.request import Preview
from host.event_loop_client import EventLoopClient
from host.suitability import Unsuitable
from host.translation import _, translated

from .excerpt import Excerpt

COARSE_PX = 200
"""Longest side below which an intermediate picture does not replace the picture of an earlier job."""


class PreviewJob:
    """The jobs of the current preview, one after the other. Submitting another preview cancels them.

    `show_picture` is called with every picture that the backend sends, and with True for the last one;
    `show_status` with every new status text. There is no time-out: the client itself reports a backend
    that is silent, and a job may take as long as it has to.
    """

    def __init__(
        self,
        client: EventLoopClient,
        show_picture: Callable[[Picture, bool], None],
        show_status: Callable[[str], None],
    ) -> None:
        self._client, self._show_picture, self._show_status = client, show_picture, show_status
        self._previews: deque[Preview] = deque()
        self._number: int | None = None
        self._has_picture = False

    @property
    def is_running(self) -> bool:
        """Whether a job has neither ended nor been cancelled."""
        return self._number is not None

    def submit(
        self, previews: Iterable[Preview], read: Callable[[int], Excerpt], styles: Sequence[Picture]
    ) -> None:
        """Request a preview. `read` returns the excerpt with a longest side of so many pixels."""
        self.cancel()
        self._previews, self._read, self._styles = deque(previews), read, styles
        self._has_picture = False
        self._submit_next()

    def cancel(self) -> None:
        """Cancel the preview, if one is running."""
        self._previews.clear()
        if self._number is not None:
            self._client.cancel(self._number)
            self._number = None

    def show_state(self) -> None:
        """Show that the backend is starting or that a job is running; otherwise leave the status as it is."""
        if self._client.state == "starting":
            self._show_status(_("Atelier is starting…"))
        elif self.is_running:
            self._show_status(_("Refining the preview…") if self._has_picture else _("Updating the preview…"))

    def _submit_next(self) -> None:
        preview = self._previews.popleft()
        try:
            excerpt = self._read(preview.longest_px)
        except Unsuitable as error:
            self._end(str(error))
            return
        self._number = number = self._client.submit(
            preview.request,
            excerpt.content,
            excerpt.region,
            self._styles,
            lambda message: self._receive(number, message),
            is_preview=True,
        )
        self.show_state()

    def _receive(self, number: int, message: Queued | Progress | Result | AtelierError) -> None:
        if number != self._number:
            return
        match message:
            case Queued(place=place) if place:
                self._show_status(_("The preview is waiting for other jobs…"))
            case Queued():
                self.show_state()
            case Progress(preview=Picture() as picture):
                if not self._has_picture or max(picture.width, picture.height) >= COARSE_PX:
                    self._show_picture(picture, False)
            case Result(picture=picture):
                self._has_picture = True
                self._show_picture(picture, not self._previews)
                self._continue(_(message.note))
            case JobFailed() if self._previews:  # the next one may need another network
                self._continue("")
            case AtelierError():
                self._end("" if isinstance(message, JobCancelled) else translated(message))

    def _continue(self, status: str) -> None:
        """Submit the next job; end with a status text if there is none."""
        if self._previews:
            self._submit_next()
        else:
            self._end(status)

    def _end(self, status: str) -> None:
        self._previews.clear()
        self._number = None
        self._show_status(status)
