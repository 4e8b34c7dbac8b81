"""An estimate of the time left in a run, from the speed of its last steps."""

from __future__ import annotations

from collections import deque

from atelier_shared.messages import Progress

SPEED_STEPS = 8
"""The speed is measured over this many of the last steps."""
MIN_STEPS = 2
"""The speed is unknown until this many steps are done: the first step includes loading the networks."""


class TimeLeft:
    """The time left in a run of `frames` frames. `estimate` is its expected duration in seconds, if known."""

    def __init__(self, frames: int, estimate: float | None) -> None:
        self._frames, self._estimate = frames, estimate
        self._start_s: float | None = None
        self._steps: deque[tuple[float, float]] = deque(maxlen=SPEED_STEPS + 1)

    def fraction_done(self, frame: int, progress: Progress) -> float:
        """Return the fraction of the run that is done, from 0 to 1. Frames are counted from 0."""
        return (frame + progress.step / progress.total) / self._frames

    def seconds(self, frame: int, progress: Progress, now_s: float) -> float | None:
        """Return the seconds left, or None while they are unknown. Call this once per step.

        The last steps of a run can be slower than the steps so far, because they work on a larger
        picture. So the expected duration counts if it gives more time.
        """
        self._start_s = now_s if self._start_s is None else self._start_s
        done = self.fraction_done(frame, progress)
        self._steps.append((now_s, done))
        expected = None if self._estimate is None else self._estimate - (now_s - self._start_s)
        return max((left for left in (self._from_speed(done), expected) if left is not None), default=None)

    def _from_speed(self, done: float) -> float | None:
        (before_s, done_before), (now_s, _done) = self._steps[0], self._steps[-1]
        if len(self._steps) <= MIN_STEPS or done <= done_before:
            return None
        return (now_s - before_s) / (done - done_before) * (1 - done)
