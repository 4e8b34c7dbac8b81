"""Tests of the dialogs' parts inside GIMP, with a screen and a backend: all functions `case_…`.

`test_preview.py` starts it and reads the outcomes. Only GIMP's Python can import it. The filters of the
backend are those of `echo_filter`, which takes no processor time; REAL_HOME has the real ones.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import time
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import gi

gi.require_versions({"Babl": "0.1", "Gegl": "0.4", "Gimp": "3.0", "GimpUi": "3.0", "Gtk": "3.0"})
from gi.repository import Gdk, Gegl, Gimp, GimpUi, Gio, GLib, GObject, Gtk
from other_home import installation, real_filters
from outcomes import cases_in, write_outcomes

from atelier_shared.deepdream import DeepDream
from atelier_shared.errors import AtelierError, JobCancelled
from atelier_shared.messages import Picture, Progress, Queued
from atelier_shared.request import PREVIEW_PX
from atelier_shared.settings import Number
from atelier_shared.style_transfer import StyleTransfer
from host.arguments import argument_name
from host.event_loop_client import EventLoopClient
from host.filters import FILTERS
from host.picture_cache import PictureCache
from host.progress_reporter import ProgressReporter
from host.session_results import MOST_RESULTS, SessionResult, add_session_result, session_results
from host.suitability import Unsuitable
from host.task import Task
from ui import frame_choice
from ui import settings_form as settings_form_module
from ui.file_row import descendants
from ui.gallery import recent
from ui.gallery.entries import list_entries
from ui.gallery.file_chooser import _first_folder, _small_picture
from ui.gallery.gallery import Gallery
from ui.preview.excerpt import Excerpt, excerpt_of
from ui.preview.pane import PreviewPane, selected_part
from ui.preview.rendering import dimmed, original_pixbuf, picture_of, pixbuf_of, result_pixbuf
from ui.preview.view import WHOLE, View
from ui.results_strip import ResultsStrip
from ui.run_progress import RunProgress
from ui.settings_form import settings_form
from ui.status_line import StatusLine

WIDTH, HEIGHT = 1000, 600
COLOUR = (200, 100, 50)
WITHIN_S = 90.0
GALLERY = StyleTransfer(method="gallery", size=256)
LIGHT = StyleTransfer(method="light", size=256)
"""Small, so that their previews take a tenth of the time."""
ENDLESS = DeepDream(seed=1)
"""A dream that must be cancelled: see echo_filter.ENDLESS; GIMP's Python cannot import that module."""
NO_FRAMES = dict.fromkeys(("selected", "group", "image"), "A reason.")
STARRY_NIGHT = Path(__file__).parents[2] / "samples" / "starry_night.jpg"


def main() -> None:
    """Run all cases and write their outcomes."""
    GimpUi.init("atelier-tests")
    keep_choices_of_closed_dialogs()
    write_outcomes(cases_in(globals()))


def keep_choices_of_closed_dialogs() -> None:
    """Keep the controls of LAYERS_AS_FRAMES and OUTPUT alive, because there are many dialogs in this process.

    GIMP draws the controls of a choice again when its sensitive options change, also those that are gone:
    then it crashes. The plug-in has a process for each dialog.
    """
    kept = list[Any]()

    def keeping(offer: Callable[..., None], control: Any, *arguments: Any) -> None:
        kept.extend([control, *descendants(control)])
        offer(control, *arguments)

    for offer in (frame_choice.offer_frame_layers, frame_choice.offer_places):
        vars(settings_form_module)[offer.__name__] = functools.partial(keeping, offer)


