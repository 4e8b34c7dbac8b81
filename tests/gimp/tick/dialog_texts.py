"""A report of a filter's dialog, its visible texts and its settings, made when the dialog is idle.

The test writes a question, any text, into one file. After all earlier key presses are processed and
everything is drawn, the question, the texts and the settings are written into another file as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

POLL_MS = 20
IDLE_MS = 300
"""Longer than the preview's delay after a change (`DELAY_S`), and longer than drawing a frame."""


def answer_questions(question: Path, answer: Path) -> None:
    """Poll the file `question` in the main loop, and answer each new question when the loop is idle."""
    from gi.repository import GLib

    idle = GLib.PRIORITY_LOW + 100  # after thumbnails, which have the lowest priority in the dialog
    last_question = [_read(question)]

    def poll() -> bool:
        if (text := _read(question)) != last_question[0]:
            last_question[0] = text
            GLib.idle_add(wait, text, priority=idle)
        return True

    def wait(text: str) -> bool:
        GLib.timeout_add(IDLE_MS, reply, text, priority=idle)
        return False

    def reply(text: str) -> bool:
        draft = answer.with_suffix(".part")
        draft.write_text(json.dumps([text, list(_texts()), _settings()]))
        draft.replace(answer)
        return False

    GLib.timeout_add(POLL_MS, poll)


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


def _settings() -> dict[str, Any]:
    """Return the texts and numbers among the arguments of the dialog's procedure, by name."""
    from gi.repository import Gtk

    for window in Gtk.Window.list_toplevels():
        if window.find_property("config"):
            config = window.get_property("config")
            values = {spec.name: config.get_property(spec.name) for spec in config.list_properties()}
            return {name: value for name, value in values.items() if isinstance(value, str | int | float)}
    return {}
