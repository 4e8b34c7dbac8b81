"""The picture of a preview: it fills its place in the dialog, and reports the mouse and the keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from gi.repository import Gdk, GdkPixbuf, GLib, Gtk

from atelier_shared.request import PREVIEW_PX
from host.translation import _

from .rendering import enlarged

WHEEL_FACTOR = 1.25
KEY_FACTOR = 1.5
KEY_STEP = 0.25
"""How far an arrow key moves the picture, as a fraction of the visible part."""
LINE_REACH_PX = 12
"""Distance from the split line at which the mouse takes hold of it."""
FOCUS_PX = 2
FOCUS_CSS = b"*:focus { box-shadow: inset 0 0 0 2px currentColor; }"
"""Marks the picture while it has the keyboard focus."""
ARROW_DIRECTIONS = {
    Gdk.KEY_Left: (-1, 0),
    Gdk.KEY_Right: (1, 0),
    Gdk.KEY_Up: (0, -1),
    Gdk.KEY_Down: (0, 1),
}
ZOOM_KEYS = {
    Gdk.KEY_plus: KEY_FACTOR,
    Gdk.KEY_KP_Add: KEY_FACTOR,
    Gdk.KEY_minus: 1 / KEY_FACTOR,
    Gdk.KEY_KP_Subtract: 1 / KEY_FACTOR,
}


class AreaCallbacks(NamedTuple):
    """Actions that the picture delegates to its owner; all positions are fractions of the picture's sides.

    `move` shifts the visible part right and down, `zoom` enlarges it around a point, and `split` moves the
    split line. `press` is called with True when a mouse button goes down, with False when it goes up.
    `resize` is called when the picture has room for another size.
    """

    move: Callable[[float, float], None]
    zoom: Callable[[float, float, float], None]
    split: Callable[[float], None]
    press: Callable[[bool], None]
    resize: Callable[[], None]


class PictureArea(Gtk.ScrolledWindow):  # type: ignore[misc]  # gi has no types
    """A focusable picture, as large as there is room for it. `line` is the place of the split line."""

    def __init__(self, callbacks: AreaCallbacks) -> None:
        super().__init__(hscrollbar_policy=Gtk.PolicyType.EXTERNAL, vscrollbar_policy=Gtk.PolicyType.EXTERNAL)
        self.line: float | None = None
        self._callbacks = callbacks
        self._image = Gtk.Image()
        self._held: tuple[float, float] | None = None
        self._holds_line = False
        self._resize_source = 0
        self._side_px = PREVIEW_PX
        self.set_size_request(PREVIEW_PX + 2 * FOCUS_PX, PREVIEW_PX + 2 * FOCUS_PX)
        self.add(self._box())
        self.connect("size-allocate", self._allocated)
        self.connect("destroy", self._destroyed)

    def _box(self) -> Gtk.EventBox:
        box = Gtk.EventBox(can_focus=True)
        box.add(self._image)
        style = Gtk.CssProvider()
        style.load_from_data(FOCUS_CSS)
        box.get_style_context().add_provider(style, Gtk.STYLE_PROVIDER_PRIORITY_APPLICATION)
        masks = Gdk.EventMask
        box.add_events(
            masks.BUTTON_PRESS_MASK
            | masks.BUTTON_RELEASE_MASK
            | masks.BUTTON1_MOTION_MASK
            | masks.SCROLL_MASK
            | masks.SMOOTH_SCROLL_MASK
        )
        box.connect("button-press-event", self._button_pressed)
        box.connect("button-release-event", self._button_released)
        box.connect("motion-notify-event", self._dragged)
        box.connect("scroll-event", self._scrolled)
        box.connect("key-press-event", self._key_pressed)
        box.get_accessible().set_name(_("Preview"))
        self.box = box
        return box

    @property
    def side_px(self) -> int:
        """The longest side of the picture, in pixels."""
        return self._side_px

    @property
    def pixbuf(self) -> GdkPixbuf.Pixbuf | None:
        """The displayed pixbuf."""
        return self._image.get_pixbuf()

    def show_pixbuf(self, pixbuf: GdkPixbuf.Pixbuf) -> None:
        """Show a pixbuf, scaled to the picture's longest side."""
        self._image.set_from_pixbuf(enlarged(pixbuf, self._side_px))

    def clear(self) -> None:
        """Show nothing."""
        self._image.clear()

    # ── Size ─────────────────────────────────────────────────────────────────────────────────────

    def _allocated(self, _area: Gtk.Widget, allocation: Gdk.Rectangle) -> None:
        side_px = max(PREVIEW_PX, min(allocation.width, allocation.height) - 2 * FOCUS_PX)
        if side_px != self._side_px:
            self._side_px = side_px
            if not self._resize_source:  # the size of a widget must not change during an allocation
                self._resize_source = GLib.idle_add(self._resized)

    def _resized(self) -> bool:
        self._resize_source = 0
        self._callbacks.resize()
        return False

    def _destroyed(self, _area: Gtk.Widget) -> None:
        if self._resize_source:
            GLib.source_remove(self._resize_source)

    # ── Mouse and keys ───────────────────────────────────────────────────────────────────────────

    def _fractions(self, x: float, y: float) -> tuple[float, float]:
        """Return a position in the box as fractions of the displayed pixbuf, which is centred."""
        if self.pixbuf is None:
            return 0.5, 0.5
        sizes = (self.pixbuf.get_width(), self.pixbuf.get_height())
        spaces = (self.box.get_allocated_width(), self.box.get_allocated_height())
        across, down = (
            min(1.0, max(0.0, (at - (space - size) / 2) / size))
            for at, size, space in zip((x, y), sizes, spaces, strict=True)
        )
        return across, down

    def _is_on_line(self, x: float, y: float) -> bool:
        if self.line is None or self.pixbuf is None:
            return False
        across, _down = self._fractions(x, y)
        return bool(abs(across - self.line) * self.pixbuf.get_width() <= LINE_REACH_PX)

    def _button_pressed(self, box: Gtk.EventBox, event: Gdk.EventButton) -> bool:
        box.grab_focus()
        self._held = (event.x, event.y)
        self._holds_line = self._is_on_line(event.x, event.y)
        if not self._holds_line:
            self._callbacks.press(True)
        return True

    def _button_released(self, _box: Gtk.EventBox, _event: Gdk.EventButton) -> bool:
        self._held = None
        self._holds_line = False
        self._callbacks.press(False)
        return True

    def _dragged(self, _box: Gtk.EventBox, event: Gdk.EventMotion) -> bool:
        if self._holds_line:
            self._callbacks.split(self._fractions(event.x, event.y)[0])
        elif self._held is not None and self.pixbuf is not None:
            x, y = self._held
            self._held = (event.x, event.y)
            width, height = self.pixbuf.get_width(), self.pixbuf.get_height()
            self._callbacks.move((x - event.x) / width, (y - event.y) / height)
        return True

    def _scrolled(self, _box: Gtk.EventBox, event: Gdk.EventScroll) -> bool:
        steps = {Gdk.ScrollDirection.UP: -1.0, Gdk.ScrollDirection.DOWN: 1.0}.get(event.direction, 0.0)
        if event.direction == Gdk.ScrollDirection.SMOOTH:
            _found, _right, steps = event.get_scroll_deltas()
        if steps:
            self._callbacks.zoom(WHEEL_FACTOR**-steps, *self._fractions(event.x, event.y))
        return True

    def _key_pressed(self, _box: Gtk.EventBox, event: Gdk.EventKey) -> bool:
        if event.keyval in ZOOM_KEYS:
            self._callbacks.zoom(ZOOM_KEYS[event.keyval], 0.5, 0.5)
        elif event.keyval in ARROW_DIRECTIONS:
            right, down = ARROW_DIRECTIONS[event.keyval]
            if self.line is not None and not down:
                self._callbacks.split(min(1.0, max(0.0, self.line + right * KEY_STEP / 4)))
            else:
                self._callbacks.move(KEY_STEP * right, KEY_STEP * down)
        else:
            return False
        return True