# ── Layers ───────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def layer_of(
    *, gray: bool = False, alpha: bool = False, precision: str = "U8_NON_LINEAR", adobe: bool = False
) -> Iterator[Any]:
    """Yield a layer with a left half of COLOUR and a black right half, in an image of its own."""
    base = Gimp.ImageBaseType.GRAY if gray else Gimp.ImageBaseType.RGB
    image = Gimp.Image.new_with_precision(WIDTH, HEIGHT, base, getattr(Gimp.Precision, precision))
    if adobe:
        image.set_color_profile(Gimp.ColorProfile.new_rgb_adobe())
    kinds = Gimp.ImageType
    kind = (
        (kinds.GRAYA_IMAGE if alpha else kinds.GRAY_IMAGE)
        if gray
        else (kinds.RGBA_IMAGE if alpha else kinds.RGB_IMAGE)
    )
    layer = Gimp.Layer.new(image, "layer", WIDTH, HEIGHT, kind, 100.0, Gimp.LayerMode.NORMAL)
    image.insert_layer(layer, None, 0)
    left, right = (*COLOUR, 128 if alpha else 255), (0, 0, 0, 255)
    row = [value / 255 for value in left * (WIDTH // 2) + right * (WIDTH // 2)]
    write(layer, "R'G'B'A float", array("f", row).tobytes() * HEIGHT)  # babl garbles 8 bits written as 16
    try:
        yield layer
    finally:
        image.delete()


def write(drawable: Any, babl: str, pixels: bytes) -> None:
    buffer = drawable.get_buffer()
    buffer.set(Gegl.Rectangle.new(0, 0, WIDTH, HEIGHT), babl, pixels)
    buffer.flush()
    drawable.update(0, 0, WIDTH, HEIGHT)


def read(drawable: Any, box: tuple[int, int, int, int], babl: str) -> bytes:
    pixels: bytes = drawable.get_buffer().get(Gegl.Rectangle.new(*box), 1.0, babl, Gegl.AbyssPolicy.NONE)
    return pixels


def pixel(picture: Picture, x: int, y: int) -> tuple[int, ...]:
    start = (y * picture.width + x) * picture.pixel_bytes
    return tuple(bytes(picture.pixels[start : start + picture.pixel_bytes]))


def assert_near(found: tuple[int, ...], wanted: tuple[int, ...], within: int = 2) -> None:
    assert len(found) == len(wanted), (found, wanted)
    assert all(abs(a - b) <= within for a, b in zip(found, wanted, strict=True)), (found, wanted)


def whole_of(layer: Any) -> Excerpt:
    """Return the excerpt that a preview of the usual size shows at first."""
    return excerpt_of(layer, WHOLE, PREVIEW_PX)


# ── Excerpts and pixbufs ─────────────────────────────────────────────────────────────────────────


def case_excerpts_are_srgb_for_every_format_of_layer() -> None:
    for precision in ("U8_NON_LINEAR", "U16_NON_LINEAR", "FLOAT_LINEAR", "HALF_LINEAR"):
        for adobe in (False, True):
            for alpha in (False, True):
                with layer_of(alpha=alpha, precision=precision, adobe=adobe) as layer:
                    content = whole_of(layer).content
                    assert content.channels == ("RGBA" if alpha else "RGB")
                    assert (content.width, content.height) == (PREVIEW_PX, 204)
                    assert_near(pixel(content, 40, 100), (*COLOUR, 128)[: 4 if alpha else 3])
                    assert_near(pixel(content, 300, 100), (0, 0, 0, 255)[: 4 if alpha else 3])


def case_excerpts_of_grey_layers_are_grey() -> None:
    for alpha in (False, True):
        with layer_of(gray=True, alpha=alpha) as layer:
            content = whole_of(layer).content
            assert content.channels == ("YA" if alpha else "Y")
            wanted = read(layer, (10, 10, 1, 1), "Y'A u8" if alpha else "Y' u8")
            assert_near(pixel(content, 40, 100), tuple(wanted))
            excerpt = original_pixbuf(whole_of(layer))
            assert (excerpt.get_width(), excerpt.get_height()) == (PREVIEW_PX, 204)


def case_masks_are_the_selection_times_the_layer_mask() -> None:
    for precision in ("U8_NON_LINEAR", "FLOAT_LINEAR"):
        with layer_of(precision=precision) as layer:
            image = layer.get_image()
            Gimp.Selection.all(image)
            write(image.get_selection(), "Y float", array("f", [0.5] * WIDTH * HEIGHT).tobytes())
            excerpt = whole_of(layer)
            assert (
                excerpt.mask is not None and len(excerpt.mask) == excerpt.region.width * excerpt.region.height
            )
            assert_near(tuple(set(excerpt.mask)), (128,), within=3)
            mask = layer.create_mask(Gimp.AddMaskType.WHITE)
            layer.add_mask(mask)
            write(mask, "Y float", array("f", [0.25] * WIDTH * HEIGHT).tobytes())
            assert_near(tuple(set(whole_of(layer).mask or b"")), (32,), within=3)
            layer.set_apply_mask(False)
            assert_near(tuple(set(whole_of(layer).mask or b"")), (128,), within=3)


def case_an_excerpt_of_a_selection_includes_its_context() -> None:
    with layer_of() as layer:
        layer.set_offsets(50, 20)
        layer.get_image().select_rectangle(Gimp.ChannelOps.REPLACE, 450, 120, 200, 100)
        excerpt = whole_of(layer)
        assert (excerpt.content.width, excerpt.content.height) == (200 + 2 * 96, 100 + 2 * 96)
        assert (excerpt.region.x, excerpt.region.y, excerpt.region.width, excerpt.region.height) == (
            96,
            96,
            200,
            100,
        )
        assert excerpt.part == 1.0
        assert excerpt.mask == b"\xff" * 20_000
        assert bytes(excerpt.content.pixels) == read(layer, (304, 4, 392, 292), "R'G'B' u8")


def case_a_detail_has_the_layers_pixels_at_full_size() -> None:
    with layer_of() as layer:
        Gimp.Drawable.edit_fill(layer, Gimp.FillType.BACKGROUND)
        excerpt = excerpt_of(layer, View(zoom=WIDTH / PREVIEW_PX), PREVIEW_PX)
        assert (excerpt.region.width, excerpt.region.height) == (PREVIEW_PX, PREVIEW_PX)
        around = (330 - 96, 130 - 96, PREVIEW_PX + 2 * 96, PREVIEW_PX + 2 * 96)
        assert bytes(excerpt.content.pixels) == read(layer, around, "R'G'B' u8")
        assert excerpt.size == (532, 532)
        assert abs(excerpt.part - 532 / WIDTH) < 1e-9
        corner = excerpt_of(layer, View(0.0, 1.0, WIDTH / PREVIEW_PX), PREVIEW_PX)
        assert (corner.region.x, corner.region.y) == (0, 96)


def case_an_excerpt_is_no_larger_than_a_thumbnail_of_gimp() -> None:
    with layer_of() as layer:
        layer.scale(4 * WIDTH, 4 * HEIGHT, True)
        layer.get_image().select_rectangle(Gimp.ChannelOps.REPLACE, 96, 96, 2000, 1000)
        content = excerpt_of(layer, WHOLE, 1024).content
        assert content.width <= 1024
        assert whole_of(layer).region.width == PREVIEW_PX


def case_a_result_replaces_only_the_selection() -> None:
    with layer_of() as layer:
        image = layer.get_image()
        image.select_ellipse(Gimp.ChannelOps.REPLACE, 0, 0, WIDTH, HEIGHT)
        excerpt = whole_of(layer)
        green = Picture(20, 10, "RGB", "u8", bytes((0, 255, 0)) * 200)
        before, after = original_pixbuf(excerpt), result_pixbuf(excerpt, green)
        assert at(before, 100, 100) == COLOUR
        assert at(after, 100, 100) == (0, 255, 0)
        assert at(after, 2, 2) == at(before, 2, 2) == COLOUR


def case_a_selection_outside_the_layer_and_a_deleted_layer_are_errors() -> None:
    with layer_of() as layer:
        layer.get_image().select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 10, 10)
        layer.set_offsets(50, 50)
        assert_unsuitable(layer, "The selection is outside the layer")
    assert_unsuitable(layer, "The layer was deleted")


def assert_unsuitable(layer: Any, sentence: str) -> None:
    try:
        whole_of(layer)
    except Unsuitable as error:
        assert str(error).startswith(sentence), error
    else:
        raise AssertionError("no error was raised")


def at(pixbuf: Any, x: int, y: int) -> tuple[int, ...]:
    start = y * pixbuf.get_rowstride() + x * pixbuf.get_n_channels()
    return tuple(pixbuf.get_pixels()[start : start + 3])


# ── The pane ─────────────────────────────────────────────────────────────────────────────────────


class Window:
    """A window with the preview of a layer. Tests change its request."""

    def __init__(self, layer: Any, request: Any, sources: tuple[Any, ...] = ()) -> None:
        self.request, self.sources, self.requests = request, sources, list[tuple[Any, bool]]()
        self.client = EventLoopClient(lambda: self.pane.refresh_soon())
        self.submit = self.client.submit
        self.client.submit = self._counting_submit  # type: ignore[method-assign]
        self.pane = PreviewPane(lambda: layer, PictureCache(layer), self.client, self._current_request)
        self.window = Gtk.Window()
        self.window.add(self.pane)
        self.window.show_all()
        self.pane.refresh_soon()

    def _current_request(self) -> Any:
        if isinstance(self.request, AtelierError):
            raise self.request
        return self.request, self.sources

    def _counting_submit(self, request: Any, *arguments: Any, **options: Any) -> int:
        self.requests.append((request, options.get("is_preview", False)))
        return self.submit(request, *arguments, **options)

    @property
    def submitted(self) -> int:
        return len(self.requests)

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *_: object) -> None:
        self.window.destroy()
        self.client.close()

    @property
    def status(self) -> str:
        return str(self.pane._status.get_text())

    @property
    def pixels(self) -> bytes:
        """The displayed pixels."""
        pixbuf = self.pane.area.pixbuf
        return bytes(pixbuf.get_pixels()) if pixbuf else b""

    def change(self, request: Any) -> None:
        self.request = request
        self.pane.refresh_soon()

    def wait(self) -> bytes:
        """Wait until the preview is done, and return the displayed pixels."""
        self.wait_until(lambda: not self.pane._delay, "the preview is requested")
        self.wait_until(lambda: not self.pane._job.is_running, "the preview is done")
        return self.pixels

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not holds():
            assert time.monotonic() < deadline, f"Timed out waiting until {what}; status: {self.status!r}"
            if not GLib.MainContext.default().iteration(False):
                time.sleep(0.005)


