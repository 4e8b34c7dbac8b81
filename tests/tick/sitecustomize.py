"""Put before a GIMP's Python: measures how long the filters' main loop is held up.

Python imports this at its start, where PYTHONPATH leads to it. In a filter's process, and in no other, a
GLib timeout ticks; whenever it comes late, a line of JSON goes into the file that ATELIER_TEST_TICKS
names: when that was by the monotonic clock, how late it came, and where the main thread stood. The time in
which that thread could have gone on, but other processes had the processors, is not counted.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from pathlib import Path

EVERY_S, LATE_S = 0.005, 0.025
SCHEDULED = Path("/proc/thread-self/schedstat")


def is_filter() -> bool:
    """Whether this is the process of a filter at work."""
    words = sys.orig_argv
    return "-run" in words and any(word.endswith("atelier.py") for word in words)


def _waited_s() -> float:
    """How long this thread has waited for a processor in all."""
    _ran_ns, waited_ns, _turns = SCHEDULED.read_text().split()
    return int(waited_ns) / 1e9


def tick_in_main_loop(file: str) -> None:
    """Have the main loop tick, and a thread look where it is when it does not."""
    from gi.repository import GLib

    main = threading.get_ident()
    last, where, waited = [time.monotonic()], [""], [_waited_s()]

    def tick() -> bool:
        since, waited_before = last[0], waited[0]
        waited[0] = _waited_s()
        late = time.monotonic() - since - (waited[0] - waited_before)
        if late > LATE_S:
            with Path(file).open("a", encoding="utf-8") as lines:
                lines.write(json.dumps({"since": since, "late_s": late, "where": where[0]}) + "\n")
        last[0], where[0] = time.monotonic(), ""
        return True

    def look() -> None:
        while True:
            time.sleep(LATE_S)
            frame = sys._current_frames().get(main)
            if time.monotonic() - last[0] > LATE_S and not where[0] and frame:
                where[0] = "".join(traceback.format_stack(frame)[-4:])

    GLib.timeout_add(round(1000 * EVERY_S), tick)
    threading.Thread(target=look, daemon=True).start()


if is_filter() and "ATELIER_TEST_TICKS" in os.environ:
    tick_in_main_loop(os.environ["ATELIER_TEST_TICKS"])
