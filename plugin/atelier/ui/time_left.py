"""How far a run is, and how long the rest of it will take, by the pace of its last steps.

Pure: knows messages of the backend, and is told the time.
"""

from __future__ import annotations

from collections import deque

from atelier_shared.messages import Progress

LAST_STEPS = 8
FIRST_STEPS = 2
"""A pace is made of so many steps at least: the first one also loads the networks."""


class Pace:
    """How fast a run goes that makes `frames` frames, and was thought to take `estimate` seconds in all."""

    def __init__(self, frames: int, estimate: float | None) -> None:
        self._frames, self._estimate = frames, estimate
        self._begun: float | None = None
        self._steps: deque[tuple[float, float]] = deque(maxlen=LAST_STEPS + 1)

    def fraction(self, frame: int, progress: Progress) -> float:
        """How much of all is done, from 0 to 1, when frame `frame`, counted from 0, is that far."""
        return (frame + progress.step / progress.total) / self._frames

    def seconds_left(self, frame: int, progress: Progress, now_s: float) -> float | None:
        """About how long it will still take, to be asked at every step; None as long as it is not known.

        Later steps can be the larger ones, so what was estimated for the whole counts where it is more.
        """
        self._begun = now_s if self._begun is None else self._begun
        done = self.fraction(frame, progress)
        self._steps.append((now_s, done))
        estimated = None if self._estimate is None else self._estimate - (now_s - self._begun)
        return max((left for left in (self._by_pace(done), estimated) if left is not None), default=None)

    def _by_pace(self, done: float) -> float | None:
        (earlier_s, before), (now_s, _done) = self._steps[0], self._steps[-1]
        if len(self._steps) <= FIRST_STEPS or done <= before:
            return None
        return (now_s - earlier_s) / (done - before) * (1 - done)