def press(widget: Any, kind: Any, **fields: Any) -> None:
    event = Gdk.Event.new(kind)
    for name, value in fields.items():
        setattr(event, name, value)
    widget.emit(
        {
            Gdk.EventType.BUTTON_PRESS: "button-press-event",
            Gdk.EventType.BUTTON_RELEASE: "button-release-event",
            Gdk.EventType.MOTION_NOTIFY: "motion-notify-event",
            Gdk.EventType.KEY_PRESS: "key-press-event",
        }[kind],
        event,
    )


def case_a_changed_setting_changes_the_preview() -> None:
    with real_filters(), layer_of() as layer, Window(layer, GALLERY) as window:
        window.wait_until(
            lambda: window.status == "Atelier is starting…" or window.submitted > 0, "the backend starts"
        )
        first = window.wait()
        assert window.status == ""
        assert first != original_pixbuf(whole_of(layer)).get_pixels()
        window.change(replace(GALLERY, gallery_style="woodcut"))
        assert window.wait() != first
        assert window.submitted == 2
        window.change(GALLERY)
        assert window.wait() == first
        window.pane.refresh_soon()
        window.wait()
        assert window.submitted == 2, "a finished preview was requested again"


def case_the_newest_request_cancels_the_older() -> None:
    with layer_of() as layer, Window(layer, GALLERY) as window:
        first = window.wait()
        window.change(ENDLESS)
        window.wait_until(lambda: window.submitted == 2, "the dream is requested")
        window.change(GALLERY)
        assert window.wait() == first
        assert not window.client._callbacks or len(window.client._callbacks) == 1
        window.wait_until(lambda: not window.client._callbacks, "the dream has ended")


