"""Put before a GIMP's Python: measures how long the filters' main loop is held up, and answers questions.

Python imports this at its start, where PYTHONPATH leads to it. In a filter's process, and in no other, a
GLib timeout ticks; whenever it comes late, a line of JSON goes into the file that ATELIER_TEST_TICKS
names: when that was by the monotonic clock, how late it came by the clock of its thread and of GIMP's,
for whose answers it waits, and where it stood.
What can be asked of such a process is said in `spoken`.
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


def is_filter() -> bool:
    """Whether this is the process of a filter at work."""
    words = sys.orig_argv
    return "-run" in words and any(word.endswith("atelier.py") for word in words)


def tick_in_main_loop(file: str) -> None:
    """Have the main loop tick, and a thread look where it is when it does not."""
    from gi.repository import GLib
    from own_clock import main_thread, own_time_s

    main, gimp = threading.get_ident(), main_thread(os.getppid())
    last, where, own = [time.monotonic()], [""], [own_time_s(gimp)]

    def tick() -> bool:
        since, own_before = last[0], own[0]
        own[0] = own_time_s(gimp)
        late = own[0] - own_before
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
    from spoken import answer_questions

    tick_in_main_loop(os.environ["ATELIER_TEST_TICKS"])
    answer_questions(Path(os.environ["ATELIER_TEST_QUESTION"]), Path(os.environ["ATELIER_TEST_ANSWER"]))
