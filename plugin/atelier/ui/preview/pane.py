"""The preview's widget: the picture, the buttons below it, and a status text.

The preview shows the whole selection, reduced, or a detail at full size. The user drags the detail, or
moves it with the arrow keys. Holding a mouse button on the picture shows the original layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from gi.repository import Gdk, Gimp, GLib, Gtk

from atelier_shared.messages import Picture
from atelier_shared.request import PREVIEW_PX, PaintingRequest
from host.event_loop_client import EventLoopClient
from host.picture_cache import PictureCache, identity
from host.source_pictures import SourcePicture
from host.suitability import Unsuitable
from host.translation import _

from .excerpt import Centre, Excerpt, excerpt_of, fits_at_full_size, moved_centre
from .preview_job import PreviewJob
from .rendering import original_pixbuf, result_pixbuf

DELAY_S = 0.2
"""A preview is requested when nothing has changed for this long."""
MAX_STYLE_PX = 2048
"""Longest side of the style pictures of a preview. Up to this size, a run finds them in the cache."""
SPACING_PX = 6
STATUS_CHARACTERS = 30
KEY_STEP = 0.25
"""How far an arrow key moves a detail, as a fraction of the preview's side."""
ARROW_DIRECTIONS = {
    Gdk.KEY_Left: (-1, 0),
    Gdk.KEY_Right: (1, 0),
    Gdk.KEY_Up: (0, -1),
    Gdk.KEY_Down: (0, 1),
}
FOCUS_PX = 2
FOCUS_CSS = b"*:focus { box-shadow: inset 0 0 0 2px currentColor; }"
"""Marks the picture while it has the keyboard focus."""

GetRequest: TypeAlias = Callable[[], tuple[PaintingRequest, Sequence[SourcePicture]]]


