"""A clock without the time that threads wait for a processor, for measurements on a busy machine."""

from __future__ import annotations

import time
from pathlib import Path

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
