"""Animations of the commands `style` and `dream`: the frames of a clip, each computed with the one before it.

Finished frames are kept in a folder beside the output. After any interruption, the same command goes on with
the first missing frame. The result before it is stored without loss, so the animation is the same as without
the interruption. At the end, the frames become one file, unless they are pictures of their own.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from gettext import gettext as _
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from atelier_shared.animation import following, is_unchanged
from atelier_shared.deepdream import FRAMES
from atelier_shared.deferred_translation import N_
from atelier_shared.errors import AtelierError, translated
from atelier_shared.messages import Picture, PreviousFrame, Progress, Queued, Region, Result
from atelier_shared.picture_parts import part_of

from ..compat import allocator
from ..jobs.picture_arrays import as_array, like
from . import output_names, parallel, progress
from .clips import animated_pictures, video
from .clips.clip import Clip, Frame, NumberedPictures, Selection, StoredFrame, parsed
from .clips.work_folder import WorkFolder, state_of
from .output_names import FIELD, PlannedResult
from .painting import FATAL, Outcome, PictureRun, styles_of
from .parallel import Event, NewJob
from .picture_files import Canvas, Mask, PictureFileError
from .picture_files.errors import writing
from .picture_files.pixels import Pixels
from .picture_files.safe_writing import replacing
from .picture_files.writing import Encoding

ANIMATED_SUFFIXES = (".gif", ".webp", ".apng")
USUAL_RATE = 25.0
LOOP_FRAMES = 12
"""Frames of the clip's end, computed before the first frame so that a loop continues their motion."""
NO_EFFECT = N_("{option} has no effect on an animation. Leave it out.")
ALL_SOUND = (Fraction(0), Fraction(10**9))
KEPT = N_("The finished frames are kept; the same command goes on with them.")


# ── What is an animation ─────────────────────────────────────────────────────────────────────────


def is_animation(options: argparse.Namespace) -> bool:
    """Return whether a call makes an animation rather than pictures of their own.

    True with --animation, for a video, and for several frames with one animation file as output.
    """
    if options.animation or any(video.is_video(path) for path in options.contents):
        return True
    if not (options.contents and _names_a_clip(options.output)):
        return False
    found = output_names.contents(options.contents)
    return len(found) > 1 or animated_pictures.is_animated(found[0])


def _names_a_clip(output: str) -> bool:
    """Return whether an output is one file of an animation."""
    suffix = Path(output).suffix.lower()
    return not FIELD.search(output) and suffix in (*ANIMATED_SUFFIXES, *video.SUFFIXES)


def run_of(pictures: PictureRun) -> tuple[AnimationRun, PlannedResult]:
    """Return the run of an animation, and what it makes.

    Raises:
        AtelierError: the options exclude each other, or there is no frame.
        PictureFileError: a frame cannot be read.
    """
    options = pictures.options
    _check(options)
    (styles,), is_one_file = styles_of(options), _names_a_clip(options.output)
    selection = Selection(parsed("--from", options.begin), parsed("--to", options.end), options.every)
    source = _source(options)
    if isinstance(source, NumberedPictures):
        source, selection = source.selected(selection), Selection()
        count = source.count
    else:
        count = sum(1 for _ in selection.of(source.frames()))
    if not count:
        raise AtelierError(_("{name} has no frame from --from to --to."), name=source.name)
    if is_one_file:
        outputs = [Path(options.output)]
        if outputs[0].suffix.lower() in video.SUFFIXES:
            video.check_writable(outputs[0])
    else:
        outputs = _numbered_outputs(source, count, styles, pictures)
    run = AnimationRun(source, selection, count, outputs, is_one_file, pictures)
    return run, PlannedResult(options.contents[0], styles, outputs[0])


