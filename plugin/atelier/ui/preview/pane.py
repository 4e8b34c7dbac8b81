"""The preview: the layer as a run would make it, small or a detail of it, soon after every change.

While a button is held, on the picture or the one below it, the layer is seen as it is. At full size the
picture can be dragged, or moved with the arrow keys. Knows how a job is heard of, and what is seen
meanwhile; where pixels come from is said in `preview_scene`, what is asked for in `preview_request`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gi.repository import Gdk, Gimp, GLib, Gtk

from atelier_shared.deepdream import DeepDream
from atelier_shared.errors import AtelierError, JobCancelled
from atelier_shared.messages import Picture, Progress, Queued, Result
from atelier_shared.style_transfer import StyleTransfer
from host.event_loop_client import EventLoopClient
from host.picture_cache import GivenPictures, identity
from host.suitability import Unsuitable
from host.translation import _, translated

from .rendering import Scene, after, before, is_small, moved, scene
from .request import DELAY_S, SIDE_PX, light

SPACING_PX = 6
TIME_OUT_S = 30
MOST_STYLE_PX = 2048
"""Longest side at which a style is sent: up to that, a run finds it read already."""
KEY_STEP = 0.25
ARROWS = {
    Gdk.KEY_Left: (-KEY_STEP, 0.0),
    Gdk.KEY_Right: (KEY_STEP, 0.0),
    Gdk.KEY_Up: (0.0, -KEY_STEP),
    Gdk.KEY_Down: (0.0, KEY_STEP),
}
"""How far an arrow moves a detail, in parts of a preview's side."""
FEW_CHARACTERS = 30
FOCUS_PX = 2
FOCUS = b"*:focus { box-shadow: inset 0 0 0 2px currentColor; }"
"""How one sees that the arrow keys move the picture."""

Wanted = Callable[[], tuple[StyleTransfer | DeepDream, Sequence[Any]]]


