"""The commands `style`, `dream` and `visualise`: each content through the backend, one after the other.

In a cluster, several contents go through the backend at the same time.

If one picture fails, the others are made all the same, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from gettext import gettext as _
from pathlib import Path

import numpy as np

from atelier_shared import estimate, home, remote
from atelier_shared.codec import MAX_PICTURES
from atelier_shared.deepdream import FRAMES
from atelier_shared.errors import AtelierError, BackendUnavailable, VersionMismatch, translated
from atelier_shared.messages import Picture, Progress, Queued
from atelier_shared.picture_parts import with_part
from atelier_shared.request import PaintingRequest, Request
from atelier_shared.visualise import BLANK_SIDE

from . import parallel, progress
from .output_names import PlannedResult, numbered
from .parallel import Event, NewJob, Task
from .picture_files import Canvas
from .picture_files.formats import Format
from .picture_files.streams import is_stream

BLANK = Path("blank")
"""Stands for a new grey picture, for a request that needs no content."""
FATAL = (BackendUnavailable, VersionMismatch)
"""Errors that every other picture would meet as well."""
GREY = 127
KEPT_IN_MEMORY = 4
"""Decoded pictures, for contents and styles in several results."""


@dataclass
class Outcome:
    """The outcome of one planned result.

    Attributes:
        outputs: the files written.
        seconds: the time from the start of the first job; 0 if none started.
        notes: sentences for the user.
        error: why there is no result; empty if there is one.
    """

    piece: PlannedResult
    outputs: list[Path] = field(default_factory=list)
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    error: str = ""


@dataclass(frozen=True)
class PictureRun:
    """One call of the command: its options, its request and its display."""

    options: argparse.Namespace
    request: PaintingRequest
    display: progress.Quiet
    format: Format | None

    def make(self, piece: PlannedResult) -> Outcome:
        """Make one piece. An error becomes part of the outcome, unless all others would fail as well.

        Raises:
            BackendUnavailable, VersionMismatch: there is no backend.
        """
        return parallel.run(self.task(piece))

    def make_together(self, pieces: Sequence[PlannedResult]) -> Iterator[Outcome]:
        """Make several pieces at the same time in a cluster, and yield their outcomes in order.

        Raises:
            AtelierError: the scheduler is gone.
        """
        text = _("{count} pictures").format(count=len(pieces))
        self.display.begin(text, "", progress.PICTURES)
        total = len(pieces) * getattr(self.options, FRAMES.name, 1)
        silent = replace(self, display=progress.Quiet(len(pieces)))
        tasks = map(silent.task, pieces)
        yield from parallel.in_order(tasks, lambda done: self.display.work(done, total))

    def task(self, piece: PlannedResult) -> Task[Outcome]:
        """Return the task that makes one piece. An error becomes part of the outcome, as in `make`."""
        outcome = Outcome(piece)
        try:
            yield from self._make(piece, outcome)
        except FATAL:
            raise
        except AtelierError as error:
            outcome.error = translated(error, _)
        except MemoryError:
            sentence = _("There is not enough memory for {file}. Scale it down first.")
            outcome.error = sentence.format(file=piece.content)
        self.display.end()
        return outcome

    def _make(self, piece: PlannedResult, outcome: Outcome) -> Task[None]:
        canvas = self._load(piece.content)
        outputs = list(numbered(piece.output, getattr(self.options, FRAMES.name, 1)))
        encoding = canvas.encoding(
            outputs[0], self.options.jpeg_quality, self.format or _own_format(canvas, outputs[0])
        )
        if self.options.jpeg_quality and not encoding.format.lossy:
            sentence = _("--jpeg-quality has no effect on {format}.")
            outcome.notes.append(sentence.format(format=encoding.format.name))
        canvas.check_savable(outputs[0], encoding)
        pictures = self.pictures_of(piece, canvas, outcome) if self.request.needs_picture else []
        mask = canvas.load_mask(self.options.mask, self.options.max_megapixels) if self.options.mask else None
        region = mask.region if mask else canvas.whole
        content, part = canvas.content_of(region)
        outcome.notes += [
            f"{_name_of(piece)}: {note}" for note in canvas.notes(region) + canvas.losses(encoding)
        ]
        self.display.begin(_name_of(piece), expected(self.request, content, len(outputs)))
        request: Request = self.request
        for output in outputs:
            result = yield NewJob(request, content, part, pictures, report=self._reporter(outcome))
            if result.note and _(result.note) not in outcome.notes:
                outcome.notes.append(_(result.note))
            canvas.save(output, result.picture, region, mask, encoding)
            outcome.outputs.append(output)
            content = with_part(content, part, result.picture)
            request = request.for_next_frame()

    def _reporter(self, outcome: Outcome) -> Callable[[Event], None]:
        """Return a receiver for the messages of a job. It shows them, and adds up the seconds of the jobs."""
        begun_s = time.monotonic()

        def report(message: Event) -> None:
            nonlocal begun_s
            if isinstance(message, Queued):
                begun_s = time.monotonic()
                if message.place:
                    self.display.wait(message.place)
            elif isinstance(message, Progress):
                before, count = len(outcome.outputs), getattr(self.options, FRAMES.name, 1)
                self.display.work(before * message.total + message.step, count * message.total)
            else:
                outcome.seconds += time.monotonic() - begun_s

        return report

    # ── Pictures ─────────────────────────────────────────────────────────────────────────────────

    def _load(self, path: Path) -> Canvas:
        if path is BLANK:
            side = int(getattr(self.options, BLANK_SIDE.name, BLANK_SIDE.default))
            return Canvas.of(np.full([side, side, 3], GREY, np.uint8))
        return load(path, self.options.max_megapixels)

    def _loaded(self, path: Path, outcome: Outcome) -> Canvas:
        """Read a style or guide, and add the notes about it."""
        canvas = self._load(path)
        outcome.notes += [f"{path.name}: {note}" for note in canvas.file.notes]
        return canvas

    def pictures_of(self, piece: PlannedResult, content: Canvas, outcome: Outcome) -> list[Picture]:
        """Return the styles or the guide, in the colours of the content, with their masks as alpha."""
        limit = self.options.max_megapixels
        if guide := getattr(self.options, "guide", None):
            return [self._loaded(guide, outcome).in_colours_of(content).picture]
        masks = getattr(self.options, "style_mask", [])
        pictures = []
        for path, mask in itertools.zip_longest(piece.styles, masks):
            style = self._loaded(path, outcome).in_colours_of(content)
            pictures.append(style.seen_through(style.load_mask(mask, limit)) if mask else style.picture)
        return pictures


@functools.lru_cache(maxsize=KEPT_IN_MEMORY)
def load(path: Path, max_megapixels: float) -> Canvas:
    """Read a picture, unless it is one of the last ones read."""
    return Canvas.load(path, max_megapixels)


def _name_of(piece: PlannedResult) -> str:
    """Return the name of the content; that of the output for a picture made from nothing."""
    return piece.output.name if piece.content is BLANK else piece.content.name


def _own_format(canvas: Canvas, output: Path) -> Format | None:
    """Return the content's format for a stream, which has no name; otherwise None."""
    own = canvas.file.compression.format
    return own if is_stream(output) and own.depths and not output.suffix else None


