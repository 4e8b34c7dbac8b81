"""Search in a long list of names while typing: a text entry offers the names with the typed part.

In a list such as "starfish, banana", the part after the last comma is completed.
"""

from __future__ import annotations

from collections.abc import Sequence

from gi.repository import Gtk


def add_name_search(entry: Gtk.Entry, names: Sequence[str]) -> None:
    """Let `entry` offer the names with the typed part, in any case."""
    store = Gtk.ListStore(str)
    for name in names:
        store.append([name])
    completion = Gtk.EntryCompletion(model=store, text_column=0, minimum_key_length=1)
    completion.set_match_func(_matches)
    completion.connect("match-selected", _choose)
    entry.set_completion(completion)


def completed(text: str, name: str) -> str:
    """Return a list with its last part replaced by a name."""
    before, comma, _last = text.rpartition(",")
    return f"{before}{comma} {name}".strip()


def _matches(completion: Gtk.EntryCompletion, _key: str, row: Gtk.TreeIter) -> bool:
    typed = completion.get_entry().get_text().rpartition(",")[2].strip().casefold()
    name: str = completion.get_model()[row][0]
    return bool(typed) and typed in name.casefold()


def _choose(completion: Gtk.EntryCompletion, model: Gtk.TreeModel, row: Gtk.TreeIter) -> bool:
    entry = completion.get_entry()
    entry.set_text(completed(entry.get_text(), model[row][0]))
    entry.set_position(-1)
    return True
