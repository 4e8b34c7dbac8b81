"""The computation of an animation's frames, in their order, from the first missing one on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from gettext import gettext as _
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from atelier_shared.animation import following, is_unchanged
from atelier_shared.messages import Picture, PreviousFrame, Progress, Queued, Region, Result
from atelier_shared.picture_parts import part_of

from ...compat import allocator
from ...jobs.picture_arrays import as_array, like
from .. import parallel, progress
from ..clips.clip import Frame
from ..clips.work_folder import WorkFolder
from ..painting import Outcome
from ..parallel import Event, NewJob
from ..picture_files import Canvas, Mask
from ..picture_files.writing import Encoding
from .uniform_frames import check_alike

if TYPE_CHECKING:
    from .run import AnimationRun


class PlannedFrame(NamedTuple):
    """A frame to compute, counted from 1. Frames computed only to lead into a seamless loop have `output` 0.

    Attributes:
        number: among all frames to compute.
        output: the number of the frame in the animation, counted from 1; 0 for none.
    """

    number: int
    output: int
    frame: Frame


@dataclass(frozen=True)
class FramePainter:
    """The computation of an animation's frames, from the first missing one on."""

    run: AnimationRun
    work: WorkFolder
    styles: Sequence[Picture]
    mask: Mask | None
    encoding: Encoding
    outcome: Outcome

    def paint(self, first: Canvas) -> list[Fraction]:
        """Compute the missing frames, and return the durations of all.

        Raises:
            PictureFileError: a frame cannot be read or written, or has another size than `first`.
        """
        region = self.mask.region if self.mask else first.whole
        request, display = self.run.pictures.request, self.run.pictures.display
        total, done = self.run.lead_in + self.run.count, self._finished(first.picture.depth)
        if done:
            note = _("{done} of {total} frames were finished before.")
            self.outcome.notes.append(note.format(done=done, total=total))
        display.begin(self.run.source.name, "", progress.FRAMES)
        durations, previous = list[Fraction](), None
        together = self._together(first, region, done, total) if parallel.has_cluster() else None
        for step in self.run.steps():
            if step.output:
                durations.append(step.frame.seconds)
            if step.number < done:
                continue
            canvas = step.frame.canvas
            check_alike(canvas, first, step.output)
            content, part = canvas.content_of(region)
            if step.number == done:
                if request.is_coherent:
                    result = like(content, as_array(self.work.result(step.number, content.depth)))
                    previous = following(request, content, result)
                continue
            if together:
                result = next(together)
            else:
                result = self._compute(step, content, part, previous, total - done, step.number - 1 - done)
            self._keep(step, canvas, result, region)
            allocator.give_back()  # otherwise the memory grows slowly with the number of frames
            previous = following(request, content, result)
        return durations

    def _together(self, first: Canvas, region: Region, done: int, total: int) -> Iterator[Picture]:
        """Return the results of the frames after `done` from the workers of a cluster."""
        from .frames_together import FramesTogether, NumberedFrame  # loads PyTorch

        def frames(begin: int) -> Iterator[NumberedFrame]:
            for step in itertools.islice(self.run.steps(), max(0, begin - 1), None):
                canvas = step.frame.canvas
                check_alike(canvas, first, step.output)
                yield NumberedFrame(step.number, *canvas.content_of(region))

        def show(finished: float) -> None:
            self.run.pictures.display.work(finished, total - done)

        request = self.run.pictures.request
        return FramesTogether(request, self.styles, frames, self.work, done, self._note, show).results()

    def _note(self, result: Result) -> None:
        if result.note and _(result.note) not in self.outcome.notes:
            self.outcome.notes.append(_(result.note))

    def _finished(self, depth: str) -> int:
        """Return the number of finished steps; without the last result, coherent frames begin anew."""
        lead_in, is_coherent = self.run.lead_in, self.run.pictures.request.is_coherent
        written = self.work.written()
        done = 0
        while done < lead_in and self.work.has_result(done + 1, depth):
            done += 1
        while lead_in <= done < written and self.run.file_of(done + 1 - lead_in).exists():
            done += 1
        return 0 if done and is_coherent and not self.work.has_result(done, depth) else done

    def _compute(
        self,
        step: PlannedFrame,
        content: Picture,
        region: Region,
        previous: PreviousFrame | None,
        left: int,
        done: int,
    ) -> Picture:
        """Run the job of a frame in the backend; `done` of the `left` frames of this call are finished."""
        display = self.run.pictures.display
        request = self.run.pictures.request.for_frame(step.number - 1)
        if is_unchanged(request, content):
            return part_of(content, region)

        def report(message: Event) -> None:
            if isinstance(message, Queued) and message.place:
                display.wait(message.place)
            elif isinstance(message, Progress):
                display.work(done + message.step / message.total, left)

        result = parallel.run_job(NewJob(request, content, region, self.styles, previous, report))
        self._note(result)
        return result.picture

    def _keep(self, step: PlannedFrame, canvas: Canvas, result: Picture, region: Region) -> None:
        """Store a result, write its frame, and only then forget the result before it."""
        is_kept = self.work.has_result(step.number, result.depth)
        if self.run.pictures.request.is_coherent and not is_kept:
            self.work.keep_result(step.number, result)
        if step.output:
            shown = self._closing_the_loop(step.output, result)
            canvas.save(self.run.file_of(step.output), shown, region, self.mask, self.encoding)
            self.work.note(step.number)
        if step.number - 1 > self.run.lead_in:
            self.work.forget_result(step.number - 1)

    def _closing_the_loop(self, output: int, result: Picture) -> Picture:
        """Fade the last frames of a seamless loop over to the lead-in of its first frame."""
        place = output - (self.run.count - self.run.lead_in)
        if not self.run.lead_in or place < 1:
            return result
        leading = as_array(self.work.result(place, result.depth)).astype(np.float32)
        own = as_array(result)
        faded = own + (leading - own) * (place / self.run.lead_in)
        if own.dtype.kind != "f":
            faded = np.rint(faded)
        return like(result, faded.astype(own.dtype))
