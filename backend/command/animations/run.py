"""The run of an animation: the frames of a clip, each computed with the one before it.

Finished frames are kept in a folder beside the output. After any interruption, the same command goes on with
the first missing frame. The result before it is stored without loss, so the animation is the same as without
the interruption. At the end, the frames become one file, unless they are pictures of their own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from gettext import gettext as _
from pathlib import Path
from typing import Any

from atelier_shared.deferred_translation import N_
from atelier_shared.errors import AtelierError, translated

from ..clips import animated_pictures, video
from ..clips.clip import Clip, NumberedPictures, Selection, StoredFrame
from ..clips.work_folder import WorkFolder, state_of
from ..output_names import PlannedResult
from ..painting import FATAL, Outcome, PictureRun
from ..picture_files import Canvas
from ..picture_files.errors import writing
from ..picture_files.safe_writing import replacing
from ..picture_files.writing import Encoding
from .painter import FramePainter, PlannedFrame

LOOP_FRAMES = 12
"""Frames of the clip's end, computed before the first frame so that a loop continues their motion."""
ALL_SOUND = (Fraction(0), Fraction(10**9))
KEPT = N_("The finished frames are kept; the same command goes on with them.")


@dataclass(frozen=True)
class AnimationRun:
    """A call that makes an animation.

    Attributes:
        source: the clip with the frames.
        selection: the range of its frames to use, `count` in all.
        outputs: the file of the animation, or a file for each frame.
        is_one_file: whether the frames become one file.
        pictures: has the options and the request, and reads the pictures beside the content.
    """

    source: Clip
    selection: Selection
    count: int
    outputs: Sequence[Path]
    is_one_file: bool
    pictures: PictureRun

    def make(self, piece: PlannedResult) -> Outcome:
        """Make the animation. An error becomes part of the outcome; finished frames are kept.

        Raises:
            BackendUnavailable, VersionMismatch: there is no backend.
        """
        outcome = Outcome(piece, notes=list(self.source.notes))
        try:
            self._make(piece, outcome)
        except FATAL:
            raise
        except AtelierError as error:
            sentence = translated(error, _)
            outcome.error = f"{sentence} {_(KEPT)}" if self._is_finished(1) else sentence
        except MemoryError:
            outcome.error = _("There is not enough memory for a frame. Scale the clip down first.")
        self.pictures.display.end()
        return outcome

    def _make(self, piece: PlannedResult, outcome: Outcome) -> None:
        options, request = self.pictures.options, self.pictures.request
        first = next(self.selection.of(self.source.frames())).canvas
        styles = self.pictures.pictures_of(piece, first, outcome) if request.needs_picture else []
        mask = first.load_mask(options.mask, options.max_megapixels) if options.mask else None
        encoding = self._encoding(first)
        outcome.notes += first.notes(first.whole) + first.losses(encoding)
        work = self._work_folder()
        painter = FramePainter(self, work, styles, mask, encoding, outcome)
        durations = painter.paint(first)
        if self.is_one_file:
            outcome.notes += self._assemble(durations)
            outcome.outputs = [self.outputs[0]]
        else:
            outcome.outputs = list(self.outputs)
        work.remove()

    def steps(self) -> Iterator[PlannedFrame]:
        """Yield the frames to compute, in their order."""
        frames = self.selection.of(self.source.frames())
        if self.lead_in:
            last = itertools.islice(self.selection.of(self.source.frames()), self.count - self.lead_in, None)
            for number, frame in enumerate(last, start=1):
                yield PlannedFrame(number, 0, frame)
        for output, frame in enumerate(frames, start=1):
            yield PlannedFrame(self.lead_in + output, output, frame)

    @property
    def lead_in(self) -> int:
        """The number of frames that lead to the first one of a seamless loop."""
        is_loop = self.pictures.options.loop and self.pictures.request.is_coherent
        return min(LOOP_FRAMES, self.count - 1) if is_loop else 0

    # ── Files ────────────────────────────────────────────────────────────────────────────────────

    def file_of(self, output: int) -> Path:
        """Return the picture file of a frame of the animation, counted from 1."""
        if not self.is_one_file:
            return self.outputs[output - 1]
        return self._work().frame(output, animated_pictures.suffix_of_frames(self.outputs[0]))

    def _is_finished(self, output: int) -> bool:
        return self._work().is_for(self._call()) and self.file_of(output).exists()

    def _work(self) -> WorkFolder:
        return WorkFolder.beside(self.outputs[0])

    def _work_folder(self) -> WorkFolder:
        work = self._work()
        work.prepare(self._call())
        return work

    def _call(self) -> dict[str, Any]:
        """Return what the frames depend on: the settings, and the files with their sizes and times."""
        options, files = vars(self.pictures.options), list(self.pictures.options.contents)
        if isinstance(self.source, NumberedPictures):
            files = [frame.path for frame in self.source.stored]
        for name in ("style", "style_mask", "guide", "mask"):
            value = options.get(name) or []
            files += value if isinstance(value, list) else [value]
        ranges = {name: options[name] for name in ("begin", "end", "every", "fps", "loop", "jpeg_quality")}
        request = asdict(self.pictures.request)
        return {"files": [state_of(path) for path in files], **ranges, "request": request}

    def _encoding(self, first: Canvas) -> Encoding:
        options = self.pictures.options
        path = self.file_of(1)
        if self.is_one_file and path.suffix == ".png":
            return first.encoding(path)
        return first.encoding(path, options.jpeg_quality, None if self.is_one_file else self.pictures.format)

    def _assemble(self, durations: Sequence[Fraction]) -> list[str]:
        """Write the frames into the one file of the animation; return notes."""
        output, notes = self.outputs[0], list[str]()
        files = (self.file_of(number) for number in range(1, self.count + 1))
        frames = (StoredFrame(file, seconds) for file, seconds in zip(files, durations, strict=True))
        with writing(output), replacing(output, output.suffix.lower()) as draft:
            if output.suffix.lower() in animated_pictures.SUFFIXES:
                loops = 0 if self.source.loops is None else self.source.loops
                animated_pictures.write(draft, frames, self.count, loops)
            else:
                source = self.source if isinstance(self.source, video.Video) else None
                span = (
                    ALL_SOUND
                    if self.selection.is_whole or not source
                    else self.selection.seconds(source.frames())
                )
                notes += video.write(draft, frames, source, span, Fraction(self.count) / sum(durations))
        return notes
