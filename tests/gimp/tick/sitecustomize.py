"""Measurement of delays in a filter's main loop.

Python imports this module at start if its folder is in PYTHONPATH. It acts only in the process of a
running filter. If ATELIER_TEST_TICKS names a file, a GLib timeout ticks there, and each late tick adds a
line of JSON to the file: the monotonic time of the tick before, the delay, and the stack during the delay.
The delay does not count the time that this thread or GIMP's waited for a processor: the filter waits for
GIMP's answers. `dialog_texts` reports the texts. The file named by
ATELIER_TEST_LANGUAGE sets the language.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from pathlib import Path

TICK_S, LATE_S = 0.005, 0.025


def is_filter() -> bool:
    """Return whether this is the process of a running filter."""
    words = sys.orig_argv
    return "-run" in words and any(word.endswith("atelier.py") for word in words)


def record_late_ticks(file: str) -> None:
    """Start the ticks, and a thread to record the main thread's stack during a delay."""
    from gi.repository import GLib
    from own_clock import main_thread, own_time_s

    main, gimp = threading.get_ident(), main_thread(os.getppid())
    last_tick, stack, own_time = [time.monotonic()], [""], [own_time_s(gimp)]

    def tick() -> bool:
        since, own_before = last_tick[0], own_time[0]
        own_time[0] = own_time_s(gimp)
        late_s = own_time[0] - own_before
        if late_s > LATE_S:
            with Path(file).open("a", encoding="utf-8") as lines:
                lines.write(json.dumps({"since": since, "late_s": late_s, "where": stack[0]}) + "\n")
        last_tick[0], stack[0] = time.monotonic(), ""
        return True

    def record_stacks() -> None:
        while True:
            time.sleep(LATE_S)
            frame = sys._current_frames().get(main)
            if time.monotonic() - last_tick[0] > LATE_S and not stack[0] and frame:
                stack[0] = "".join(traceback.format_stack(frame)[-4:])

    GLib.timeout_add(round(1000 * TICK_S), tick)
    threading.Thread(target=record_stacks, daemon=True).start()


if is_filter() and "ATELIER_TEST_QUESTION" in os.environ:
    from dialog_texts import answer_questions

    language = Path(os.environ["ATELIER_TEST_LANGUAGE"])
    if language.exists():
        os.environ["LANGUAGE"] = language.read_text()
    if "ATELIER_TEST_TICKS" in os.environ:
        record_late_ticks(os.environ["ATELIER_TEST_TICKS"])
    answer_questions(Path(os.environ["ATELIER_TEST_QUESTION"]), Path(os.environ["ATELIER_TEST_ANSWER"]))
