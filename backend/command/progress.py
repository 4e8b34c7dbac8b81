"""Progress in the terminal: one bar over all pictures, plain lines in a log file, or nothing."""

from __future__ import annotations

import math
import sys
import time
from gettext import gettext as _
from typing import Any

from tqdm import tqdm

from atelier_shared import estimate
from atelier_shared.deferred_translation import N_

LINE_EVERY_S = 5.0
"""Time between two lines, so that a log file stays short."""


STEPS, FRAMES = N_("step {step}/{total}"), N_("frame {step}/{total}")
PICTURES = N_("picture {step}/{total}")


class Quiet:
    """No progress; the base of the other displays.

    For each picture `begin` is called, then `wait` while other jobs run, `work` from the start of the
    job on, and `end`.
    """

    def __init__(self, count: int) -> None:
        """Expect `count` pictures."""
        self.count, self.done = count, 0
        self.name, self.expected, self.counted = "", "", STEPS

    def begin(self, name: str, expected: str, counted: str = STEPS) -> None:
        """Begin a picture; `expected` is a sentence about its duration, `counted` is STEPS or another."""
        self.counted = counted
        text = _("{number} of {count}, {name}") if self.count > 1 else "{name}"
        self.name = text.format(number=self.done + 1, count=self.count, name=name)
        self.expected = expected

    def wait(self, place: int) -> None:
        """Show that `place` jobs run first."""

    def work(self, step: float, total: int) -> None:
        """Show the progress up to a step, or a part of it."""

    def _count(self, step: float, total: int) -> str:
        return _(self.counted).format(step=math.ceil(step), total=total)

    def hide(self) -> None:
        """Make room for a line of text."""

    def end(self) -> None:
        """Count the picture as done."""
        self.done += 1

    def close(self) -> None:
        """Remove the display."""


class Lines(Quiet):
    """A line for each begun picture, and another one every few seconds."""

    def __init__(self, count: int) -> None:
        """Expect `count` pictures."""
        super().__init__(count)
        self.begun_s = self.next_s = 0.0

    def begin(self, name: str, expected: str, counted: str = STEPS) -> None:
        """Begin a picture."""
        super().begin(name, expected, counted)
        self.begun_s = self.next_s = 0.0

    def wait(self, place: int) -> None:
        """Write how many jobs run first."""
        self._write(_("waiting, {count} ahead").format(count=place))

    def work(self, step: float, total: int) -> None:
        """Write the first step with the expected time, later ones with the time left."""
        now_s = time.monotonic()
        if not self.begun_s:
            self.begun_s, self.next_s = now_s, now_s + LINE_EVERY_S
            self._write(f"{self._count(step, total)}. {self.expected}".rstrip())
        elif now_s >= self.next_s and step < total:
            self.next_s = now_s + LINE_EVERY_S
            sentence, amount = estimate.left_in_words((now_s - self.begun_s) / step * (total - step))
            self._write(f"{self._count(step, total)}, {_(sentence).format(count=amount)}")

    def _write(self, text: str) -> None:
        sys.stderr.write(f"{self.name}: {text}\n")
        sys.stderr.flush()


class Bar(Quiet):
    """A bar over all pictures. Its time counts from the start of the first job, not of the queue."""

    def __init__(self, count: int) -> None:
        """Expect `count` pictures."""
        super().__init__(count)
        self.bar: tqdm[Any] = tqdm(total=count, leave=False, bar_format="{desc}")
        self.is_running = False

    def begin(self, name: str, expected: str, counted: str = STEPS) -> None:
        """Show the picture's name."""
        super().begin(name, expected, counted)
        self.bar.set_description_str(self.name)

    def wait(self, place: int) -> None:
        """Show how many jobs run first."""
        waiting = _("waiting, {count} ahead").format(count=place)
        self.bar.set_description_str(f"{self.name}: {waiting}")

    def work(self, step: float, total: int) -> None:
        """Move the bar; the first step starts its clock and shows the expected time."""
        if not self.is_running:
            self.bar.bar_format = "{desc} {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}]"
            self.bar.reset()
            self.is_running = True
        hint = self.expected if self.expected and step <= 1 else self._count(step, total)
        self.bar.set_description_str(f"{self.name}: {hint}", refresh=False)
        self.bar.n = self.done + step / total
        self.bar.refresh()

    def hide(self) -> None:
        """Remove the bar until the next step."""
        self.bar.clear()

    def close(self) -> None:
        """Remove the bar."""
        self.bar.close()


def display(count: int, *, quiet: bool) -> Quiet:
    """Return the display for `count` pictures."""
    if quiet:
        return Quiet(count)
    return Bar(count) if sys.stderr.isatty() else Lines(count)
