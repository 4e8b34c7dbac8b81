"""Notes of the slowness of jobs, from which `atelier_shared.estimate` predicts the duration of later ones."""

from __future__ import annotations

from pathlib import Path

from atelier_shared.estimate import LEAST, MAX_BYTES, job_name, valid_slowness
from atelier_shared.home import SLOWNESS_FILE, read_json_object, write_json_object

RECENT = 9
"""Jobs that are kept of each kind and magnitude."""
MOST_NAMES = 300
DIGITS = 4


def note(home: Path, kind: str, seconds: float, usual_s: float) -> None:
    """Note the duration of a job in Atelier's home folder. If writing fails, the note is lost.

    A job that usually takes no time is not noted.
    """
    if min(seconds, usual_s) < LEAST:
        return
    slowness = valid_slowness(read_json_object(home / SLOWNESS_FILE, MAX_BYTES))
    name = job_name(kind, usual_s)
    recent = [*slowness.pop(name, []), round(seconds / usual_s, DIGITS)][-RECENT:]
    slowness[name] = recent
    write_json_object(home / SLOWNESS_FILE, dict(list(slowness.items())[-MOST_NAMES:]))