def case_changes_in_quick_succession_are_one() -> None:
    with layer_of() as layer, Window(layer, GALLERY) as window:
        for strength in range(10):
            window.change(replace(GALLERY, strength=strength / 10))
        window.wait()
        assert window.submitted == 1


def case_holding_a_button_shows_the_original() -> None:
    with layer_of() as layer, Window(layer, GALLERY) as window:
        made = window.wait()
        original = original_pixbuf(whole_of(layer)).get_pixels()
        box = window.pane.area.box
        press(box, Gdk.EventType.BUTTON_PRESS)
        assert window.pixels == original
        press(box, Gdk.EventType.BUTTON_RELEASE)
        assert window.pixels == made
        window.pane._before.set_active(True)
        assert window.pixels == original
        window.pane._before.set_active(False)
        assert window.pixels == made
        window.wait()
        assert window.submitted == 1


def case_a_detail_is_dragged() -> None:
    with layer_of() as layer, Window(layer, GALLERY) as window:
        whole = window.wait()
        window.pane._detail.set_active(True)
        zoom = WIDTH / PREVIEW_PX

        def original(view: View) -> bytes:
            return bytes(original_pixbuf(excerpt_of(layer, view, PREVIEW_PX)).get_pixels())

        assert window.pixels == original(View(zoom=zoom))
        detail = window.wait()
        assert detail not in (original(View(zoom=zoom)), whole)
        box = window.pane.area.box
        press(box, Gdk.EventType.BUTTON_PRESS, x=100.0, y=100.0)
        press(box, Gdk.EventType.MOTION_NOTIFY, x=200.0, y=100.0)
        assert window.pixels == original(View(0.4, 0.5, zoom))
        press(box, Gdk.EventType.BUTTON_RELEASE)
        assert window.wait() not in (detail, window.pixels[:0])
        press(box, Gdk.EventType.KEY_PRESS, keyval=Gdk.KEY_Right)
        assert window.wait() != detail
        window.pane._detail.set_active(False)
        assert window.wait() == whole


def case_a_stale_preview_is_dimmed_until_the_new_one_is_there() -> None:
    with real_filters(), layer_of() as layer, Window(layer, GALLERY) as window:
        made = window.wait()
        assert window.pane._result
        shown = result_pixbuf(whole_of(layer), window.pane._result)
        assert made == bytes(shown.get_pixels())
        window.change(replace(GALLERY, gallery_style="woodcut"))
        assert window.pixels == bytes(dimmed(shown).get_pixels())
        assert window.wait() != made
        window.change(GALLERY)
        window.wait_until(lambda: not window.pane._delay, "the kept preview is shown")
        assert window.pixels == made


def case_a_changed_layer_is_previewed_again() -> None:
    with layer_of() as layer, Window(layer, GALLERY) as window:
        first = window.wait()
        write(layer, "R'G'B' u8", bytes((0, 200, 0)) * (WIDTH * HEIGHT))
        window.pane.refresh_soon()
        assert window.wait() != first
        assert window.submitted == 2


def case_the_chosen_method_makes_the_preview() -> None:
    style = Gio.File.new_for_path(str(STARRY_NIGHT))
    fine = StyleTransfer(iterations=2, size=128)
    with layer_of() as layer, Window(layer, fine, (style,)) as window:
        window.wait()
        assert [(request.method, preview) for request, preview in window.requests] == [
            ("fast", True),
            ("fine", True),
        ]


def case_styles_are_read_once() -> None:
    style = Gio.File.new_for_path(str(STARRY_NIGHT))
    with real_filters(), layer_of() as layer, Window(layer, LIGHT, (style,)) as window:
        first = window.wait()
        assert window.status == "", window.status
        assert len(window.pane._pictures) == 1
        window.change(replace(LIGHT, strength=0.5))
        assert window.wait() != first
        assert len(window.pane._pictures) == 1
        window.sources = (layer, Gimp.context_get_pattern())
        window.pane.refresh_soon()
        assert window.wait() != first
        assert window.status == "", window.status
        assert len(window.pane._pictures) == 3


