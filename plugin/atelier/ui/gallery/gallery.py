"""The gallery of a filter: styles, or presets and guides, joined to the filter's arguments.

What is chosen in it sets the arguments, and what sets them otherwise shows in it: Reset, saved settings,
the last values, another control.
"""

from __future__ import annotations

from gi.repository import Gimp, Gio, Gtk

from host.filters import Filter

from . import recent
from .entries import Entry, choose, chosen_entry, entries, file_entry, group_of, titles
from .view import Doings, GalleryView


def galleries(config: Gimp.ProcedureConfig, chosen: Filter) -> Gtk.Widget:
    """A gallery that shows and changes what is chosen in `config`; wants a width of 500 pixels or more."""
    opened: dict[str, Entry] = {}
    memory = recent.Memory()

    def listed(group: str) -> list[Entry]:
        """What is in a group, first what was opened just now."""
        nonlocal memory
        memory = recent.recall()
        found = entries(group, chosen, memory)
        first = opened.values() if group == "file" else ()
        return list({entry.key: entry for entry in (*first, *found)}.values())

    def show(*_changed: object) -> None:
        entry = chosen_entry(config, chosen)
        if entry and entry.kind == "file":
            opened.setdefault(entry.key, entry)
        view.show_chosen(entry, group_of(entry) if entry else "built-in")

    def set_favourite(entry: Entry, wanted: bool) -> None:
        nonlocal memory
        recent.set_favourite(entry.key, wanted)
        memory = recent.recall()

    def open_file(file: Gio.File) -> None:
        choose(config, chosen, file_entry(file))

    view = GalleryView(
        titles(chosen),
        Doings(
            entries=listed,
            choose=lambda entry: choose(config, chosen, entry),
            open=open_file,
            is_favourite=lambda entry: entry.key in memory.favourites,
            set_favourite=set_favourite,
        ),
    )
    show()
    handler = config.connect("notify", show)
    view.connect("destroy", lambda _view: config.disconnect(handler))
    view.show_all()
    return view
