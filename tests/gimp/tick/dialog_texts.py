"""A report of a filter's dialog, made when it is idle: its visible texts, its settings, or where things are.

The test writes a question into one file: a key of REPORTS, and a number that makes it a new one. After all
earlier key presses are processed and everything is drawn, the question and the report are written into
another file as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

POLL_MS = 20
IDLE_MS = 200
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
        draft.write_text(json.dumps([text, REPORTS[text.split()[0]]()]))
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


def _places() -> Iterator[tuple[str, list[int]]]:
    """Yield the texts, tooltips and names of what can be clicked, each with its box on the screen."""
    from gi.repository import Gtk

    for window in Gtk.Window.list_toplevels():
        yield from _places_in(Gtk, window)


def _places_in(gtk: Any, widget: Any) -> Iterator[tuple[str, list[int]]]:
    if not widget.get_mapped():
        return
    if isinstance(widget, gtk.IconView):
        for row in widget.get_model():
            _found, cell = widget.get_cell_rect(row.path, None)
            yield (
                row[widget.get_tooltip_column()],
                _on_screen(widget, cell.x, cell.y, cell.width, cell.height),
            )
        return
    size = widget.get_allocated_width(), widget.get_allocated_height()
    label = widget.get_text() if isinstance(widget, gtk.Label) else None
    for text in (label, widget.get_tooltip_text(), widget.get_accessible().get_name()):
        if text:
            yield text, _on_screen(widget, 0, 0, *size)
    for child in widget.get_children() if isinstance(widget, gtk.Container) else ():
        yield from _places_in(gtk, child)


def _on_screen(widget: Any, x: int, y: int, width: int, height: int) -> list[int]:
    """Map a box in a widget to pixels of the screen."""
    toplevel, scale = widget.get_toplevel(), widget.get_scale_factor()
    left, top = widget.translate_coordinates(toplevel, x, y)
    _found, across, down = toplevel.get_window().get_origin()
    return [scale * value for value in (across + left, down + top, width, height)]


def _settings() -> dict[str, Any]:
    """Return the texts and numbers among the arguments of the dialog's procedure, by name."""
    from gi.repository import Gtk

    for window in Gtk.Window.list_toplevels():
        if window.find_property("config"):
            config = window.get_property("config")
            values = {spec.name: config.get_property(spec.name) for spec in config.list_properties()}
            return {name: value for name, value in values.items() if isinstance(value, str | int | float)}
    return {}


REPORTS: dict[str, Callable[[], Any]] = {
    "texts": lambda: list(_texts()),
    "settings": _settings,
    "places": lambda: list(_places()),
}
"""The reports, by the first word of the question."""