def case_a_file_is_read_again_after_a_change_and_a_layer_for_every_run() -> None:
    place = Path(os.environ["EMPTY_HOME"]) / "style.jpg"
    shutil.copyfile(STARRY_NIGHT, place)
    file = Gio.File.new_for_path(str(place))
    with layer_of() as layer, layer_of() as style:
        cache = PictureCache(layer)
        first, of_layer = cache.for_preview(file, 512), cache.for_preview(style, 512)
        assert cache.for_run(file, 900) is first
        shutil.copyfile(STARRY_NIGHT.with_name("coffee.jpg"), place)
        assert cache.for_run(file, 512).pixels != first.pixels
        write(style, "R'G'B' u8", bytes(3 * WIDTH * HEIGHT))
        assert cache.for_preview(style, 512) is of_layer
        assert not any(cache.for_run(style, 512).pixels[0:3])


def case_errors_are_shown_except_for_missing_pictures() -> None:
    no_picture = Unsuitable("Choose a style picture first.")
    with real_filters(), layer_of() as layer, Window(layer, no_picture) as window:
        assert window.wait() == original_pixbuf(whole_of(layer)).get_pixels()
        assert window.status == ""
        window.change(DeepDream(network="squeezenet", layers="Mixed_9z"))
        window.wait()
        assert "Mixed_9z" in window.status, window.status
        window.change(GALLERY)
        window.wait()
        assert window.status == ""


def case_a_run_shows_its_pictures_and_pauses_previews() -> None:
    with real_filters(), layer_of() as layer, Window(layer, GALLERY) as window:
        made = window.wait()
        window.pane.pause()
        window.change(replace(GALLERY, strength=0.5))
        window.wait()
        assert window.submitted == 1
        window.pane.show_run_picture(Picture(2, 1, "RGB", "u8", bytes((0, 255, 0)) * 2))
        assert set(window.pixels[1::3]) == {255}
        window.pane.resume()
        window.pane.refresh_soon()
        assert window.wait() != made
        assert window.submitted == 2


def case_the_first_preview_is_requested_without_a_delay() -> None:
    with layer_of() as layer, Window(layer, GALLERY) as window:
        loop = GLib.MainContext.default()
        while loop.pending():
            loop.iteration(False)
        assert window.submitted == 1
        window.change(replace(GALLERY, strength=0.5))
        assert loop.find_source_by_id(window.pane._delay).get_ready_time() > 0, "a change has a delay"
        window.wait()


def case_the_preview_of_a_deleted_layer_can_be_enlarged_and_moved() -> None:
    with layer_of() as layer, Window(layer, GALLERY) as window:
        window.wait()
        layer.get_image().remove_layer(layer)
        window.pane._zoom(2.0, 0.5, 0.5)
        window.pane._move(0.25, 0.0)
        window.wait_until(lambda: window.status.startswith("The layer was deleted"), "the reason is shown")


def case_a_backend_that_cannot_start_is_tried_once() -> None:
    with (
        installation(os.environ["EMPTY_HOME"]),
        layer_of() as layer,
        Window(layer, GALLERY) as window,
    ):
        window.wait()
        until = time.monotonic() + 1.5
        window.wait_until(lambda: time.monotonic() > until, "1.5 s have passed")
        assert "is not installed" in window.status, window.status
        assert window.submitted == 1


def case_a_run_finished_early_before_its_job_is_submitted_ends_early() -> None:
    dream = DeepDream(network="squeezenet", iterations=500, octaves=4, size=128)
    with real_filters(), layer_of() as layer, Window(layer, GALLERY) as window:
        window.wait()
        task, messages = Task(FILTERS["plug-in-atelier-deepdream"], dream, [], 1), list[Queued | Progress]()
        run = RunProgress(
            task,
            None,
            client=window.client,
            status_bar=ProgressReporter(task.title, task.frames),
            status_line=StatusLine(),
            preview=window.pane,
        )
        run.finish_early()
        excerpt = whole_of(layer)
        with suppress(JobCancelled):
            window.client.result_of(
                dream, excerpt.content, excerpt.region, [], messages.append, run.job_started
            )
        steps = [message for message in messages if isinstance(message, Progress)]
        assert all(step.step < step.total / 2 for step in steps[:-1]), (
            "the last message has the final picture"
        )


# ── The settings and the gallery ─────────────────────────────────────────────────────────────────


def config_of(name: str) -> tuple[Any, Any]:
    """Return a filter's procedure and a config with the default arguments."""
    procedure = Gimp.get_pdb().lookup_procedure(name)
    return procedure, procedure.create_config()


def menu_beside(control: Any) -> list[Any]:
    """Return the items in the menu of a control's button."""
    (button,) = (part for part in control.get_children() if isinstance(part, Gtk.MenuButton))
    return [item for item in button.get_popup().get_children() if item.get_sensitive()]


