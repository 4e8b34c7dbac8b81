"""The gallery's widget: the thumbnails and names of the entries of one group, with the chosen one marked."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from gi.repository import Gdk, GdkPixbuf, Gio, GLib, Gtk, Pango

from host.translation import _

from .entries import DEFAULT_GROUP, Entry
from .file_chooser import choose_picture
from .thumbnails import THUMBNAIL_PX

SPACING_PX = 6
HEIGHT_PX = 214
"""The height of two rows."""
ITEM_PX = 104
PADDING_PX = 3
SEARCH_CHARACTERS = 10
TEXT_SCALE = 0.9
LOADING_SLICE_S = 0.02
"""Thumbnails are loaded for this long at a time, so that the dialog stays responsive."""
ICONS = ("image-x-generic-symbolic", "image-x-generic", "image-missing")
THUMBNAIL, NAME, WEIGHT, TOOLTIP, KEY = range(5)
"""The columns of the list store."""


class GalleryCallbacks(NamedTuple):
    """Actions that the gallery's widget delegates to its owner."""

    list_entries: Callable[[str], Sequence[Entry]]
    choose: Callable[[Entry], None]
    open_file: Callable[[Gio.File], None]
    is_favourite: Callable[[Entry], bool]
    set_favourite: Callable[[Entry, bool], None]
    save: Callable[[str], None]
    remove: Callable[[Entry], None]


