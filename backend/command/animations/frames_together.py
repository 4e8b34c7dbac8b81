"""The frames of an animation, computed by the workers of a cluster at the same time.

Independent frames, and those of a single-pass method, are painted anywhere; the blend with the result before
follows here, in order. The frames of the other methods need the result before, so each shot, from cut to cut,
is computed in order, and several shots at the same time. Their results are stored in the work folder until
their turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from atelier_shared.animation import following, is_unchanged
from atelier_shared.messages import Picture, PreviousFrame, Region, Result
from atelier_shared.picture_parts import part_of
from atelier_shared.request import PaintingRequest
from atelier_shared.style_transfer import StyleTransfer

from ...jobs import separate_frames
from ...jobs.picture_arrays import as_array, like
from ..clips.work_folder import WorkFolder
from ..parallel import NewJob, Task, in_order


class NumberedFrame(NamedTuple):
    """A frame, counted from 1, and the region of its content to change."""

    number: int
    content: Picture
    region: Region


@dataclass(frozen=True)
class FramesTogether:
    """The computation of an animation's frames in a cluster.

    Attributes:
        request: the settings.
        styles: the style pictures or the guide.
        frames: yields the frames from a number on.
        work: the folder for the results of shots. If frames follow each other, it has that of frame `done`.
        done: the frames up to this number are finished.
        note: is called with each result from a worker.
        on_progress: is called with the number of frames computed by this call, and parts of frames.
    """

    request: PaintingRequest
    styles: Sequence[Picture]
    frames: Callable[[int], Iterator[NumberedFrame]]
    work: WorkFolder
    done: int
    note: Callable[[Result], None]
    on_progress: Callable[[float], None]

    def results(self) -> Iterator[Picture]:
        """Yield the results of the frames after `done`, in their order.

        Raises:
            AtelierError: a frame failed, or the scheduler is gone.
            ValueError: the frames follow each other, but OpenCV is not installed.
        """
        if not self.request.is_coherent:
            return in_order(map(self._paint, self.frames(self.done + 1)), self.on_progress)
        if isinstance(self.request, StyleTransfer) and self.request.is_single_pass:
            return self._blended(self.request)
        return self._results_of_shots()

    def _stored(self, frame: NumberedFrame) -> Picture:
        part = part_of(frame.content, frame.region)
        return like(part, as_array(self.work.result(frame.number, part.depth)))

    def _previous(self, frame: NumberedFrame) -> PreviousFrame | None:
        """Return the last finished frame for the next one, given that frame."""
        return following(self.request, frame.content, self._stored(frame))

    # ── Frames of their own ──────────────────────────────────────────────────────────────────────

    def _paint(self, frame: NumberedFrame, previous: PreviousFrame | None = None) -> Task[Picture]:
        """Return the task of one frame."""
        if is_unchanged(self.request, frame.content):
            return part_of(frame.content, frame.region)
        request = self.request.for_frame(frame.number - 1)
        result = yield NewJob(request, frame.content, frame.region, self.styles, previous)
        self.note(result)
        return result.picture

    # ── A single pass, then the blend ────────────────────────────────────────────────────────────

    def _blended(self, request: StyleTransfer) -> Iterator[Picture]:
        previous: PreviousFrame | None = None
        wholes = map(_whole, self.frames(self.done + 1))
        paintings = in_order(map(self._paint, wholes), self.on_progress)
        for frame in self.frames(self.done):
            if frame.number == self.done:
                previous = self._previous(frame)
                continue
            painting, part = next(paintings), part_of(frame.content, frame.region)
            result = part_of(painting, frame.region)
            if previous and not is_unchanged(request, frame.content):
                result = separate_frames.follow(request, frame.content, painting, frame.region, previous)
            result = like(part, as_array(result))
            yield result
            previous = following(request, frame.content, result)

    # ── Shots ────────────────────────────────────────────────────────────────────────────────────

    def _results_of_shots(self) -> Iterator[Picture]:
        shots = in_order(map(self._compute, self._shots()), self.on_progress)
        ready = range(0)
        for frame in self.frames(self.done + 1):
            if frame.number not in ready:
                ready = next(shots)
            yield self._stored(frame)

    def _shots(self) -> Iterator[range]:
        """Yield the numbers of the frames from each cut to the next; the first shot may have begun before."""
        before: NumberedFrame | None = None
        first = self.done + 1
        for frame in self.frames(self.done):
            if frame.number > first and before and self._is_cut(before, frame):
                yield range(first, frame.number)
                first = frame.number
            before = frame
        if before:
            yield range(first, before.number + 1)

    def _is_cut(self, before: NumberedFrame, frame: NumberedFrame) -> bool:
        if any(is_unchanged(self.request, each.content) for each in (before, frame)):
            return True
        return separate_frames.is_cut(self.request, before.content, frame.content)

    def _compute(self, shot: range) -> Task[range]:
        """Return the task of the frames of a shot; it stores their results."""
        previous: PreviousFrame | None = None
        continues = self.done == shot.start - 1
        for frame in self.frames(shot.start - continues):
            if frame.number < shot.start:
                previous = self._previous(frame)
                continue
            if frame.number >= shot.stop:
                break
            if self.work.has_result(frame.number, frame.content.depth):
                result = self._stored(frame)
            else:
                result = yield from self._paint(frame, previous)
                self.work.keep_result(frame.number, result)
            previous = following(self.request, frame.content, result)
        return shot


def _whole(frame: NumberedFrame) -> NumberedFrame:
    return frame._replace(region=Region(0, 0, frame.content.width, frame.content.height))
