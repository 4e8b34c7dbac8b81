"""The connection between a run and its display."""

from __future__ import annotations

from typing import Protocol

from atelier_shared.messages import Progress, Queued


class RunMonitor(Protocol):
    """The display of a run's progress, and the means to end the run."""

    @property
    def finishes_early(self) -> bool:
        """Whether the run is to end with the picture as it is now."""

    def poll(self) -> None:
        """Handle events; called every few hundredths of a second while pixels are read and written.

        Raises:
            JobCancelled: the user has cancelled the run.
        """

    def job_started(self, job: int) -> None:
        """Accept the number of the job for the next frame."""

    def progressed(self, frame: int, message: Queued | Progress) -> None:
        """Show the progress of a frame, counted from 0."""
