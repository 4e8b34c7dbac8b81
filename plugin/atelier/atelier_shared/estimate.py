"""How long a job will take: its usual duration, and how much slower this computer was in recent jobs.

Other programs make a job slower, never faster. So of the recent jobs the median counts, and of two middle
values the lower one. The backend notes the jobs in a file of the home folder, which may be deleted at any
time.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median_low

from .deferred_translation import N_
from .home import read_json_object
from .remote import slowness_file
from .request import PaintingRequest

MAX_BYTES = 64 * 1024
LEAST, MOST = 1e-6, 1e9
"""Bounds of a plausible slowness."""
ENOUGH = 3
"""With fewer jobs of a kind, the slowness of other kinds counts as one more job."""

JOB_NAME = re.compile(r".+ 1e-?\d{1,3}", re.ASCII)

Slowness = Mapping[str, Sequence[float]]
"""By kind of job and magnitude of its duration: the duration of recent jobs ÷ the usual one, newest last."""


def job_name(kind: str, usual_s: float) -> str:
    """Return the name under which a job is noted: its kind, and the magnitude of its usual duration.

    Otherwise the many small jobs, previews above all, would displace a large one.
    """
    return f"{kind} 1e{_magnitude(usual_s)}"


def estimate(request: PaintingRequest, width: int, height: int, slowness: Slowness) -> float | None:
    """Return the seconds that a job will take, or None if no job was noted on its device.

    Of its kind, the jobs of the most similar duration are used; of other kinds, likewise.
    """
    usual_s, kind = request.usual_seconds(width, height), request.kind_of_job(request.device)
    own = {name: jobs for name, jobs in slowness.items() if _kind_of(name) == kind}
    others = {
        name: jobs
        for name, jobs in slowness.items()
        if name not in own and _device_of(name) == request.device
    }
    recent = [each for jobs in _most_similar(usual_s, own) for each in jobs]
    if len(recent) < ENOUGH and others:
        recent.append(median_low(map(median_low, _most_similar(usual_s, others))))
    return usual_s * median_low(recent) if recent else None


def estimate_frames(
    request: PaintingRequest, width: int, height: int, slowness: Slowness, count: int, *, is_zoom: bool
) -> float | None:
    """Return the seconds that the frames of a zoom or an animation will take.

    Each frame of a zoom starts from the one before, also without coherence.
    """
    first = estimate(request, width, height, slowness)
    if first is None or count == 1:
        return first
    share = request.further_share(width, height) if is_zoom or request.is_coherent else 1.0
    return first * (1 + (count - 1) * share)


def _most_similar(usual_s: float, slowness: Slowness) -> list[Sequence[float]]:
    """Return the notes of jobs whose magnitude is nearest to that of a job."""
    distance = {name: abs(_magnitude(usual_s) - _magnitude_of(name)) for name in slowness}
    nearest = min(distance.values(), default=0)
    return [found for name, found in slowness.items() if distance[name] == nearest]


def _magnitude(usual_s: float) -> int:
    return math.floor(math.log10(max(usual_s, LEAST)))


def _magnitude_of(name: str) -> int:
    return int(name.rpartition(" 1e")[2])


def _kind_of(name: str) -> str:
    return name.rpartition(" ")[0]


def _device_of(name: str) -> str:
    return _kind_of(name).rpartition(" ")[2]


def read_slowness(home: Path) -> dict[str, list[float]]:
    """Return the notes in Atelier's home folder about the computing machine, without damaged entries."""
    return valid_slowness(read_json_object(slowness_file(home), MAX_BYTES))


def valid_slowness(notes: Mapping[str, object]) -> dict[str, list[float]]:
    """Return notes without damaged entries."""
    return dict(_valid(notes.items()))


def _valid(notes: Iterable[tuple[str, object]]) -> Iterable[tuple[str, list[float]]]:
    for name, value in notes:
        jobs = value if isinstance(value, list) else []
        if jobs and all(map(_is_slowness, jobs)) and JOB_NAME.fullmatch(name):
            yield name, jobs


def _is_slowness(value: object) -> bool:
    return isinstance(value, int | float) and LEAST <= value < MOST


# ── In words ─────────────────────────────────────────────────────────────────────────────────────


def expectation(seconds: float | None, machine: str, translate: Callable[[str], str]) -> str:
    """Return the expected duration as a translated sentence, with the machine unless it is this one."""
    if machine and seconds is None:
        return translate(N_("{machine} computes.")).format(machine=machine)
    sentence, count = in_words(seconds)
    expected = translate(sentence).format(count=count)
    if not machine:
        return expected
    return translate(N_("{expected}, on {machine}")).format(expected=expected, machine=machine)


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
