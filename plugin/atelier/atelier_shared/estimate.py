"""How long a job will take: its work, and how fast this computer did such work before.

The backend notes the speeds in a file of the home folder, which may be deleted at any time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from .deferred_translation import N_
from .home import SPEEDS_FILE, read_json_object
from .request import PaintingRequest

MAX_BYTES = 64 * 1024
SMALLEST_AMOUNT, LARGEST_AMOUNT = 1e-6, 1e18
"""Bounds of plausible seconds and work."""


class Speed(NamedTuple):
    """Seconds and pixel-steps of earlier jobs, the newest weighted most."""

    seconds: float
    work: float


Speeds = Mapping[str, Speed]


def speed_name(kind: str, work: float) -> str:
    """Return the name under which the speed of a job is noted: its kind and the magnitude of its work.

    Otherwise the many small jobs, previews above all, would displace the speed of a large one.
    """
    return f"{kind} 1e{math.floor(math.log10(work))}"


def estimate(request: PaintingRequest, width: int, height: int, speeds: Speeds) -> float | None:
    """Return the seconds that a job will take, or None if no job of its kind was measured.

    Of the speeds of its kind, that of the most similar amount of work is used.
    """
    work = request.work(width, height)
    kind = request.kind_of_job(request.device)
    known = [speed for name, speed in speeds.items() if name.rpartition(" ")[0] == kind]
    if not known:
        return None
    nearest = min(known, key=lambda speed: abs(math.log(max(work, 1.0) / speed.work)))
    return work * nearest.seconds / nearest.work


def read_speeds(home: Path) -> dict[str, Speed]:
    """Return the speeds noted in Atelier's home folder, without damaged entries."""
    return dict(_valid(read_json_object(home / SPEEDS_FILE, MAX_BYTES).items()))


def _valid(notes: Iterable[tuple[str, object]]) -> Iterable[tuple[str, Speed]]:
    for name, value in notes:
        if isinstance(value, list) and len(value) == 2 and all(map(_is_amount, value)):
            yield name, Speed(*value)


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and SMALLEST_AMOUNT <= value < LARGEST_AMOUNT


# ── In words ─────────────────────────────────────────────────────────────────────────────────────


def in_words(seconds: float | None) -> tuple[str, int]:
    """Return a sentence to translate, and the number for its {count}."""
    if seconds is None:
        return N_("The time it takes has not been measured on this computer yet"), 0
    takes = N_("Takes about {count} s"), N_("Takes about {count} min"), N_("Takes about {count} h")
    return _in_units(seconds, takes)


def left_in_words(seconds: float) -> tuple[str, int]:
    """Return the same for the time left."""
    left = N_("about {count} s left"), N_("about {count} min left"), N_("about {count} h left")
    return _in_units(seconds, left)


def _in_units(seconds: float, sentences: tuple[str, str, str]) -> tuple[str, int]:
    """Return the sentence in seconds, minutes or hours, and its number."""
    if seconds < 95:
        return sentences[0], _rounded(seconds)
    if seconds < 95 * 60:
        return sentences[1], _rounded(seconds / 60)
    return sentences[2], _rounded(seconds / 3600)


def _rounded(amount: float) -> int:
    """Round to the precision of an estimate: 7, 15, 40."""
    step = 1 if amount < 10 else 5
    return max(1, step * round(amount / step))