def case_text_settings_have_suggestions_for_the_network() -> None:
    for name, chosen in FILTERS.items():
        procedure, config = config_of(name)
        dialog = GimpUi.ProcedureDialog.new(procedure, config, "")
        form = settings_form(dialog, config, chosen, {})
        for setting in (each for each in chosen.settings if each.name in chosen.suggestions):
            control = dialog.get_widget(argument_name(setting), GObject.TYPE_NONE)
            for network in ("squeezenet", "vgg16"):
                config.set_property("network", network)
                offered = menu_beside(control)
                assert [item.get_label() for item in offered] == [
                    text for text, _group in chosen.suggestions[setting.name](network)
                ]
                offered[-1].activate()
                assert config.get_property(argument_name(setting)) == offered[-1].get_label()
                chosen.request(**{setting.name: offered[-1].get_label()})
        form.basic.destroy()
        dialog.destroy()


def case_a_control_without_effect_says_when_it_has_one() -> None:
    chosen = FILTERS["plug-in-atelier-style-transfer"]
    procedure, config = config_of("plug-in-atelier-style-transfer")
    dialog = GimpUi.ProcedureDialog.new(procedure, config, "")
    settings_form(dialog, config, chosen, {})
    control = dialog.get_widget("smoothness", GObject.TYPE_NONE)
    config.set_property("method", "fine")
    assert "only with" not in control.get_tooltip_text()
    config.set_property("method", "gallery")
    assert not control.get_sensitive()
    assert control.get_tooltip_text().endswith("only with Method: Fine: best quality, slow.")
    dialog.destroy()


@contextmanager
def form_of(
    name: str, reasons: Mapping[str, str], **values: str
) -> Iterator[tuple[GimpUi.ProcedureDialog, Gimp.ProcedureConfig]]:
    """Open the form of a filter with some values, and yield the dialog and its config.

    `reasons` say why some layers cannot be the frames.
    """
    procedure, config = config_of(name)
    for argument, value in values.items():
        config.set_property(argument.replace("_", "-"), value)
    dialog = GimpUi.ProcedureDialog.new(procedure, config, "")
    form = settings_form(dialog, config, FILTERS[name], reasons)
    yield dialog, config
    form.basic.destroy()
    dialog.destroy()


def case_only_the_layers_that_apply_can_be_chosen_as_frames() -> None:
    reasons = {"this": "One reason.", "group": "Another."}
    with form_of("plug-in-atelier-deepdream", reasons, layers_as_frames="group") as (dialog, config):
        control = dialog.get_widget("layers-as-frames", GObject.TYPE_NONE)
        assert config.get_property("layers-as-frames") == "selected", (
            "a choice that does not apply is replaced"
        )
        assert control.get_visible()
        for widget in (control, *descendants(control)):
            assert "All layers of the group: Another." in widget.get_tooltip_text()
        choice = Gimp.param_spec_choice_get_choice(config.find_property("layers-as-frames"))
        applies = {value: choice.is_valid(value) for value in ("this", "selected", "group", "image")}
        assert applies == {"this": False, "selected": True, "group": False, "image": True}
        zoom = dialog.get_widget("frames", GObject.TYPE_NONE)
        assert not zoom.get_sensitive(), "a zoom has a single layer"


def case_an_animation_is_offered_a_new_image_instead_of_a_new_layer() -> None:
    with form_of("plug-in-atelier-style-transfer", {"group": "A reason."}) as (dialog, config):
        control = dialog.get_widget("output", GObject.TYPE_NONE)
        choice = Gimp.param_spec_choice_get_choice(config.find_property("output"))
        for frames, place, chosen_place in (
            ("this", "layer", None),
            ("image", "image", None),
            ("image", "image", "layer"),  # such as by Reset
            ("this", "layer", None),
            ("image", "replace", "replace"),
            ("this", "replace", None),
            ("this", "image", "image"),
        ):
            config.set_property("layers-as-frames", frames)
            if chosen_place:
                config.set_property("output", chosen_place)
            assert config.get_property("output") == place
            assert choice.is_valid("layer") == (frames == "this")
            sentence = "An animation becomes a new image, or replaces its frames."
            assert (sentence in control.get_tooltip_text()) == (frames != "this")


def case_after_an_animation_the_result_is_a_new_layer_again() -> None:
    values = {"layers_as_frames": "image", "output": "image"}
    with form_of("plug-in-atelier-deepdream", NO_FRAMES, **values) as (_, config):
        assert config.get_property("output") == "layer"


def case_without_layers_for_frames_there_is_no_choice() -> None:
    with form_of("plug-in-atelier-deepdream", NO_FRAMES, layers_as_frames="image") as (dialog, config):
        assert config.get_property("layers-as-frames") == "this"
        assert not dialog.get_widget("layers-as-frames", GObject.TYPE_NONE).get_visible()


