"""Tells a test what stands written in a filter's dialog, once that has nothing to do any more.

A test puts a question, any text, into the file that ATELIER_TEST_QUESTION names. When every key that was
pressed before is done with and all is drawn, the question and the texts in sight go into the file that
ATELIER_TEST_ANSWER names, as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LOOK_MS = 20
STILL_MS = 300
"""Longer than a dialog waits after a change before it asks for a preview, and than a frame takes."""


def answer_questions(question: Path, answer: Path) -> None:
    """Have the main loop look for questions, and answer each when it has nothing else to do."""
    from gi.repository import GLib

    idle = GLib.PRIORITY_LOW + 100  # after small pictures, which have the lowest priority of the product
    asked = [_read(question)]

    def look() -> bool:
        if (text := _read(question)) != asked[0]:
            asked[0] = text
            GLib.idle_add(wait, text, priority=idle)
        return True

    def wait(text: str) -> bool:
        GLib.timeout_add(STILL_MS, reply, text, priority=idle)
        return False

    def reply(text: str) -> bool:
        draft = answer.with_suffix(".part")
        draft.write_text(json.dumps([text, list(_texts())]))
        draft.replace(answer)
        return False

    GLib.timeout_add(LOOK_MS, look)


def _read(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def _texts() -> Iterator[str]:
    from gi.repository import Gtk

    for window in Gtk.Window.list_toplevels():
        yield from _texts_in(Gtk, window)


def _texts_in(gtk: Any, widget: Any) -> Iterator[str]:
    if not widget.get_mapped():
        return
    if isinstance(widget, gtk.Label):
        yield widget.get_text()
    elif isinstance(widget, gtk.Container):
        for child in widget.get_children():
            yield from _texts_in(gtk, child)
