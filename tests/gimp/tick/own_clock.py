"""A clock without the time that threads wait for a processor, for measurements on a busy machine."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from typing import NamedTuple

THREADS = Path("/proc/self/task")
THIS_THREAD = Path("/proc/thread-self/schedstat")


def own_time_s(*others: Path) -> float:
    """Return the monotonic time minus the time that this thread and `others` waited for a processor.

    `others` are paths from `main_thread`.
    """
    waits_ns = (int(schedstat.read_text().split()[1]) for schedstat in (THIS_THREAD, *others))
    return time.monotonic() - sum(waits_ns) / 1e9


def main_thread(process: int) -> Path:
    """Return the path of Linux's scheduling statistics for a process's main thread."""
    return Path(f"/proc/{process}/task/{process}/schedstat")


class Moment(NamedTuple):
    """A time, and how long each thread of this process had waited for a processor by then, in seconds."""

    time_s: float
    waits_s: dict[str, float]


def moment() -> Moment:
    """Return the present moment."""
    waits_s = {}
    for thread in THREADS.iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it may end now
            waits_s[thread.name] = int((thread / "schedstat").read_text().split()[1]) / 1e9
    return Moment(time.monotonic(), waits_s)


def busy_s(earlier: Moment, later: Moment) -> float:
    """Return the time between two moments, less the waits for a processor of this thread and of one other.

    Another thread that waits for a processor may hold the interpreter's lock, and then this one waits too.
    """
    own = threading.get_native_id()
    waits = {name: wait - earlier.waits_s.get(name, wait) for name, wait in later.waits_s.items()}
    own_wait = waits.pop(str(own), 0.0)
    return later.time_s - earlier.time_s - own_wait - max(waits.values(), default=0.0)