def case_a_slider_has_its_default_within_reach() -> None:
    for name, chosen in FILTERS.items():
        procedure, config = config_of(name)
        dialog = GimpUi.ProcedureDialog.new(procedure, config, "")
        settings_form(dialog, config, chosen, {})
        for setting in chosen.settings:
            if not (isinstance(setting, Number) and isinstance(setting.default, float)):
                continue
            slider = dialog.get_widget(argument_name(setting), GObject.TYPE_NONE)
            part = (setting.default - setting.low) / (setting.high - setting.low)
            assert part in (0, 1) or part ** (1 / slider.get_gamma()) > 0.2, setting.name
        dialog.destroy()


def case_a_new_gallery_has_something_chosen() -> None:
    for name, first in (
        ("plug-in-atelier-style-transfer", "style:peach and sky"),
        ("plug-in-atelier-deepdream", "preset:animals"),
    ):
        _procedure, config = config_of(name)
        view = Gallery(config, FILTERS[name]).view
        assert view._chosen_key == first
        view.destroy()
    _procedure, config = config_of("plug-in-atelier-deepdream")
    config.set_property("iterations", 7)
    view = Gallery(config, FILTERS["plug-in-atelier-deepdream"]).view
    assert view._chosen_key == "", "the settings of the last run were replaced"
    view.destroy()


def case_a_search_finds_entries_of_all_groups() -> None:
    _procedure, config = config_of("plug-in-atelier-style-transfer")
    with layer_of() as layer:
        layer.set_name("A dusky wood")
        view = Gallery(config, FILTERS["plug-in-atelier-style-transfer"]).view
        everything = set(view._entries)
        view._search.set_text("DUSK")
        view.refresh()
        assert {"style:dusk", f"layer:{layer.get_id()}"} <= set(view._entries)
        assert all("dusk" in entry.name.casefold() for entry in view._entries.values())
        view._search.set_text("")
        view.refresh()
        assert set(view._entries) == everything
        view.destroy()


def case_settings_are_saved_under_names_and_restored() -> None:
    name, style = "plug-in-atelier-style-transfer", Gio.File.new_for_path(str(STARRY_NIGHT))
    _procedure, config = config_of(name)
    for property_name, value in (("method", "fast"), ("strength", 0.25), ("style", style)):
        config.set_property(property_name, value)
    gallery = Gallery(config, FILTERS[name])
    gallery._save("My own")
    assert gallery.view.group == "own"
    assert gallery.view._chosen_key == "own:My own"
    gallery._choose(list_entries("built-in", FILTERS[name], recent.read_history())[3])
    assert config.get_property("method") == "gallery"
    config.set_property("strength", 0.75)
    (entry,) = (
        each for each in list_entries("own", FILTERS[name], recent.read_history()) if each.name == "My own"
    )
    assert "layers-as-frames" not in entry.settings, "the layers are chosen for each run"
    gallery._choose(entry)
    assert (config.get_property("method"), config.get_property("strength")) == ("fast", 0.25)
    assert config.get_property("style").equal(style)
    assert gallery.view._chosen_key == "own:My own"
    gallery._remove(entry)
    assert not list_entries("own", FILTERS[name], recent.read_history())
    gallery.view.destroy()


def case_the_settings_of_a_result_are_restored() -> None:
    name = "plug-in-atelier-deepdream"
    _procedure, config = config_of(name)
    config.set_property("octaves", 7)
    record = {"filter": "deepdream", "octaves": 2, "layers": "fire5", "network": "squeezenet", "frames": 3}
    with layer_of() as layer:
        layer.attach_parasite(Gimp.Parasite.new("atelier-settings", 0, json.dumps(record).encode()))
        (entry,) = list_entries("result", FILTERS[name], recent.read_history())
        assert list_entries("result", FILTERS["plug-in-atelier-style-transfer"], recent.read_history()) == []
        gallery = Gallery(config, FILTERS[name])
        gallery._choose(entry)
        found = {name: config.get_property(name) for name in ("octaves", "layers", "network", "frames")}
        assert found == {name: record[name] for name in found}
        assert gallery.view._chosen_key == entry.key
        gallery.view.destroy()
        hostile = {
            "filter": "deepdream",
            "octaves": [1],
            "seed": True,
            "layers": {},
            "pictures": "http://a/b.png",
        }
        layer.attach_parasite(Gimp.Parasite.new("atelier-settings", 0, json.dumps(hostile).encode()))
        (entry,) = list_entries("result", FILTERS[name], recent.read_history())
        assert (entry.settings["octaves"], entry.settings["seed"], entry.settings["layers"]) == (4, 0, "")
        assert entry.settings["guide"] is None
        layer.attach_parasite(Gimp.Parasite.new("atelier-settings", 0, b"[1, "))
        assert not list_entries("result", FILTERS[name], recent.read_history())


def case_the_file_chooser_shows_pictures_only() -> None:
    starry_night = _small_picture(str(STARRY_NIGHT))
    assert starry_night and starry_night.get_width() == 200
    assert _small_picture(__file__) is None
    assert _small_picture(None) is None