class GalleryView(Gtk.Box):  # type: ignore[misc]  # gi has no types
    """The entries of the current group; above them the groups, a search, a favourite button, and Open File.

    While there is a text to search for, all entries with this text in their names are shown.
    """

    def __init__(self, titles: Mapping[str, str], callbacks: GalleryCallbacks) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=SPACING_PX)
        self._callbacks, self._chosen_key = callbacks, ""
        self._entries: dict[str, Entry] = {}
        self._unloaded: deque[tuple[Gtk.TreeRowReference, Entry]] = deque()
        self._loading_source = self._scrolling_source = 0
        self._store = Gtk.ListStore(GdkPixbuf.Pixbuf, str, int, str, str)
        self._titles = titles
        self._groups, self._star, self._search = _group_chooser(titles), _star_button(), _search_entry()
        self._grid = _grid(self._store)
        self.pack_start(self._row_above(), False, False, 0)
        self.pack_start(_scrolled(self._grid), True, True, 0)
        self._groups.connect("changed", lambda _combo: self.refresh())
        self._search.connect("search-changed", lambda _entry: self.refresh())
        self._search.connect("stop-search", lambda entry: entry.set_text(""))
        self._star.connect("toggled", self._star_toggled)
        handler = self._grid.connect("selection-changed", self._selection_changed)
        self._grid.connect("item-activated", self._item_activated)
        self._grid.connect("key-press-event", self._key_pressed)
        self.connect("destroy", self._destroyed, handler)
        self._accept_files()

    @property
    def group(self) -> str:
        """The current group."""
        return str(self._groups.get_active_id() or "")

    def show_chosen(self, entry: Entry | None) -> None:
        """Mark the chosen entry. If the current group does not list it, show its own group."""
        key = entry.key if entry else ""
        if key == self._chosen_key and self.group:
            return
        self._chosen_key = key
        if not self.group or (entry and entry.key not in self._entries):
            self._show_group(entry.group if entry else DEFAULT_GROUP)
        self._mark_chosen()

    def _show_group(self, group: str) -> None:
        if group == self.group:
            self.refresh()
        else:
            self._groups.set_active_id(group)

    def refresh(self) -> None:
        """List the entries again."""
        self._stop_loading()
        self._store.clear()
        self._entries = self._matching_entries()
        icon = _placeholder(self)
        for entry in self._entries.values():
            tooltip = GLib.markup_escape_text(entry.detail)
            row = self._store.append([icon, *self._name_and_weight(entry), tooltip, entry.key])
            reference = Gtk.TreeRowReference.new(self._store, self._store.get_path(row))
            self._unloaded.append((reference, entry))
        self._loading_source = GLib.idle_add(self._load_thumbnails, priority=GLib.PRIORITY_LOW)
        self._mark_chosen()

    def _matching_entries(self) -> dict[str, Entry]:
        """Return the entries of the current group, or those of all groups whose names contain the search."""
        text = self._search.get_text().strip().casefold()
        entries = (
            entry
            for group in (self._titles if text else (self.group,))
            for entry in self._callbacks.list_entries(group)
        )
        return {entry.key: entry for entry in entries if text in entry.name.casefold()}

    # ── User actions ─────────────────────────────────────────────────────────────────────────────

    def _selection_changed(self, _grid: Gtk.IconView) -> None:
        entry = self._selected()
        if entry is None:
            self._mark_chosen()
        elif entry.key != self._chosen_key:
            self._callbacks.choose(entry)

    def _item_activated(self, grid: Gtk.IconView, path: Gtk.TreePath) -> None:
        grid.select_path(path)

    def _key_pressed(self, _grid: Gtk.IconView, event: Gdk.EventKey) -> bool:
        """Remove saved settings."""
        entry = self._selected()
        if event.keyval != Gdk.KEY_Delete or entry is None or entry.kind != "own":
            return False
        self._callbacks.remove(entry)
        self._chosen_key = ""
        self.refresh()
        return True

    def _save(self, name: Gtk.Entry) -> None:
        text = name.get_text().strip()
        if text:
            name.set_text("")
            name.get_ancestor(Gtk.Popover).popdown()
            self._callbacks.save(text)

    def _star_toggled(self, star: Gtk.ToggleButton) -> None:
        entry = self._selected()
        if entry and star.get_active() != self._callbacks.is_favourite(entry):
            self._callbacks.set_favourite(entry, star.get_active())
            if self.group == "favourites":
                self.refresh()
            else:
                self._update_names()

    def _open_clicked(self, _button: Gtk.Button) -> None:
        if file := choose_picture(self.get_toplevel()):
            self._callbacks.open_file(file)

    def _accept_files(self) -> None:
        self.drag_dest_set(Gtk.DestDefaults.ALL, [], Gdk.DragAction.COPY)
        self.drag_dest_add_uri_targets()
        self.connect("drag-data-received", self._files_dropped)

    def _files_dropped(self, *arguments: Any) -> None:
        """Open the first local file among the dropped ones. Remote files are not downloaded."""
        files = [Gio.File.new_for_uri(uri) for uri in arguments[4].get_uris()]
        if local := [file for file in files if file.get_path()]:
            self._callbacks.open_file(local[0])

    # ── Display ──────────────────────────────────────────────────────────────────────────────────

    def _row_above(self) -> Gtk.Box:
        row = Gtk.Box(spacing=SPACING_PX)
        button = Gtk.Button(label=_("O_pen File…"), use_underline=True)
        button.set_tooltip_text(_("Open any picture file. You can also drop a file here."))
        button.connect("clicked", self._open_clicked)
        row.pack_start(self._groups, True, True, 0)
        row.pack_start(self._search, False, False, 0)
        row.pack_start(self._star, False, False, 0)
        row.pack_start(_save_button(self._save), False, False, 0)
        row.pack_start(button, False, False, 0)
        return row

    def _name_and_weight(self, entry: Entry) -> tuple[str, Pango.Weight]:
        """Return the displayed name, with a mark for the chosen entry and for favourites, and its weight."""
        is_chosen = entry.key == self._chosen_key
        marks = ("✓ " if is_chosen else "") + ("★ " if self._callbacks.is_favourite(entry) else "")
        return marks + entry.name, Pango.Weight.BOLD if is_chosen else Pango.Weight.NORMAL

    def _update_names(self) -> None:
        for row in self._store:
            row[NAME], row[WEIGHT] = self._name_and_weight(self._entries[row[KEY]])

    def _selected(self) -> Entry | None:
        paths = self._grid.get_selected_items()
        return self._entries[self._store[paths[0]][KEY]] if paths else None

    def _mark_chosen(self) -> None:
        """Select the chosen entry and scroll to it."""
        path = next((row.path for row in self._store if row[KEY] == self._chosen_key), None)
        if path is None:
            self._grid.unselect_all()
        elif not self._grid.path_is_selected(path):
            self._grid.select_path(path)
            self._grid.set_cursor(path, None, False)
        self._update_names()
        self._update_star()
        if not self._scrolling_source:
            self._scrolling_source = GLib.idle_add(self._scroll_to_selected)

    def _scroll_to_selected(self) -> bool:
        """Scroll to the selected entry. Called when idle, after GTK has laid out the entries."""
        self._scrolling_source = 0
        for path in self._grid.get_selected_items():
            self._grid.scroll_to_path(path, False, 0.0, 0.0)
        return False

    def _update_star(self) -> None:
        entry = self._selected()
        self._star.set_sensitive(bool(entry and entry.can_be_favourite))
        self._star.set_active(bool(entry and self._callbacks.is_favourite(entry)))

    def _load_thumbnails(self) -> bool:
        """Load thumbnails for LOADING_SLICE_S, and return whether some are left."""
        end_s = time.monotonic() + LOADING_SLICE_S
        while self._unloaded and time.monotonic() < end_s:
            reference, entry = self._unloaded.popleft()
            entry.load_thumbnail(partial(self._show_thumbnail, reference))
        if not self._unloaded:
            self._loading_source = 0
        return bool(self._unloaded)

    def _show_thumbnail(self, reference: Gtk.TreeRowReference, thumbnail: GdkPixbuf.Pixbuf) -> None:
        if reference.valid():
            self._store[reference.get_path()][THUMBNAIL] = thumbnail

    def _destroyed(self, _self: Gtk.Widget, selection_handler: int) -> None:
        self._grid.disconnect(selection_handler)
        self._stop_loading()
        if self._scrolling_source:
            GLib.source_remove(self._scrolling_source)

    def _stop_loading(self) -> None:
        self._unloaded.clear()
        if self._loading_source:
            GLib.source_remove(self._loading_source)
            self._loading_source = 0


