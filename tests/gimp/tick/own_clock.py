"""A clock that stands still while a thread could go on but other processes have the processors.

It can stand still for other threads' sake too, for which this one may have to wait.
"""

from __future__ import annotations

import time
from pathlib import Path

OWN = Path("/proc/thread-self/schedstat")


def own_time_s(*others: Path) -> float:
    """The monotonic clock without the time for which the calling thread has waited for a processor.

    Nor that for which `others` have, threads as `main_thread` names them.
    """
    waited_ns = sum(int(scheduled.read_text().split()[1]) for scheduled in (OWN, *others))
    return time.monotonic() - waited_ns / 1e9


def main_thread(process: int) -> Path:
    """What Linux tells of how the main thread of a process has been scheduled."""
    return Path(f"/proc/{process}/task/{process}/schedstat")