def case_the_file_chooser_opens_the_folder_of_the_newest_picture_that_is_there() -> None:
    gone, remote = "file:///gone/picture.jpg", "http://example.org/picture.jpg"
    here = STARRY_NIGHT.as_uri()
    with temporary_history(gone, remote, here):
        assert _first_folder().get_path() == str(STARRY_NIGHT.parent)
    with temporary_history(gone, remote):
        assert _first_folder().get_path() == os.environ["HOME"]


@contextmanager
def temporary_history(*uris: str) -> Iterator[None]:
    """Replace the recent pictures during the block; the first is the newest."""
    before = recent.read_history()
    recent._write(recent.History(recent=uris))
    try:
        yield
    finally:
        recent._write(before)


def case_a_gallery_reads_the_history_once_per_listing() -> None:
    read_history, reads = recent.read_history, 0

    def counting_read() -> Any:
        nonlocal reads
        reads += 1
        return read_history()

    _procedure, config = config_of("plug-in-atelier-style-transfer")
    recent.read_history = counting_read
    try:
        gallery = Gallery(config, FILTERS["plug-in-atelier-style-transfer"]).view
        assert reads == 1
        config.set_property("gallery-style", "dusk")
        config.set_property("method", "gallery")
        assert reads == 1
        gallery.refresh()
        assert reads == 2
    finally:
        recent.read_history = read_history
    gallery.destroy()


# ── The results of this session ──────────────────────────────────────────────────────────────────


def result_of(name: str, **settings: Any) -> SessionResult:
    picture = Picture(16, 8, "RGB", "u8", bytes(COLOUR) * 128)
    return SessionResult(name, {"filter": "style-transfer", **settings}, picture)


def case_the_results_of_a_session_are_kept_in_gimp() -> None:
    try:
        assert session_results("style-transfer") == []
        for number in range(MOST_RESULTS + 2):
            add_session_result("style-transfer", result_of(f"number {number}", seed=number))
        Gimp.attach_parasite(Gimp.Parasite.new("atelier-result-style-transfer-99", 0, b"[1"))
        Gimp.attach_parasite(Gimp.Parasite.new("atelier-result-style-transfer-x", 0, b"{}"))
        fields = {"name": "", "record": {}, "size": [-1, -1], "rgb": "eJxLTEoGAAJNASc="}
        Gimp.attach_parasite(
            Gimp.Parasite.new("atelier-result-style-transfer-98", 0, json.dumps(fields).encode())
        )
        kept = session_results("style-transfer")
        assert [result.record["seed"] for result in kept] == list(range(MOST_RESULTS + 1, 1, -1))
        assert kept[-1] == result_of("number 2", seed=2)
        assert session_results("deepdream") == []
    finally:
        for name in Gimp.get_parasite_list():
            if name.startswith("atelier-result-"):
                Gimp.detach_parasite(name)


def case_a_result_in_the_strip_is_compared_and_restored() -> None:
    compared, restored = list[Any](), list[Any]()
    results = [result_of("newer"), result_of("older")]
    strip = ResultsStrip(results, compared.append, restored.append)
    row, button = strip._row, strip._button
    assert strip.get_visible() and not button.get_sensitive()
    row.select_path(Gtk.TreePath.new_from_indices([1]))
    assert [picture_of(pixbuf) for pixbuf in compared] == [results[1].picture]
    button.clicked()
    row.item_activated(Gtk.TreePath.new_from_indices([0]))
    assert restored == [results[1], results[0]]
    row.unselect_all()
    assert compared[-1] is None and not button.get_sensitive()
    strip.destroy()
    assert not ResultsStrip([], compared.append, restored.append).get_visible()


def case_the_picture_of_a_result_has_its_colours_with_and_without_alpha() -> None:
    for alpha in (False, True):
        with layer_of(alpha=alpha) as layer:
            layer.invert(False)
            picture = picture_of(selected_part(layer, PREVIEW_PX))
            assert (picture.width, picture.height, picture.channels) == (PREVIEW_PX, 204, "RGB")
            assert pixel(picture, 300, 100) == (255, 255, 255)
            red, _green, blue = pixel(picture, 40, 100)
            assert red < blue


def case_the_preview_is_compared_with_a_result() -> None:
    green, blue = bytes((0, 255, 0)), bytes((0, 0, 255))
    with layer_of() as layer, Window(layer, GALLERY) as window:
        made, width = window.wait(), PREVIEW_PX * 3
        window.pane.compare_with(pixbuf_of(Picture(10, 6, "RGB", "u8", green * 60)))
        assert window.pixels[:3] == green
        assert window.pixels[width - 3 : width] == made[width - 3 : width]
        window.pane._move_line(1.0)
        assert window.pixels[width // 2 : width // 2 + 3] == green
        window.pane.compare_with(pixbuf_of(Picture(10, 6, "RGB", "u8", (green * 5 + blue * 5) * 6)))
        window.pane._change_view(View(0.9, 0.5, 4.0))
        assert window.pixels[:3] == blue, "another part of the result is shown"
        window.pane._change_view(WHOLE)
        window.wait()
        window.pane.compare_with(None)
        assert window.pixels == made