class PreviewPane(Gtk.Box):  # type: ignore[misc]  # gi has no types
    """The preview of a filter.

    `get_request` returns the current request and its style or guide pictures. If it raises Unsuitable,
    the preview shows the original layer; the dialog shows the error.
    """

    def __init__(
        self, layer: Gimp.Layer, pictures: PictureCache, client: EventLoopClient, get_request: GetRequest
    ) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=SPACING_PX)
        self._layer, self._pictures, self._get_request = layer, pictures, get_request
        self._job = PreviewJob(client, self._show_result, self._show_status)
        self._requested: object = None
        self._delay = 0
        self._is_paused = False
        self._excerpt: Excerpt | None = None
        self._result: Picture | None = None
        self._centre: Centre = (0.5, 0.5)
        self._drag: tuple[float, float] | None = None
        self._image = Gtk.Image()
        self._before = Gtk.ToggleButton(label=_("_Before"), use_underline=True)
        self._detail = Gtk.ToggleButton(label=_("Detail _1:1"), use_underline=True)
        self._status = Gtk.Label(xalign=0.0, wrap=True, max_width_chars=STATUS_CHARACTERS)
        self._lay_out()
        self.connect("destroy", self._destroyed)

    def _lay_out(self) -> None:
        self._before.set_tooltip_text(
            _("Show the original layer. Holding a mouse button on the preview does the same.")
        )
        self._before.connect("toggled", self._draw)
        self._detail.set_tooltip_text(
            _("Show a detail at full size. Drag the preview or press the arrow keys to move the detail.")
        )
        self._detail.connect("toggled", self._detail_toggled)
        self.pack_start(self._picture_box(), False, False, 0)
        row = Gtk.Box(spacing=SPACING_PX, homogeneous=True)
        for button in (self._before, self._detail):
            row.pack_start(button, True, True, 0)
        self.pack_start(row, False, False, 0)
        self.pack_start(self._status, False, False, 0)
        self.show_all()

    def _picture_box(self) -> Gtk.EventBox:
        """Make the focusable box around the picture. Its size does not depend on the picture's."""
        box = Gtk.EventBox(can_focus=True)
        box.set_size_request(PREVIEW_PX + 2 * FOCUS_PX, PREVIEW_PX + 2 * FOCUS_PX)
        box.add(self._image)
        style = Gtk.CssProvider()
        style.load_from_data(FOCUS_CSS)
        box.get_style_context().add_provider(style, Gtk.STYLE_PROVIDER_PRIORITY_APPLICATION)
        events = Gdk.EventMask
        box.add_events(events.BUTTON_PRESS_MASK | events.BUTTON_RELEASE_MASK | events.BUTTON1_MOTION_MASK)
        box.connect("button-press-event", self._button_pressed)
        box.connect("button-release-event", self._button_released)
        box.connect("motion-notify-event", self._dragged)
        box.connect("key-press-event", self._key_pressed)
        box.get_accessible().set_name(_("Preview"))
        return box

    # ── Called by the dialog ─────────────────────────────────────────────────────────────────────

    def refresh_soon(self) -> None:
        """Request a new preview after DELAY_S without further calls, if the request has changed."""
        if self._is_paused:
            return
        self._stop_delay()
        self._delay = GLib.timeout_add(round(DELAY_S * 1000), self._refresh)
        self._job.show_state()

    def pause(self) -> None:
        """Cancel the preview, and request none until `resume`: a run needs the backend."""
        self._is_paused = True
        self._requested = None
        self._cancel()
        self._show_status("")

    def resume(self) -> None:
        """Let `refresh_soon` request previews again."""
        self._is_paused = False

    def show_run_picture(self, picture: Picture) -> None:
        """Show the whole selection with an intermediate picture of a run."""
        if self._show_original(None):
            self._result = picture
            self._draw()

    # ── Requests ─────────────────────────────────────────────────────────────────────────────────

    def _refresh(self) -> bool:
        self._delay = 0
        try:
            request, sources = self._get_request()
        except Unsuitable:
            self._show_original_only("")
            return False
        try:
            is_small = fits_at_full_size(self._layer)
            self._detail.set_sensitive(not is_small)
            centre = self._centre if self._detail.get_active() and not is_small else None
            requested = (request, tuple(map(identity, sources)), centre)
            if requested != self._requested:
                self._requested = requested
                self._submit(request, sources, centre)
        except Unsuitable as error:
            self._show_original_only(str(error))
        return False

    def _submit(
        self, request: PaintingRequest, sources: Sequence[SourcePicture], centre: Centre | None
    ) -> None:
        self._cancel()
        styles = self._read(sources, request.picture_px) if request.needs_picture else []
        self._excerpt = excerpt_of(self._layer, centre)
        if self._result is None:
            self._draw()
        self._job.submit(request, self._excerpt, styles)

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

    def _show_result(self, excerpt: Excerpt, picture: Picture) -> None:
        self._excerpt, self._result = excerpt, picture
        self._draw()

    def _show_original(self, centre: Centre | None) -> bool:
        """Show the layer without a result, and return whether there is anything to show."""
        try:
            self._excerpt, self._result = excerpt_of(self._layer, centre), None
        except Unsuitable:
            self._image.clear()
            return False
        self._draw()
        return True

    def _show_original_only(self, status: str) -> None:
        """Show the layer without a result, because no preview can be requested."""
        self._cancel()
        self._requested = None
        self._show_original(None)
        self._show_status(status)

    def _draw(self, *_changed: object) -> None:
        """Draw the result, or the original layer if the user asks for it or there is no result yet."""
        if self._excerpt is None:
            return
        wants_original = self._before.get_active() or self._drag is not None
        if self._result is None or wants_original:
            self._image.set_from_pixbuf(original_pixbuf(self._excerpt))
        else:
            self._image.set_from_pixbuf(result_pixbuf(self._excerpt, self._result))

    def _show_status(self, text: str) -> None:
        self._status.set_text(text)

    # ── User actions ─────────────────────────────────────────────────────────────────────────────

    def _detail_toggled(self, _button: Gtk.ToggleButton) -> None:
        self._show_original(self._centre if self._detail.get_active() else None)
        self.refresh_soon()

    def _button_pressed(self, box: Gtk.EventBox, event: Gdk.EventButton) -> bool:
        box.grab_focus()
        self._drag = (event.x, event.y)
        self._draw()
        return True

    def _button_released(self, _box: Gtk.EventBox, _event: Gdk.EventButton) -> bool:
        self._drag = None
        self._draw()
        self.refresh_soon()
        return True

    def _dragged(self, _box: Gtk.EventBox, event: Gdk.EventMotion) -> bool:
        if self._drag is not None:
            x, y = self._drag
            self._drag = (event.x, event.y)
            self._move_detail(x - event.x, y - event.y)
        return True

    def _key_pressed(self, _box: Gtk.EventBox, event: Gdk.EventKey) -> bool:
        if not (self._detail.get_active() and event.keyval in ARROW_DIRECTIONS):
            return False
        right, down = ARROW_DIRECTIONS[event.keyval]
        self._move_detail(KEY_STEP * right * PREVIEW_PX, KEY_STEP * down * PREVIEW_PX)
        self.refresh_soon()
        return True

    def _move_detail(self, right_px: float, down_px: float) -> None:
        if self._detail.get_active() and not self._is_paused:
            self._centre = moved_centre(self._layer, self._centre, right_px, down_px)
            self._show_original(self._centre)