class PreviewPane(Gtk.Box):  # type: ignore[misc]  # gi has no types
    """A picture, what can be done with it, and a line that says what is being done.

    `wanted` returns the request as it stands, and the pictures given to it, or raises Unsuitable where
    something is missing, of which nothing is said here.
    """

    def __init__(
        self, layer: Gimp.Layer, given: GivenPictures, link: EventLoopClient, wanted: Wanted
    ) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=SPACING_PX)
        self._layer, self._given, self._link, self._wanted = layer, given, link, wanted
        self._job: int | None = None
        self._asked: object = None
        self._scene: Scene | None = None
        self._picture: Picture | None = None
        self._centre = (0.5, 0.5)
        self._drag: tuple[float, float] | None = None
        self._delay = self._time_out = 0
        self._paused = False
        self._image = Gtk.Image()
        self._before, self._detail = _toggle(_("_Before")), _toggle(_("Detail _1:1"))
        self._line = Gtk.Label(xalign=0.0, wrap=True, max_width_chars=FEW_CHARACTERS)
        self._lay_out()
        self.connect("destroy", self._destroyed)

    def _lay_out(self) -> None:
        self._before.set_tooltip_text(_("Shows the layer as it is; so does the mouse held on the picture"))
        self._before.connect("toggled", self._show)
        self._detail.set_tooltip_text(
            _("Shows a part at its own size, as it will be; drag it, or move it with the arrow keys")
        )
        self._detail.connect("toggled", self._zoomed)
        self.pack_start(self._frame(), False, False, 0)
        row = Gtk.Box(spacing=SPACING_PX, homogeneous=True)
        for button in (self._before, self._detail):
            row.pack_start(button, True, True, 0)
        self.pack_start(row, False, False, 0)
        self.pack_start(self._line, False, False, 0)
        self.show_all()

    def _frame(self) -> Gtk.EventBox:
        """The picture's place, of the same size whatever is in it."""
        box = Gtk.EventBox(can_focus=True)
        box.set_size_request(SIDE_PX + 2 * FOCUS_PX, SIDE_PX + 2 * FOCUS_PX)
        box.add(self._image)
        style = Gtk.CssProvider()
        style.load_from_data(FOCUS)
        box.get_style_context().add_provider(style, Gtk.STYLE_PROVIDER_PRIORITY_APPLICATION)
        events = Gdk.EventMask
        box.add_events(events.BUTTON_PRESS_MASK | events.BUTTON_RELEASE_MASK | events.BUTTON1_MOTION_MASK)
        box.connect("button-press-event", self._pressed)
        box.connect("button-release-event", self._released)
        box.connect("motion-notify-event", self._dragged)
        box.connect("key-press-event", self._key_pressed)
        box.get_accessible().set_name(_("Preview"))
        return box

    # ── What the dialog says ─────────────────────────────────────────────────────────────────────

    def refresh_soon(self) -> None:
        """Something may have changed: ask for a new picture, if it has and once that stays so for a while."""
        if self._paused:
            return
        self._forget(self._delay)
        self._delay = GLib.timeout_add(round(DELAY_S * 1000), self._refresh)
        self._say_of_link()

    def pause(self) -> None:
        """Ask for nothing until `resume`: a run has the backend."""
        self._paused = True
        self._asked = None
        self._drop()
        self._line.set_text("")

    def resume(self) -> None:
        """Ask again, once `refresh_soon` is called."""
        self._paused = False

    def show(self, picture: Picture) -> None:
        """Show a picture of all that is selected, as far as a run has come."""
        if self._look(None):
            self._picture = picture
            self._show()

    # ── A preview ────────────────────────────────────────────────────────────────────────────────

    def _refresh(self) -> bool:
        self._delay = 0
        try:
            request, given = self._wanted()
        except Unsuitable:
            self._have_nothing("")
            return False
        try:
            small = is_small(self._layer)
            self._detail.set_sensitive(not small)
            centre = self._centre if self._detail.get_active() and not small else None
            asked = (request, tuple(map(identity, given)), centre)
            if asked != self._asked:
                self._asked = asked
                self._ask(request, given, centre)
        except Unsuitable as error:
            self._have_nothing(str(error))
        return False

    def _have_nothing(self, why: str) -> None:
        """Show the layer as it is."""
        self._drop()
        self._asked = None
        self._look(None)
        self._say(why)

    def _ask(
        self,
        request: StyleTransfer | DeepDream,
        given: Sequence[Any],
        centre: tuple[float, float] | None,
    ) -> None:
        """Have the backend make the newest preview, and no older one any more."""
        self._drop()
        styles = self._read(given, request.picture_px) if request.needs_style else []
        self._scene = seen = scene(self._layer, centre)
        small = light(request, seen.content.width, seen.content.height, seen.part)
        if self._picture is None:
            self._show()
        self._job = job = self._link.submit(
            small, seen.content, seen.region, styles, lambda message: self._heard(job, seen, message)
        )
        self._start_clock()
        self._say_of_link()

    def _heard(self, job: int, seen: Scene, message: Queued | Progress | Result | AtelierError) -> None:
        if job != self._job:
            return
        match message:
            case Queued(place=place):
                self._start_clock()
                self._say(_("The preview waits for other pictures…") if place else _("Preview…"))
            case Progress(preview=Picture() as picture):
                self._take(seen, picture)
            case Result(picture=picture):
                self._end_job()
                self._take(seen, picture)
                self._say(message.note)
            case AtelierError():
                self._end_job()
                self._say("" if isinstance(message, JobCancelled) else translated(message))

    def _take(self, seen: Scene, picture: Picture) -> None:
        self._scene, self._picture = seen, picture
        self._show()

    def _read(self, given: Sequence[Any], longest_px: int) -> list[Picture]:
        """The given pictures; GIMP's status bar must not go on saying how they were read."""
        try:
            return [self._given.seen(one, min(MOST_STYLE_PX, longest_px)) for one in given]
        finally:
            Gimp.progress_end()

    def _drop(self) -> None:
        """Want what was asked for no more."""
        self._forget(self._delay)
        self._delay = 0
        if self._job is not None:
            self._link.cancel(self._job)
            self._end_job()

    def _end_job(self) -> None:
        self._job = None
        self._forget(self._time_out)
        self._time_out = 0

    def _start_clock(self) -> None:
        self._forget(self._time_out)
        self._time_out = GLib.timeout_add_seconds(TIME_OUT_S, self._timed_out)

    def _timed_out(self) -> bool:
        """Give a preview up; one that waits for the backend's start goes by how long that may take."""
        if self._link.state == "starting":
            return True
        self._time_out = 0
        self._drop()
        self._say(_("The preview takes too long and was given up; Run makes the picture all the same."))
        return False

    def _forget(self, source: int) -> None:
        if source:
            GLib.source_remove(source)

    def _destroyed(self, _pane: Gtk.Widget) -> None:
        self._paused = True
        self._drop()

    # ── What is seen ─────────────────────────────────────────────────────────────────────────────

    def _show(self, *_changed: object) -> None:
        """Show what there is: the picture or, while that is wanted or there is none, the layer."""
        if self._scene is None:
            return
        is_bare = self._before.get_active() or self._drag is not None
        if self._picture is None or is_bare:
            self._image.set_from_pixbuf(before(self._scene))
        else:
            self._image.set_from_pixbuf(after(self._scene, self._picture))

    def _look(self, centre: tuple[float, float] | None) -> bool:
        """Show the layer without a picture of it; whether there is something to see."""
        try:
            self._scene, self._picture = scene(self._layer, centre), None
        except Unsuitable:
            self._image.clear()
            return False
        self._show()
        return True

    def _say(self, text: str) -> None:
        self._line.set_text(text)

    def _say_of_link(self) -> None:
        if self._link.state == "starting":
            self._say(_("Atelier is starting…"))
        elif self._job is not None:
            self._say(_("Preview…"))

    # ── What a person does ───────────────────────────────────────────────────────────────────────

    def _zoomed(self, _button: Gtk.ToggleButton) -> None:
        self._look(self._centre if self._detail.get_active() else None)
        self.refresh_soon()

    def _pressed(self, box: Gtk.EventBox, event: Gdk.EventButton) -> bool:
        box.grab_focus()
        self._drag = (event.x, event.y)
        self._show()
        return True

    def _released(self, _box: Gtk.EventBox, _event: Gdk.EventButton) -> bool:
        self._drag = None
        self._show()
        self.refresh_soon()
        return True

    def _dragged(self, _box: Gtk.EventBox, event: Gdk.EventMotion) -> bool:
        if self._drag is not None:
            x, y = self._drag
            self._drag = (event.x, event.y)
            self._move(x - event.x, y - event.y)
        return True

    def _key_pressed(self, _box: Gtk.EventBox, event: Gdk.EventKey) -> bool:
        if not (self._detail.get_active() and event.keyval in ARROWS):
            return False
        across, down = ARROWS[event.keyval]
        self._move(across * SIDE_PX, down * SIDE_PX)
        self.refresh_soon()
        return True

    def _move(self, across_px: float, down_px: float) -> None:
        """Move a detail by as many of the layer's pixels."""
        if self._detail.get_active() and not self._paused:
            self._centre = moved(self._layer, self._centre, across_px, down_px)
            self._look(self._centre)


def _toggle(label: str) -> Gtk.ToggleButton:
    return Gtk.ToggleButton(label=label, use_underline=True)
