"""Notes how fast jobs were done, for `durations` to tell how long the next ones will take.

Knows a file and names of kinds of jobs; nothing of what a job computes.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from atelier_shared.estimate import SMALLEST_AMOUNT, Speed, read_speeds, speed_name
from atelier_shared.home import SPEEDS_FILE

MEMORY = 0.5
"""The part of what was known before that still counts beside a new job of about as much work."""
MOST_NAMES = 300


def note(home: Path, kind: str, seconds: float, work: float) -> None:
    """Note in Atelier's home folder that a job of a kind took so long; a lost note is no harm."""
    if min(seconds, work) < SMALLEST_AMOUNT:
        return
    speeds = read_speeds(home)
    name = speed_name(kind, work)
    old = speeds.pop(name, Speed(0.0, 0.0))
    speeds[name] = Speed(MEMORY * old.seconds + seconds, MEMORY * old.work + work)
    newest = dict(list(speeds.items())[-MOST_NAMES:])
    file = home / SPEEDS_FILE
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        draft.write_text(json.dumps(newest), encoding="utf-8")
        draft.replace(file)