def _check(options: argparse.Namespace) -> None:
    if getattr(options, FRAMES.name, 1) > 1:
        raise AtelierError(_("--frames makes a zoom of one picture. Leave it out for an animation."))
    if getattr(options, "each_style", False):
        raise AtelierError(_(NO_EFFECT), option="--each-style")
    if options.sheet:
        raise AtelierError(_(NO_EFFECT), option="--sheet")
    if options.output == "-":
        raise AtelierError(_("An animation cannot be written to standard output. Name a file with -o."))
    if options.every < 1:
        raise AtelierError(_("--every must be at least 1."))
    if options.fps is not None and not 0 < options.fps <= 1000:
        raise AtelierError(_("--fps must be above 0 and at most 1000."))


def _source(options: argparse.Namespace) -> Clip:
    """Open the clip: a video, an animated picture, or pictures.

    Raises:
        AtelierError: there are several clips, or an option has no effect on this one.
    """
    paths = output_names.contents(options.contents)
    clips = [path for path in paths if video.is_video(path) or animated_pictures.is_animated(path)]
    if not clips:
        rate = Fraction(options.fps or USUAL_RATE).limit_denominator(1001)
        return NumberedPictures.at_rate(paths, rate, options.max_megapixels)
    if len(paths) > 1:
        raise AtelierError(_("{name} is a clip. Name one clip alone, or only pictures."), name=clips[0])
    if options.fps:
        raise AtelierError(_("--fps has no effect on a clip, which has its own. Leave it out."))
    if video.is_video(paths[0]):
        return video.Video.open(paths[0], options.max_megapixels)
    return animated_pictures.AnimatedPicture.open(paths[0], options.max_megapixels)


def _numbered_outputs(source: Clip, count: int, styles: tuple[Path, ...], pictures: PictureRun) -> list[Path]:
    """Return the files of the frames, named like the pictures, or with the name and the frames' numbers."""
    if isinstance(source, NumberedPictures):
        names = [frame.path for frame in source.stored]
    else:
        names = [Path(f"{Path(source.name).stem}-{number:04}") for number in range(1, count + 1)]
    ending = pictures.format.suffixes[0] if pictures.format else None
    pieces = output_names.pieces(names, [styles], pictures.options.output, ending)
    output_names.make_folders(pictures.options.output, pieces)
    return [piece.output for piece in pieces]


# ── The run ──────────────────────────────────────────────────────────────────────────────────────


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
        painter = _Painter(self, work, styles, mask, encoding, outcome)
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
            if output.suffix.lower() in ANIMATED_SUFFIXES:
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


@dataclass(frozen=True)
class _Painter:
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
            _check_alike(canvas, first, step.output)
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
                _check_alike(canvas, first, step.output)
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
        """Fade the last frames of a seamless loop over to those that led to its first frame."""
        place = output - (self.run.count - self.run.lead_in)
        if not self.run.lead_in or place < 1:
            return result
        leading = as_array(self.work.result(place, result.depth)).astype(np.float32)
        own = as_array(result)
        faded = own + (leading - own) * (place / self.run.lead_in)
        if own.dtype.kind != "f":
            faded = np.rint(faded)
        return like(result, faded.astype(own.dtype))


def _check_alike(canvas: Canvas, first: Canvas, output: int) -> None:
    """Refuse frames of several sizes or kinds.

    Raises:
        PictureFileError: this one differs from the first one.
    """
    here, there = canvas.file.pixels, first.file.pixels
    if here.values.shape[:2] != there.values.shape[:2]:
        template = _(
            "Frame {number} has {size} pixels, and the first one {first_size}. Scale all frames to one size."
        )
        sizes = {"size": _size_of(here), "first_size": _size_of(there)}
        raise PictureFileError(template, number=output, **sizes)
    if (here.channels, here.depth) != (there.channels, there.depth):
        template = _(
            "Frame {number} has pixels of another kind ({kind}) than the first one ({first_kind}). "
            "Convert all frames to one kind."
        )
        kinds = {"kind": _kind_of(here), "first_kind": _kind_of(there)}
        raise PictureFileError(template, number=output, **kinds)


def _size_of(pixels: Pixels) -> str:
    height, width = pixels.values.shape[:2]
    return f"{width}×{height}"


def _kind_of(pixels: Pixels) -> str:
    return f"{pixels.channels}, {pixels.depth}"
