"""A clip: frames with durations, from a file or from numbered pictures, and a selection of them."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from gettext import gettext as _
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from atelier_shared.errors import AtelierError

from ..picture_files import Canvas

TIME = re.compile(r"(?:(\d+):)?(?:(\d+):)?(\d+(?:\.\d+)?)s?")


class Frame(NamedTuple):
    """A frame of a clip: how to get its pixels, and its duration in seconds.

    Frames whose pixels are not used, such as those only counted, cost little.
    """

    load: Callable[[], Canvas]
    seconds: Fraction

    @classmethod
    def of(cls, canvas: Canvas, seconds: Fraction) -> Frame:
        """Return a frame whose pixels are known."""
        return cls(lambda: canvas, seconds)

    @property
    def canvas(self) -> Canvas:
        """The pixels.

        Raises:
            PictureFileError: the frame cannot be read.
        """
        return self.load()


class StoredFrame(NamedTuple):
    """A finished frame as a picture file, and its duration in seconds."""

    path: Path
    seconds: Fraction


AnyFrame = TypeVar("AnyFrame", Frame, StoredFrame)


class Clip(Protocol):
    """A source of frames."""

    @property
    def name(self) -> str:
        """The name for messages, such as that of its file."""

    @property
    def loops(self) -> int | None:
        """How often it plays as an animated picture, 0 for ever; None if unknown."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user."""

    def frames(self) -> Iterator[Frame]:
        """Yield the frames from the first one on, each time anew.

        Raises:
            PictureFileError: a frame cannot be read.
        """


# ── Selections ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Position:
    """A place in a clip: a frame, counted from 1, or a time in seconds."""

    frame: int | None = None
    seconds: Fraction = Fraction(0)

    @classmethod
    def parse(cls, text: str) -> Position:
        """Parse the number of a frame, such as 12, or a time, such as 2.5s or 1:02.

        Raises:
            ValueError: the text is neither.
        """
        if text.isdecimal() and int(text) > 0:
            return cls(frame=int(text))
        found = TIME.fullmatch(text)
        if not found or not (":" in text or text.endswith("s")):
            raise ValueError
        first, second, seconds = found.groups()
        hours, minutes = (first, second) if second else (None, first)
        return cls(seconds=3600 * int(hours or 0) + 60 * int(minutes or 0) + Fraction(seconds))


@dataclass(frozen=True)
class Selection:
    """A range of frames, and of these every so many; `last` is included if it is a frame."""

    first: Position | None = None
    last: Position | None = None
    every: int = 1

    def of(self, frames: Iterator[AnyFrame]) -> Iterator[AnyFrame]:
        """Yield the selected frames; each lasts until the next one of them."""
        if self.every == 1:
            yield from self._range_of(frames)
            return
        held: AnyFrame | None = None
        for place, frame in enumerate(self._range_of(frames)):
            if held and place % self.every == 0:
                yield held
                held = None
            held = held._replace(seconds=held.seconds + frame.seconds) if held else frame
        if held:
            yield held

    def _range_of(self, frames: Iterator[AnyFrame]) -> Iterator[AnyFrame]:
        start = Fraction(0)
        for number, frame in enumerate(frames, start=1):
            if self.last and _is_past(self.last, number, start):
                return
            if not self.first or not _is_before(self.first, number, start):
                yield frame
            start += frame.seconds

    def seconds(self, frames: Iterator[AnyFrame]) -> tuple[Fraction, Fraction]:
        """Return the times at which the range begins and ends."""
        begin, at = None, Fraction(0)
        for number, frame in enumerate(frames, start=1):
            if self.last and _is_past(self.last, number, at):
                break
            if begin is None and not (self.first and _is_before(self.first, number, at)):
                begin = at
            at += frame.seconds
        return (at if begin is None else begin), at

    @property
    def is_whole(self) -> bool:
        """Whether the range is the whole clip."""
        return self.first is None and self.last is None


def _is_before(position: Position, number: int, start: Fraction) -> bool:
    return start < position.seconds if position.frame is None else number < position.frame


def _is_past(position: Position, number: int, start: Fraction) -> bool:
    return start >= position.seconds if position.frame is None else number > position.frame


def parsed(option: str, text: str | None) -> Position | None:
    """Parse the value of --from or --to.

    Raises:
        AtelierError: it is neither a frame nor a time.
    """
    try:
        return None if text is None else Position.parse(text)
    except ValueError:
        raise AtelierError(
            _("{option} {text} is no place in a clip. Write a frame such as 12, or a time such as 2.5s."),
            option=option,
            text=text,
        ) from None


# ── Numbered pictures ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class NumberedPictures:
    """Pictures as the frames of a clip, in the given order."""

    stored: tuple[StoredFrame, ...]
    max_megapixels: float
    name: str
    loops: int | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def at_rate(cls, paths: Sequence[Path], rate: Fraction, max_megapixels: float) -> NumberedPictures:
        """Return pictures as frames of the same duration, `rate` per second."""
        return cls(tuple(StoredFrame(path, 1 / rate) for path in paths), max_megapixels, paths[0].name)

    def selected(self, selection: Selection) -> NumberedPictures:
        """Return the selected pictures."""
        return replace(self, stored=tuple(selection.of(iter(self.stored))))

    @property
    def count(self) -> int:
        """The number of pictures."""
        return len(self.stored)

    def frames(self) -> Iterator[Frame]:
        """Yield the pictures one by one."""
        for path, seconds in self.stored:
            yield Frame(functools.partial(self._load, path), seconds)

    def _load(self, path: Path) -> Canvas:
        canvas = Canvas.load(path, self.max_megapixels)
        return Canvas(replace(canvas.file, notes=()))
