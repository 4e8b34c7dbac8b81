"""The preview's widget: the picture, the buttons below it, and a status text.

The preview shows the whole selection or a part of it. The wheel enlarges it, and dragging moves it.
Holding a mouse button on the picture shows the original layer. Pictures of earlier settings are kept for a
while, so that returning to them takes no time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from gi.repository import GdkPixbuf, Gimp, GLib, Gtk

from atelier_shared.messages import Picture
from atelier_shared.request import PREVIEW_PX, PaintingRequest
from host.event_loop_client import EventLoopClient
from host.picture_cache import Identity, PictureCache, identity
from host.source_pictures import SourcePicture
from host.suitability import Unsuitable
from host.translation import _

from .excerpt import Excerpt, excerpt_of, size_of_whole
from .picture_area import AreaCallbacks, PictureArea
from .preview_job import PreviewJob
from .rendering import (
    dimmed,
    original_pixbuf,
    part_of,
    result_pixbuf,
    scaled_into,
    split,
)
from .view import WHOLE, View

DELAY_S = 0.12
"""A preview is requested when nothing has changed for this long."""
MAX_STYLE_PX = 2048
"""Longest side of the style pictures of a preview. Up to this size, a run finds them in the cache."""
SPACING_PX = 6
STATUS_CHARACTERS = 30
MOST_KEPT = 8
"""Finished previews that are kept."""

GetLayer: TypeAlias = Callable[[], Gimp.Layer]
GetRequest: TypeAlias = Callable[[], tuple[PaintingRequest, Sequence[SourcePicture]]]


class Subject(NamedTuple):
    """Everything that a preview depends on except the pixels of the layer."""

    request: PaintingRequest
    pictures: tuple[Identity, ...]
    view: View


def selected_part(layer: Gimp.Layer, longest_px: int) -> GdkPixbuf.Pixbuf:
    """Return the selected part of a layer, reduced to `longest_px`; raises like `excerpt_of`."""
    return original_pixbuf(excerpt_of(layer, WHOLE, longest_px))


class PreviewPane(Gtk.Box):  # type: ignore[misc]  # gi has no types
    """The preview of a filter.

    `get_layer` returns the layer to show. `get_request` returns the current request and its style or guide
    pictures. If it raises Unsuitable, the preview shows the original layer; the dialog shows the error.
    """

    def __init__(
        self,
        get_layer: GetLayer,
        pictures: PictureCache,
        client: EventLoopClient,
        get_request: GetRequest,
    ) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=SPACING_PX)
        self._get_layer, self._pictures, self._get_request = get_layer, pictures, get_request
        self._job = PreviewJob(client, self._show_result, self._show_status)
        self._wanted: tuple[Subject, Excerpt] | None = None
        self._kept: dict[tuple[Subject, Excerpt], Picture] = {}
        self._delay = 0
        self._is_first, self._is_paused, self._is_pressed = True, False, False
        self._excerpt: Excerpt | None = None
        self._result: Picture | None = None
        self._result_subject: Subject | None = None
        self._compared: GdkPixbuf.Pixbuf | None = None
        self._whole = (1, 1)
        self._view = WHOLE
        self._line = 0.5
        self.area = PictureArea(
            AreaCallbacks(
                move=self._move,
                zoom=self._zoom,
                split=self._move_line,
                press=self._pressed,
                resize=self._resized,
            )
        )
        self._before = Gtk.ToggleButton(label=_("_Before"), use_underline=True)
        self._split = Gtk.ToggleButton(label=_("Split"))
        self._detail = Gtk.ToggleButton(label=_("Detail _1:1"), use_underline=True)
        self._status = Gtk.Label(xalign=0.0, wrap=True, max_width_chars=STATUS_CHARACTERS)
        self._lay_out()
        self.connect("destroy", self._destroyed)

    def _lay_out(self) -> None:
        self._before.set_tooltip_text(
            _("Show the original layer. Holding a mouse button on the preview does the same.")
        )
        self._before.connect("toggled", self._draw)
        self._split.set_tooltip_text(
            _(
                "Show the original layer, or the result selected below, to the left of a line."
                " Drag the line, or press Left and Right."
            )
        )
        self._split.connect("toggled", self._split_toggled)
        self._detail.set_tooltip_text(
            _(
                "Show a detail at full size. The mouse wheel or + and − enlarge the preview;"
                " dragging or the arrow keys move it."
            )
        )
        self._detail_handler = self._detail.connect("toggled", self._detail_toggled)
        self.pack_start(self.area, True, True, 0)
        row = Gtk.Box(spacing=SPACING_PX, homogeneous=True)
        for button in (self._before, self._split, self._detail):
            row.pack_start(button, True, True, 0)
        self.pack_start(row, False, False, 0)
        self.pack_start(self._status, False, False, 0)
        self.show_all()

    # ── Called by the dialog ─────────────────────────────────────────────────────────────────────

    def refresh_soon(self) -> None:
        """Request a new preview after DELAY_S without further calls, if anything has changed.

        The first one is requested as soon as the window is drawn. A picture of other settings is dimmed at
        once.
        """
        if self._is_paused:
            return
        self._stop_delay()
        if self._is_first:
            self._delay = GLib.idle_add(self._refresh)
        else:
            self._delay = GLib.timeout_add(round(DELAY_S * 1000), self._refresh)
        self._job.show_state()
        self._draw()

    def request_again(self) -> None:
        """Request the same preview again, because what prevented it is gone."""
        self._wanted = None
        self.refresh_soon()

    def pause(self) -> None:
        """Cancel the preview, and request none until `resume`: a run needs the backend."""
        self._is_paused = True
        self._detail.set_sensitive(False)
        self._wanted = None
        self._cancel()
        self._show_status("")

    def resume(self) -> None:
        """Let `refresh_soon` request previews again."""
        self._is_paused = False
        self._detail.set_sensitive(True)

    def show_run_picture(self, picture: Picture) -> None:
        """Show the whole selection with an intermediate picture of a run."""
        if self._view != WHOLE:
            self._set_view(WHOLE)
            self._show_original()
        self._result, self._result_subject = picture, self._subject()
        self._draw()

    def compare_with(self, pixbuf: GdkPixbuf.Pixbuf | None) -> None:
        """Show an earlier result of the whole selection to the left of the line; None: the original."""
        self._compared = pixbuf
        self._split.set_active(pixbuf is not None)
        self._draw()

    # ── Requests ─────────────────────────────────────────────────────────────────────────────────

    def _subject(self) -> Subject | None:
        """Return what the preview is to show now; None if the settings are incomplete."""
        try:
            request, sources = self._get_request()
        except Unsuitable:
            return None
        return Subject(request, tuple(map(identity, sources)), self._view)

    def _refresh(self) -> bool:
        self._delay, self._is_first = 0, False
        subject = self._subject()
        if subject is None:
            self._show_original_only("")
            return False
        try:
            is_large = max(size_of_whole(self._get_layer())) > self.area.side_px
            self._detail.set_sensitive(is_large or self._view.zoom > 1)
            excerpt = excerpt_of(self._get_layer(), self._view, PREVIEW_PX)
            if (subject, excerpt) != self._wanted:
                self._wanted = subject, excerpt
                self._excerpt = self._read_excerpt()
                self._show_kept_or_submit(subject, excerpt)
        except Unsuitable as error:
            self._show_original_only(str(error))
        return False

    def _show_kept_or_submit(self, subject: Subject, excerpt: Excerpt) -> None:
        self._cancel()
        if kept := self._kept.get((subject, excerpt)):
            self._result, self._result_subject = kept, subject
            self._show_status("")
        else:
            self._submit(excerpt)
        self._draw()

    def _submit(self, excerpt: Excerpt) -> None:
        request, sources = self._get_request()
        styles = self._read(sources, request.picture_px) if request.needs_picture else []
        height, width = excerpt.size
        previews = request.previews(width, height, excerpt.part)
        self._job.submit(previews, lambda px: excerpt_of(self._get_layer(), self._view, px), styles)

    def _read(self, sources: Sequence[SourcePicture], longest_px: int) -> list[Picture]:
        """Read the style or guide pictures, and clear the messages that this leaves in GIMP's status bar."""
        try:
            return [self._pictures.for_preview(each, min(MAX_STYLE_PX, longest_px)) for each in sources]
        finally:
            Gimp.progress_end()

    def _cancel(self) -> None:
        self._stop_delay()
        self._job.cancel()

    def _stop_delay(self) -> None:
        if self._delay:
            GLib.source_remove(self._delay)
            self._delay = 0

    def _destroyed(self, _pane: Gtk.Widget) -> None:
        self._is_paused = True
        self._cancel()

    # ── Display ──────────────────────────────────────────────────────────────────────────────────

    def _show_result(self, picture: Picture, is_last: bool) -> None:
        """Show a picture of the wanted preview, and keep it if it is the last one."""
        assert self._wanted is not None, "a cancelled job sent a picture"
        self._result, self._result_subject = picture, self._wanted[0]
        if is_last:
            self._keep(picture)
        self._draw()

    def _keep(self, picture: Picture) -> None:
        assert self._wanted is not None
        self._kept[self._wanted] = picture
        if len(self._kept) > MOST_KEPT:
            del self._kept[next(iter(self._kept))]

    def _show_original(self) -> bool:
        """Show the layer without a result, and return whether there is anything to show."""
        self._result = self._result_subject = None
        try:
            self._excerpt = self._read_excerpt()
        except Unsuitable:
            self._excerpt = None
            self.area.clear()
            return False
        self._draw()
        return True

    def _read_excerpt(self) -> Excerpt:
        self._whole = size_of_whole(self._get_layer())
        return excerpt_of(self._get_layer(), self._view, self.area.side_px)

    def _show_original_only(self, status: str) -> None:
        """Show the layer without a result, because no preview can be requested."""
        self._cancel()
        self._wanted = None
        self._show_original()
        self._show_status(status)

    def _draw(self, *_changed: object) -> None:
        """Draw the result, or the original layer if the user asks for it or there is no result yet.

        A result of other settings than the present ones is dimmed.
        """
        if self._excerpt is None:
            return
        original = original_pixbuf(self._excerpt)
        if self._before.get_active() or self._is_pressed:
            self.area.show_pixbuf(original)
            return
        shown = self._current_pixbuf(self._excerpt) if self._result else original
        if self._split.get_active() and (self._result or self._compared):
            shown = split(self._left_of_line(original), shown, self._line)
        self.area.show_pixbuf(shown)

    def _current_pixbuf(self, excerpt: Excerpt) -> GdkPixbuf.Pixbuf:
        assert self._result
        result = result_pixbuf(excerpt, self._result)
        return result if self._result_subject == self._subject() else dimmed(result)

    def _left_of_line(self, original: GdkPixbuf.Pixbuf) -> GdkPixbuf.Pixbuf:
        """Return the same part of the result to compare with, or the original without one."""
        if self._compared is None:
            return original
        part = part_of(self._compared, self._view.box(self._whole), self._whole)
        return scaled_into(part, original.get_width(), original.get_height())

    def _show_status(self, text: str) -> None:
        self._status.set_text(text)

    # ── User actions ─────────────────────────────────────────────────────────────────────────────

    def _detail_toggled(self, _button: Gtk.ToggleButton) -> None:
        """Show the detail in the middle at one pixel of the screen for each of the layer, or the whole."""
        view = WHOLE
        if self._detail.get_active():
            zoom = max(self._whole) / self.area.side_px
            view = WHOLE.zoomed(max(zoom, 1.0), 0.5, 0.5, self._whole)
        self._change_view(view)

    def _split_toggled(self, _button: Gtk.ToggleButton) -> None:
        self._move_line(self._line)

    def _move_line(self, position: float) -> None:
        self._line = position
        self.area.line = position if self._split.get_active() else None
        self._draw()

    def _pressed(self, is_pressed: bool) -> None:
        self._is_pressed = is_pressed
        self._draw()
        if not is_pressed:
            self.refresh_soon()

    def _move(self, right: float, down: float) -> None:
        """Move the visible part by fractions of it."""
        if self._view.zoom > 1:
            box = self._view.box(self._whole)
            self._change_view(self._view.moved(right * box.width, down * box.height, self._whole))

    def _zoom(self, factor: float, x: float, y: float) -> None:
        self._change_view(self._view.zoomed(factor, x, y, self._whole))

    def _change_view(self, view: View) -> None:
        """Show the original there until its preview is done. During a run, the whole stays in view."""
        if view == self._view or self._is_paused:
            return
        self._set_view(view)
        self._wanted = None
        self._job.cancel()
        self._show_original()
        if not self._is_pressed:
            self.refresh_soon()

    def _set_view(self, view: View) -> None:
        self._view = view
        self._detail.handler_block(self._detail_handler)
        self._detail.set_active(view.zoom > 1)
        self._detail.handler_unblock(self._detail_handler)

    def _resized(self) -> None:
        """Draw the picture at its new size; the same result is scaled to it."""
        result, subject = self._result, self._result_subject
        if self._show_original():
            self._result, self._result_subject = result, subject
            self._draw()
