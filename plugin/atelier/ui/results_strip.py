"""The strip below the preview: small pictures of this session's results, to compare and to restore."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gi.repository import GdkPixbuf, GLib, Gtk

from host.session_results import SessionResult
from host.translation import _

from .preview.rendering import pixbuf_of, scaled_into

THUMBNAIL_PX = 48
PADDING_PX = 3
SPACING_PX = 6
THUMBNAIL, TOOLTIP = range(2)
"""The columns of the list store."""


class ResultsStrip(Gtk.Box):  # type: ignore[misc]  # gi has no types
    """The results, the newest on the left, and a button to restore the settings of the selected one.

    `compare` is called with the selected result's pixbuf, or None if none is selected; `restore` is called
    with a result to bring its settings back.
    """

    def __init__(
        self,
        results: Sequence[SessionResult],
        compare: Callable[[GdkPixbuf.Pixbuf | None], None],
        restore: Callable[[SessionResult], None],
    ) -> None:
        super().__init__(spacing=SPACING_PX)
        self._results, self._compare, self._restore = results, compare, restore
        self._row = _row_of_pictures(results)
        self._button = Gtk.Button.new_from_icon_name("document-revert-symbolic", Gtk.IconSize.BUTTON)
        self._button.set_tooltip_text(_("Bring back the settings of the selected result"))
        self._button.set_valign(Gtk.Align.CENTER)
        self._button.set_sensitive(False)
        scrolled = Gtk.ScrolledWindow(shadow_type=Gtk.ShadowType.IN)
        scrolled.set_policy(Gtk.PolicyType.AUTOMATIC, Gtk.PolicyType.NEVER)
        scrolled.add(self._row)
        self.pack_start(scrolled, True, True, 0)
        self.pack_start(self._button, False, False, 0)
        self._row.connect("selection-changed", self._selection_changed)
        self._row.connect("item-activated", self._activated)
        self._button.connect("clicked", self._restore_clicked)
        self.show_all()
        self.set_visible(bool(results))
        self.set_no_show_all(True)

    def _selection_changed(self, row: Gtk.IconView) -> None:
        selected = row.get_selected_items()
        self._button.set_sensitive(bool(selected))
        self._compare(pixbuf_of(self._results[_index(selected[0])].picture) if selected else None)

    def _restore_clicked(self, _button: Gtk.Button) -> None:
        (selected,) = self._row.get_selected_items()
        self._restore(self._results[_index(selected)])

    def _activated(self, _row: Gtk.IconView, path: Gtk.TreePath) -> None:
        self._restore(self._results[_index(path)])


def _index(path: Gtk.TreePath) -> int:
    return int(path.get_indices()[0])


def _row_of_pictures(results: Sequence[SessionResult]) -> Gtk.IconView:
    store = Gtk.ListStore(GdkPixbuf.Pixbuf, str)
    hint = _("Click to compare it with the preview; double-click to bring back its settings")
    for result in results:
        thumbnail = scaled_into(pixbuf_of(result.picture), THUMBNAIL_PX, THUMBNAIL_PX)
        store.append([thumbnail, GLib.markup_escape_text(f"{result.name}\n{hint}")])
    row = Gtk.IconView(
        model=store,
        pixbuf_column=THUMBNAIL,
        tooltip_column=TOOLTIP,
        columns=max(1, len(results)),
        selection_mode=Gtk.SelectionMode.SINGLE,
        item_padding=PADDING_PX,
        item_width=THUMBNAIL_PX,
        row_spacing=0,
        column_spacing=0,
        margin=0,
    )
    row.get_accessible().set_name(_("Results of this session"))
    return row
