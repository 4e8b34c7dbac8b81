"""The connection between the gallery and a filter's arguments.

Choosing an entry sets the arguments. The gallery also follows every other change of them: Reset, loaded
settings, the values of the last run, other controls.
"""

from __future__ import annotations

from gi.repository import Gimp, Gio

from host.filters import Filter

from . import recent
from .entries import (
    DEFAULT_GROUP,
    RESTORING,
    Entry,
    choose,
    chosen_entry,
    file_entry,
    follow_method,
    group_titles,
    is_restored,
    is_undecided,
    list_entries,
    set_arguments,
    values_to_save,
)
from .own_presets import remove_preset, save_preset
from .recent import History
from .view import GalleryCallbacks, GalleryView


class Gallery:
    """The gallery of a filter. `view` is its widget; it needs a width of at least 500 pixels."""

    def __init__(self, config: Gimp.ProcedureConfig, chosen: Filter) -> None:
        self._config, self._chosen = config, chosen
        self._history = History()
        self._opened: dict[str, Entry] = {}
        self._restored: Entry | None = None
        callbacks = GalleryCallbacks(
            list_entries=self._list_entries,
            choose=self._choose,
            open_file=self._open_file,
            is_favourite=self._is_favourite,
            set_favourite=self._set_favourite,
            save=self._save,
            remove=self._remove,
        )
        self._choose_something()
        self.view = GalleryView(group_titles(chosen), callbacks)
        self._show_chosen()
        handlers = [config.connect("notify", self._show_chosen)]
        if not chosen.presets:
            handlers.append(config.connect("notify::method", lambda *_: follow_method(config, chosen)))
        self.view.connect("destroy", lambda _view: list(map(config.disconnect, handlers)))
        self.view.show_all()

    def _choose_something(self) -> None:
        """Choose the first entry if the filter was never used, or if its picture is gone."""
        if chosen_entry(self._config, self._chosen) is None and is_undecided(self._config, self._chosen):
            set_arguments(self._config, list_entries(DEFAULT_GROUP, self._chosen, self._history)[0].settings)

    def _show_chosen(self, *_changed: object) -> None:
        if self._restored and is_restored(self._config, self._restored):
            self.view.show_chosen(self._restored)
            return
        entry = chosen_entry(self._config, self._chosen)
        if entry and entry.kind == "file":
            self._opened.setdefault(entry.key, entry)
        self.view.show_chosen(entry)

    def _list_entries(self, group: str) -> list[Entry]:
        """List the entries of a group. Files opened in this dialog precede the recent ones."""
        self._history = recent.read_history()
        opened = self._opened.values() if group == "file" else ()
        listed = list_entries(group, self._chosen, self._history)
        return list({entry.key: entry for entry in (*opened, *listed)}.values())

    def _choose(self, entry: Entry) -> None:
        self._restored = entry if entry.kind in RESTORING else None
        choose(self._config, self._chosen, entry)

    def _save(self, name: str) -> None:
        """Save the present settings under a name, and choose them."""
        save_preset(self._chosen.request.name, name, values_to_save(self._config, self._chosen))
        own = list_entries("own", self._chosen, self._history)
        self._restored = next(entry for entry in own if entry.name == name)
        self.view.show_chosen(self._restored)

    def _remove(self, entry: Entry) -> None:
        remove_preset(self._chosen.request.name, entry.name)
        self._restored = None

    def _open_file(self, file: Gio.File) -> None:
        self._choose(file_entry(file))

    def _is_favourite(self, entry: Entry) -> bool:
        return entry.key in self._history.favourites

    def _set_favourite(self, entry: Entry, is_favourite: bool) -> None:
        recent.set_favourite(entry.key, is_favourite)
        self._history = recent.read_history()
