"""Notes of the speed of jobs, from which `atelier_shared.estimate` predicts the duration of later ones."""

from __future__ import annotations

from pathlib import Path

from atelier_shared.estimate import SMALLEST_AMOUNT, Speed, read_speeds, speed_name
from atelier_shared.home import SPEEDS_FILE, write_json_object

MEMORY = 0.5
"""Weight of all earlier jobs of the same kind and magnitude, in proportion to the new job."""
MOST_NAMES = 300


def note(home: Path, kind: str, seconds: float, work: float) -> None:
    """Note the duration of a job in Atelier's home folder. If writing fails, the note is lost.

    `work` is in pixel-steps. A job of almost no work or time is not noted.
    """
    if min(seconds, work) < SMALLEST_AMOUNT:
        return
    speeds = read_speeds(home)
    name = speed_name(kind, work)
    old = speeds.pop(name, Speed(0.0, 0.0))
    speeds[name] = Speed(MEMORY * old.seconds + seconds, MEMORY * old.work + work)
    newest = dict(list(speeds.items())[-MOST_NAMES:])
    write_json_object(home / SPEEDS_FILE, newest)