def styles_of(options: argparse.Namespace) -> list[tuple[Path, ...]]:
    """Return the groups of styles to mix: one group of all, or a group for each.

    Raises:
        AtelierError: there are too many styles, or more masks than styles.
    """
    styles: list[Path] = getattr(options, "style", [])
    if len(getattr(options, "style_mask", [])) > len(styles):
        raise AtelierError(_("There are more style masks than styles. Give at most one for each style."))
    if getattr(options, "each_style", False):
        if not styles:
            raise AtelierError(_("--each-style has no effect without --style. Name the styles."))
        if options.style_mask:
            raise AtelierError(_("--style-mask has no effect with --each-style. Leave one of them out."))
        return [(style,) for style in styles]
    if len(styles) > MAX_PICTURES:
        template = _("At most {count} styles can be mixed. Leave some of them out.")
        raise AtelierError(template, count=MAX_PICTURES)
    return [tuple(styles)]


def expected(request: PaintingRequest, content: Picture, count: int) -> str:
    """Return a sentence with the expected time for `count` frames."""
    slowness = estimate.read_slowness(home.atelier_home())
    width, height = content.width, content.height
    seconds = estimate.estimate_frames(request, width, height, slowness, count, is_zoom=True)
    return estimate.expectation(seconds, remote.machine(), _)