# ── Parts ────────────────────────────────────────────────────────────────────────────────────────


def _group_chooser(titles: Mapping[str, str]) -> Gtk.ComboBoxText:
    combo = Gtk.ComboBoxText(tooltip_text=_("The group of entries to show"))
    for group, title in titles.items():
        combo.append(group, title)
    return combo


def _search_entry() -> Gtk.SearchEntry:
    search = Gtk.SearchEntry(width_chars=SEARCH_CHARACTERS, placeholder_text=_("Search"))
    search.set_tooltip_text(_("Find entries of all groups by a part of their name"))
    search.get_accessible().set_name(_("Search"))
    return search


def _star_button() -> Gtk.ToggleButton:
    star = Gtk.ToggleButton(tooltip_text=_("Add the selected entry to the favourites, or remove it"))
    star.set_image(Gtk.Image.new_from_icon_name("starred-symbolic", Gtk.IconSize.BUTTON))
    star.set_always_show_image(True)
    return star


def _save_button(save: Callable[[Gtk.Entry], None]) -> Gtk.MenuButton:
    """Return a button that asks for a name and calls `save` with the entry that contains it."""
    button = Gtk.MenuButton(tooltip_text=_("Save these settings under a name"))
    button.set_image(Gtk.Image.new_from_icon_name("list-add-symbolic", Gtk.IconSize.BUTTON))
    button.set_always_show_image(True)
    name, confirm = Gtk.Entry(placeholder_text=_("Name of the settings")), Gtk.Button(label=_("Save"))
    box = Gtk.Box(spacing=SPACING_PX, margin=SPACING_PX)
    box.pack_start(name, True, True, 0)
    box.pack_start(confirm, False, False, 0)
    box.show_all()
    name.connect("activate", save)
    confirm.connect("clicked", lambda _button: save(name))
    popover = Gtk.Popover()
    popover.add(box)
    button.set_popover(popover)
    return button


def _grid(store: Gtk.ListStore) -> Gtk.IconView:
    grid = Gtk.IconView(
        model=store,
        tooltip_column=TOOLTIP,
        item_padding=PADDING_PX,
        row_spacing=0,
        column_spacing=0,
        margin=0,
        selection_mode=Gtk.SelectionMode.SINGLE,
    )
    grid.set_item_width(ITEM_PX)
    thumbnail, name = Gtk.CellRendererPixbuf(), Gtk.CellRendererText()
    thumbnail.set_fixed_size(ITEM_PX, THUMBNAIL_PX)
    name.set_property("ellipsize", Pango.EllipsizeMode.END)
    name.set_property("alignment", Pango.Alignment.CENTER)
    name.set_property("xalign", 0.5)
    name.set_property("scale", TEXT_SCALE)
    for cell, columns in ((thumbnail, {"pixbuf": THUMBNAIL}), (name, {"text": NAME, "weight": WEIGHT})):
        grid.pack_start(cell, False)
        for attribute, column in columns.items():
            grid.add_attribute(cell, attribute, column)
    return grid


def _scrolled(grid: Gtk.IconView) -> Gtk.ScrolledWindow:
    scrolled = Gtk.ScrolledWindow(shadow_type=Gtk.ShadowType.IN, overlay_scrolling=False)
    scrolled.set_policy(Gtk.PolicyType.NEVER, Gtk.PolicyType.AUTOMATIC)
    scrolled.set_min_content_height(HEIGHT_PX)
    scrolled.add(grid)
    return scrolled


def _placeholder(widget: Gtk.Widget) -> GdkPixbuf.Pixbuf | None:
    """Return the icon to show until a thumbnail is loaded."""
    theme = Gtk.IconTheme.get_for_screen(widget.get_screen())
    found = theme.choose_icon(ICONS, THUMBNAIL_PX // 2, Gtk.IconLookupFlags.FORCE_SIZE)
    if found is None:
        return None
    icon, _symbolic = found.load_symbolic_for_context(widget.get_style_context())
    return icon
