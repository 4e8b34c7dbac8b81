"""A clock that stands still while a thread could go on but other processes have the processors."""

from __future__ import annotations

import time
from pathlib import Path

SCHEDULED = Path("/proc/thread-self/schedstat")


def own_time_s() -> float:
    """The monotonic clock without the time for which the calling thread has waited for a processor."""
    _ran_ns, waited_ns, _turns = SCHEDULED.read_text().split()
    return time.monotonic() - int(waited_ns) / 1e9
