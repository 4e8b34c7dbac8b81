"""A gallery: small pictures with their names, in groups, of which one is chosen.

Knows entries by their keys, names and pictures; nothing of what choosing one does.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from gi.repository import Gdk, GdkPixbuf, Gio, GLib, Gtk, Pango

from host.translation import _

from .entries import THUMBNAIL_PX, Entry

SPACING_PX = 6
HEIGHT_PX = 214
"""Two rows."""
ITEM_PX = 104
PADDING_PX = 3
TEXT_SCALE = 0.9
STEP_S = 0.02
"""How long small pictures are fetched at a time, before whatever else there is to do."""
ICONS = ("image-x-generic-symbolic", "image-x-generic", "image-missing")
PICTURE, NAME, WEIGHT, TOOLTIP, KEY = range(5)


class Doings(NamedTuple):
    """What a gallery asks of those who know what its entries are."""

    entries: Callable[[str], Sequence[Entry]]
    choose: Callable[[Entry], None]
    open: Callable[[Gio.File], None]
    is_favourite: Callable[[Entry], bool]
    set_favourite: Callable[[Entry, bool], None]


class GalleryView(Gtk.Box):  # type: ignore[misc]  # gi has no types
    """Groups of entries in a combo box, one of them below it, a star, and a button for any other file."""

    def __init__(self, titles: Mapping[str, str], doings: Doings) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=SPACING_PX)
        self._doings, self._key = doings, ""
        self._entries: dict[str, Entry] = {}
        self._waiting: deque[tuple[Gtk.TreeRowReference, Entry]] = deque()
        self._loading = self._scrolling = 0
        self._store = Gtk.ListStore(GdkPixbuf.Pixbuf, str, int, str, str)
        self._groups, self._star = _group_chooser(titles), _star_button()
        self._grid = _grid(self._store)
        self.pack_start(self._row_above(), False, False, 0)
        self.pack_start(_scrolled(self._grid), True, True, 0)
        self._groups.connect("changed", lambda _combo: self.refresh())
        self._star.connect("toggled", self._take_star)
        selecting = self._grid.connect("selection-changed", self._take_selection)
        self._grid.connect("item-activated", self._take_activated)
        self.connect("destroy", self._end, selecting)
        self._accept_files()

    @property
    def group(self) -> str:
        """The group that is shown."""
        return str(self._groups.get_active_id() or "")

    def show_chosen(self, entry: Entry | None, group: str) -> None:
        """Mark what is chosen now; where the group in sight has it not, show its own `group`."""
        key = entry.key if entry else ""
        if key == self._key and self.group:
            return
        self._key = key
        if not self.group or (entry and entry.key not in self._entries):
            if group == self.group:
                self.refresh()
            else:
                self._groups.set_active_id(group)
        self._mark()

    def refresh(self) -> None:
        """Fill the gallery anew with what is in its group now."""
        self._stop_loading()
        self._store.clear()
        self._entries = {entry.key: entry for entry in self._doings.entries(self.group)}
        icon = _icon(self)
        for entry in self._entries.values():
            tooltip = GLib.markup_escape_text(entry.detail)
            row = self._store.append([icon, *self._words(entry), tooltip, entry.key])
            place = Gtk.TreeRowReference.new(self._store, self._store.get_path(row))
            self._waiting.append((place, entry))
        self._loading = GLib.idle_add(self._load_some, priority=GLib.PRIORITY_LOW)
        self._mark()

    # ── What a person does ───────────────────────────────────────────────────────────────────────

    def _take_selection(self, _grid: Gtk.IconView) -> None:
        entry = self._selected()
        if entry is None:
            self._mark()
        elif entry.key != self._key:
            self._doings.choose(entry)

    def _take_activated(self, grid: Gtk.IconView, path: Gtk.TreePath) -> None:
        grid.select_path(path)

    def _take_star(self, star: Gtk.ToggleButton) -> None:
        entry = self._selected()
        if entry and star.get_active() != self._doings.is_favourite(entry):
            self._doings.set_favourite(entry, star.get_active())
            if self.group == "favourites":
                self.refresh()
            else:
                self._show_words()

    def _open(self, _button: Gtk.Button) -> None:
        chooser = Gtk.FileChooserDialog(
            title=_("Open a Picture"),
            transient_for=self.get_toplevel(),
            modal=True,
            action=Gtk.FileChooserAction.OPEN,
        )
        chooser.add_buttons(_("_Cancel"), Gtk.ResponseType.CANCEL, _("_Open"), Gtk.ResponseType.OK)
        chooser.set_default_response(Gtk.ResponseType.OK)
        agreed, file = chooser.run() == Gtk.ResponseType.OK, chooser.get_file()
        chooser.destroy()
        if agreed and file:
            self._doings.open(file)

    def _accept_files(self) -> None:
        self.drag_dest_set(Gtk.DestDefaults.ALL, [], Gdk.DragAction.COPY)
        self.drag_dest_add_uri_targets()
        self.connect("drag-data-received", self._take_dropped)

    def _take_dropped(self, *arguments: Any) -> None:
        """The first file of this computer among what was dropped; nothing is fetched from elsewhere."""
        files = [Gio.File.new_for_uri(uri) for uri in arguments[4].get_uris()]
        if local := [file for file in files if file.get_path()]:
            self._doings.open(local[0])

    # ── What is shown ────────────────────────────────────────────────────────────────────────────

    def _row_above(self) -> Gtk.Box:
        row = Gtk.Box(spacing=SPACING_PX)
        button = Gtk.Button(label=_("O_pen File…"), use_underline=True)
        button.set_tooltip_text(_("Any picture file; one can also be dropped here"))
        button.connect("clicked", self._open)
        row.pack_start(self._groups, True, True, 0)
        row.pack_start(self._star, False, False, 0)
        row.pack_start(button, False, False, 0)
        return row

    def _words(self, entry: Entry) -> tuple[str, Pango.Weight]:
        """The name as it is shown: marked where the entry is the chosen one, or a favourite."""
        is_chosen = entry.key == self._key
        marks = ("✓ " if is_chosen else "") + ("★ " if self._doings.is_favourite(entry) else "")
        return marks + entry.name, Pango.Weight.BOLD if is_chosen else Pango.Weight.NORMAL

    def _show_words(self) -> None:
        for row in self._store:
            row[NAME], row[WEIGHT] = self._words(self._entries[row[KEY]])

    def _selected(self) -> Entry | None:
        paths = self._grid.get_selected_items()
        return self._entries[self._store[paths[0]][KEY]] if paths else None

    def _mark(self) -> None:
        """Select what is chosen, and have it moved into sight."""
        path = next((row.path for row in self._store if row[KEY] == self._key), None)
        if path is None:
            self._grid.unselect_all()
        elif not self._grid.path_is_selected(path):
            self._grid.select_path(path)
            self._grid.set_cursor(path, None, False)
        self._show_words()
        self._show_star()
        if not self._scrolling:
            self._scrolling = GLib.idle_add(self._scroll)

    def _scroll(self) -> bool:
        """Move what is chosen into sight, once everything has its place."""
        self._scrolling = 0
        for path in self._grid.get_selected_items():
            self._grid.scroll_to_path(path, False, 0.0, 0.0)
        return False

    def _show_star(self) -> None:
        entry = self._selected()
        self._star.set_sensitive(bool(entry and entry.lasts))
        self._star.set_active(bool(entry and self._doings.is_favourite(entry)))

    def _load_some(self) -> bool:
        """Fetch small pictures for a moment; whether some are left."""
        end_s = time.monotonic() + STEP_S
        while self._waiting and time.monotonic() < end_s:
            place, entry = self._waiting.popleft()
            entry.load(partial(self._show_picture, place))
        if not self._waiting:
            self._loading = 0
        return bool(self._waiting)

    def _show_picture(self, place: Gtk.TreeRowReference, picture: GdkPixbuf.Pixbuf) -> None:
        if place.valid():
            self._store[place.get_path()][PICTURE] = picture

    def _end(self, _self: Gtk.Widget, selecting: int) -> None:
        self._grid.disconnect(selecting)
        self._stop_loading()
        if self._scrolling:
            GLib.source_remove(self._scrolling)

    def _stop_loading(self) -> None:
        self._waiting.clear()
        if self._loading:
            GLib.source_remove(self._loading)
            self._loading = 0


# ── Parts ────────────────────────────────────────────────────────────────────────────────────────


def _group_chooser(titles: Mapping[str, str]) -> Gtk.ComboBoxText:
    combo = Gtk.ComboBoxText(tooltip_text=_("Where to choose from"))
    for group, title in titles.items():
        combo.append(group, title)
    return combo


def _star_button() -> Gtk.ToggleButton:
    star = Gtk.ToggleButton(tooltip_text=_("Keep among the favourites"))
    star.set_image(Gtk.Image.new_from_icon_name("starred-symbolic", Gtk.IconSize.BUTTON))
    star.set_always_show_image(True)
    return star


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
    picture, name = Gtk.CellRendererPixbuf(), Gtk.CellRendererText()
    picture.set_fixed_size(ITEM_PX, THUMBNAIL_PX)
    name.set_property("ellipsize", Pango.EllipsizeMode.END)
    name.set_property("alignment", Pango.Alignment.CENTER)
    name.set_property("xalign", 0.5)
    name.set_property("scale", TEXT_SCALE)
    for cell, columns in ((picture, {"pixbuf": PICTURE}), (name, {"text": NAME, "weight": WEIGHT})):
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


def _icon(widget: Gtk.Widget) -> GdkPixbuf.Pixbuf | None:
    """What stands for a picture that is not there, or not yet."""
    theme = Gtk.IconTheme.get_for_screen(widget.get_screen())
    found = theme.choose_icon(ICONS, THUMBNAIL_PX // 2, Gtk.IconLookupFlags.FORCE_SIZE)
    if found is None:
        return None
    picture, _symbolic = found.load_symbolic_for_context(widget.get_style_context())
    return picture
