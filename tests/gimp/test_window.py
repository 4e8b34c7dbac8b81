"""The filters in GIMP's window: its menu, each dialog, runs and their ends, the new layers.

GIMP is operated by keyboard, and by mouse on several screens. Screenshots of every step are saved in the
tests' cache.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import echo_filter
import pytest
from backend_jobs import echo_instead
from conftest import CACHE, eventually, installed_in, is_at_work, prepared, stop_backend
from gimp_session import Gimp, last_values, make_profile, save_settings, settings_file, write_settings
from gimp_window import SETTLE_S, TRIES, GimpWindow
from PIL import Image

from atelier_shared import launcher, remote
from atelier_shared.client import BackendClient
from atelier_shared.deepdream import FRAMES, DeepDream
from atelier_shared.messages import Picture, Region
from atelier_shared.settings import Setting, settings
from atelier_shared.style_transfer import StyleTransfer
from atelier_shared.visualise import Visualise
from backend.command.stop_backend import stop_backend as stop_by_command
from host.layers_as_frames import LAYERS_AS_FRAMES
from host.output import OUTPUT
from ui.gallery.recent import add_recent, read_history, set_favourite

SAMPLES = Path(__file__).parents[2] / "samples"
STYLE, DREAM = "plug-in-atelier-style-transfer", "plug-in-atelier-deepdream"
VISUALISE = "plug-in-atelier-visualise"
WITHOUT_PICTURE = ("Atelier is starting…", "Updating the preview…", "The preview is waiting for other jobs…")
UNFINISHED = (*WITHOUT_PICTURE, "Refining the preview…")
"""Texts below a preview without a picture yet, and below one that still changes."""
PREVIEW_S, JOB_S, UNDO_S = 60.0, 240.0, 30.0
BLOCKED_S = 0.05
TITLE_PX, PREVIEW_PX, SIDE_PX = 20, 320, 512
SMALL_PX, LARGE_PX = (226, 150), (1804, 1200)
BEFORE_THE_GALLERY = 5
"""Steps of shift+Tab from a gallery's pictures, with one of them chosen, to its groups."""
Values = dict[str, str | int | float]


class Dialog(NamedTuple):
    """A filter's dialog: its title, the underlined letter of its menu entry, and its settings."""

    title: str
    key: str
    settings: tuple[Setting, ...]


DIALOGS = {
    STYLE: Dialog("Style Transfer", "s", (*settings(StyleTransfer), LAYERS_AS_FRAMES, OUTPUT)),
    DREAM: Dialog("DeepDream", "d", (*settings(DeepDream), FRAMES, LAYERS_AS_FRAMES, OUTPUT)),
    VISUALISE: Dialog("Visualise", "v", (*settings(Visualise), OUTPUT)),
}
COLUMNS = 4
"""Pictures in a row of the gallery, at its width in these tests."""
QUICK: Values = {"method": "gallery", "quality": "draft", "iterations": 2, "size": 128}
"""The number of iterations and the size make the preview short once another kind of style is chosen."""
BRIEF: Values = {"network": "squeezenet", "iterations": 2, "octaves": 1, "size": 256}
FEW: Values = {"network": "squeezenet", "iterations": 4, "size": 64}
SHORT = {DREAM: BRIEF, VISUALISE: FEW}
LONG: Values = {**BRIEF, "iterations": 500, "octaves": 12, "octave_scale": 1.1, "seed": echo_filter.PATIENT}
"""It takes nearly a minute or longer, also where the backend echoes."""
FEATHERED_ELLIPSE = """
from gi.repository import Gimp
(image,) = Gimp.get_images()
Gimp.context_set_feather(True)
Gimp.context_set_feather_radius(10, 10)
image.select_ellipse(Gimp.ChannelOps.REPLACE, 60, 25, 110, 100)
Gimp.displays_flush()
"""
ONLY_THE_PHOTO = """
from gi.repository import Gimp
(image,) = Gimp.get_images()
*made, photo = image.get_layers()
for layer in made:
    image.remove_layer(layer)
image.set_selected_layers([photo])
Gimp.Selection.none(image)
Gimp.displays_flush()
"""
THREE_FRAMES = """
from gi.repository import Gimp
(image,) = Gimp.get_images()
(photo,) = image.get_layers()
for duration in (40, 250):
    copy = photo.copy()
    image.insert_layer(copy, None, 0)
    copy.set_name(f"frame ({duration}ms) (combine)")
    copy.set_offsets(duration // 2, 10)
image.set_selected_layers([photo])
Gimp.displays_flush()
"""
CLIPBOARD = """
import gi
gi.require_versions({{"Gdk": "3.0", "Gtk": "3.0"}})
from gi.repository import Gdk, Gtk
Gtk.init(None)
text = Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD).wait_for_text()
open({file!r}, "w").write(text or "")
"""


@pytest.fixture(scope="module")
def home(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An installation for this module, because its recent files and favourites are part of the tests."""
    home = installed_in(tmp_path_factory.mktemp("window"), models)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATELIER_HOME", str(home))
        yield home
    stop_backend(home)


@pytest.fixture(scope="module")
def window(gimp_version: str, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GimpWindow]:
    """A GIMP with all its own plug-ins, showing a photo; a small one, so that runs and previews are short."""
    folder = tmp_path_factory.mktemp("gimp")
    photo = resized("chelsea.jpg", SMALL_PX, folder / "chelsea.jpg")
    with shown(gimp_version, home, folder, gimp_version, photo, few_plugins=False) as window:
        yield window


@pytest.fixture
def echoing_home(models: Path, tmp_path: Path) -> Iterator[Path]:
    """An installation whose backend takes no processor time from the window: see `echo_filter`."""
    home = tmp_path / "atelier"
    home.mkdir(mode=0o700)
    echo_instead(installed_in(home, models))
    yield home
    stop_backend(home)


@pytest.fixture(scope="module")
def echoing(gimp_version: str, home: Path) -> Iterator[None]:
    """Let the window's backend return all pictures unchanged, up to the last test of a version."""
    stop_by_command()
    echo_instead(home)
    yield
    stop_by_command()
    shutil.rmtree(home / "venv")
    (home / "venv").symlink_to(sys.prefix)


def resized(sample: str, size: tuple[int, int], file: Path) -> Path:
    """Save a sample in another size, and return its file."""
    with Image.open(SAMPLES / sample) as picture:
        picture.resize(size).save(file)
    return file


@pytest.fixture(autouse=True)
def nothing_is_left_open(request: pytest.FixtureRequest) -> Iterator[None]:
    """Close dialogs and remove new layers after a test, so that its failure does not affect the next."""
    yield
    if "window" in request.fixturenames:
        window: GimpWindow = request.getfixturevalue("window")
        window.wait_until(lambda: close_dialogs(window), "no dialog is left open")
        if len(window.layers()) > 1:
            window.run_python(ONLY_THE_PHOTO)


def close_dialogs(window: GimpWindow) -> bool:
    """Press Escape if a dialog is open; return whether none was."""
    if not any(window.is_open(title_of(procedure)) for procedure in DIALOGS):
        return True
    window.press("Escape", "Escape")
    time.sleep(2 * SETTLE_S)
    return False


@contextmanager
def shown(
    version: str,
    home: Path,
    user: Path,
    screenshots: str,
    photo: Path = SAMPLES / "chelsea.jpg",
    more: str = "",
    last: Mapping[str, Values] = MappingProxyType({}),
    few_plugins: bool = True,
    **screen: Any,
) -> Iterator[GimpWindow]:
    """Start a GIMP with its own profile; with few of its own plug-ins it starts faster.

    `more` are lines in its settings, `last` the settings of each filter's last run, and `screen` is as of
    GimpWindow.
    """
    gimp = Gimp(version, prepared(f"gimp-{version}"), user, home)
    make_profile(gimp, few_plugins=few_plugins)
    with (gimp.profile / "gimprc").open("a") as gimprc:
        gimprc.write(more)
    for procedure, values in last.items():
        write_settings(settings_file(gimp, procedure, "last"), values)
    folder = CACHE / "screenshots" / screenshots
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with GimpWindow(gimp, photo, folder, **screen) as window:
        yield window


# ── A user's actions ─────────────────────────────────────────────────────────────────────────────


def open_dialog(window: GimpWindow, procedure: str, **values: str | int | float) -> str:
    """Open a filter's dialog from the menu and load settings: the defaults except for `values`."""
    every = DIALOGS[procedure].settings
    wanted = {setting.name: setting.default for setting in every} | values
    save_settings(window.gimp, procedure, **wanted)
    arguments = {name.replace("_", "-"): value for name, value in wanted.items()}
    dialog = open_with_last_values(window, procedure)

    def are_loaded() -> bool:
        return window.settings().items() >= arguments.items()

    window.press_until("alt+l", are_loaded, "Load Saved Settings has had its effect")
    return dialog


def open_with_last_values(window: GimpWindow, procedure: str) -> str:
    return window.open_from_menu(DIALOGS[procedure].key, title_of(procedure))


def title_of(procedure: str) -> str:
    return f"^{DIALOGS[procedure].title}$"


def choose_file(window: GimpWindow, file: Path) -> None:
    window.press("alt+p")
    window.wait_for("^Open a Picture$")
    window.press("ctrl+l")
    window.write(str(file))
    time.sleep(SETTLE_S)  # GTK completes the name
    window.confirm("^Open a Picture$")
    window.wait_for_dialog(title_of(STYLE))


def choose_in_gallery(window: GimpWindow, group: int, entry: int, below: str = "alt+m") -> None:
    """Choose an entry, starting at the control below the gallery; groups and entries count from 0."""
    window.press(below, *["shift+Tab"] * (1 + BEFORE_THE_GALLERY))
    window.press("Home", *["Down"] * group)
    window.visible_texts()  # until the group is filled and laid out
    window.press(below, "shift+Tab")
    rows, columns = divmod(entry, COLUMNS)
    for key in ("Home", *["Down"] * rows, *["Right"] * columns, "space"):
        window.press(key)
        window.visible_texts()  # until the entry is chosen and the gallery is laid out again


def run_and_wait(window: GimpWindow, procedure: str) -> list[dict[str, Any]]:
    """Run the filter of the open dialog and return the new layers, top first."""
    before = len(window.layers())
    window.press("alt+u")
    window.wait_for_end(title_of(procedure), JOB_S)
    return window.layers()[: len(window.layers()) - before]


@contextmanager
def feathered_ellipse(window: GimpWindow) -> Iterator[None]:
    """Select a feathered ellipse; undo that at the end, when it must be the last step."""
    before = window.image()
    window.run_python(FEATHERED_ELLIPSE)
    assert window.image() != before
    yield
    undo(window, before)


def undo(window: GimpWindow, before: dict[str, Any]) -> None:
    """Undo one step and check that it restores layers, masks, pixels and selection."""
    after = window.image()
    assert after != before
    window.press_until("ctrl+z", lambda: window.image() != after, "a step is undone")
    window.wait_until(lambda: window.image() == before, "the image is as it was", UNDO_S)


@contextmanager
def long_run(window: GimpWindow, shot: str) -> Iterator[BackendClient]:
    """Start a long dream, and yield a client once it is running."""
    wait_for_preview(window, open_dialog(window, DREAM, **LONG), WITHOUT_PICTURE)
    with launcher.connect() as client:
        window.press("alt+u")
        wait_for_text(window, "DeepDream: step ")
        assert is_at_work(client)
        window.take_screenshot(shot)
        yield client


def wait_for_text(window: GimpWindow, start: str) -> None:
    """Wait until the dialog shows a text with this beginning."""

    def is_shown() -> bool:
        return any(text.startswith(start) for text in window.visible_texts())

    window.wait_until(is_shown, f"the dialog shows {start}", PREVIEW_S)


def wait_for_preview(window: GimpWindow, dialog: str, unfinished: tuple[str, ...] = UNFINISHED) -> str:
    """Wait until the preview in a dialog is finished, and return its hash."""

    def is_finished() -> bool:
        return not set(unfinished) & set(window.visible_texts())

    window.wait_until(is_finished, "the preview is finished", PREVIEW_S)
    left, top, _width, _height = window.box_of(dialog)
    return window.screen_hash((left, top, PREVIEW_PX, PREVIEW_PX))


# ── The dialog ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("procedure", DIALOGS)
def test_escape_leaves_the_image_unchanged(window: GimpWindow, procedure: str) -> None:
    with feathered_ellipse(window):
        before = window.image()
        dialog = open_dialog(window, procedure, **SHORT.get(procedure, {}))
        name = title_of(procedure).strip("^$")
        window.take_screenshot(f"{name}-dialog")
        wait_for_preview(window, dialog)
        window.take_screenshot(f"{name}-preview")
        window.press("alt+v")  # Advanced
        window.visible_texts()
        window.take_screenshot(f"{name}-advanced")
        check_that_the_dialog_is_on_the_screen(window, dialog)
        window.press("Escape")
        window.wait_for_end(title_of(procedure))
        assert window.image() == before


def check_that_the_dialog_is_on_the_screen(window: GimpWindow, dialog: str) -> None:
    left, top, width, height = window.box_of(dialog)
    assert left >= 0 and top >= 0 and left + width <= window.width
    assert height + TITLE_PX <= window.height, "the dialog is larger than the screen"


def test_help_opens_the_page_of_the_filter(window: GimpWindow) -> None:
    opened = window.gimp.user / "opened.txt"
    applications = window.gimp.user / ".local" / "share" / "applications"
    applications.mkdir(parents=True, exist_ok=True)
    command = f"Exec=sh -c 'echo \"$0\" > {opened}' %u"
    entry = ("[Desktop Entry]", "Type=Application", "Name=Browser", "MimeType=text/html;", command)
    (applications / "browser.desktop").write_text("\n".join(entry) + "\n")
    (applications / "mimeapps.list").write_text("[Default Applications]\ntext/html=browser.desktop\n")

    def is_written() -> bool:
        return opened.exists() and opened.read_text().endswith("\n")

    for procedure, page in ((STYLE, "style-transfer.html"), (VISUALISE, "visualise.html")):
        open_with_last_values(window, procedure)
        window.press_until("alt+h", is_written, "the browser is started")
        place = Path(unquote(urlsplit(opened.read_text().strip()).path))
        assert place == window.gimp.profile / "plug-ins" / "atelier" / "help" / "en" / page
        assert title_of(procedure).strip("^$") in place.read_text(encoding="utf-8")
        opened.unlink()
        window.press("Escape")
        window.wait_for_end(title_of(procedure))


def test_the_preview_follows_the_settings(window: GimpWindow) -> None:
    dialog = open_dialog(window, STYLE, method="gallery", gallery_style="woodcut")
    window.press("alt+b")
    plain = wait_for_preview(window, dialog)
    window.press("alt+b")
    woodcut = wait_for_preview(window, dialog)
    choose_in_gallery(window, 0, 2)
    charcoal = wait_for_preview(window, dialog)
    window.take_screenshot("preview-of-another-style")
    assert len({plain, woodcut, charcoal}) == 3
    choose_in_gallery(window, 0, 18)
    assert wait_for_preview(window, dialog) == woodcut, "the preview differs from the first one of this style"
    window.press("Escape")
    window.wait_for_end(title_of(STYLE))


def test_the_dialog_names_the_machine_that_computes(window: GimpWindow, home: Path) -> None:
    """The backend of this computer is running already and stands in for that machine's."""
    launcher.connect().close()
    remote.set_machine("user@gpu")
    try:
        open_dialog(window, STYLE, method="gallery")
        texts = window.visible_texts()
        window.take_screenshot("machine")
        assert any(text.endswith("on user@gpu") or text == "user@gpu computes." for text in texts), texts
        window.press("Escape")
        window.wait_for_end(title_of(STYLE))
    finally:
        remote.set_machine("")


def test_settings_are_reset_and_saved_and_a_style_becomes_a_favourite(window: GimpWindow, home: Path) -> None:
    set_favourite("style:charcoal", False)
    open_dialog(window, STYLE, method="gallery", gallery_style="woodcut")
    choose_in_gallery(window, 0, 2)
    window.press("shift+Tab", "shift+Tab", "shift+Tab", "space")  # the star
    window.wait_until(lambda: read_history().favourites == ("style:charcoal",), "the favourite is noted")
    choose_in_gallery(window, 0, 0)
    assert saved(window, 'gallery-style "peach and sky"')
    choose_in_gallery(window, 1, 0)
    window.take_screenshot("favourites")
    assert saved(window, 'gallery-style "charcoal"')
    assert saved(window, 'method "fine"', first=reset_to_factory_defaults)
    window.take_screenshot("reset")
    window.press("Escape")
    window.wait_for_end(title_of(STYLE))


def reset_to_factory_defaults(window: GimpWindow) -> None:
    window.press("alt+r")
    window.visible_texts()  # until the menu is open, with the first of two entries focused
    window.press("Down", "Return")


def saved(window: GimpWindow, setting: str, first: Callable[[GimpWindow], None] = lambda _: None) -> bool:
    """Repeat an action and Save Settings until the saved file contains a setting."""

    def has_setting() -> bool:
        first(window)
        window.press("alt+s")
        window.visible_texts()
        return setting in settings_file(window.gimp, STYLE, "default").read_text()

    return window.wait_until(has_setting, f"{setting} is saved")


SCREENS: dict[str, dict[str, Any]] = {
    "light, twice as large": {"scale": 2},
    "dark": {},
    "light, 1024 by 768": {"size": (1024, 768)},
    "dark, large text": {"text_scale": 1.5},
}
MENU_BARS = {1.0: {"Edit": (60, 32), "Filters": (430, 32)}, 1.5: {"Edit": (79, 36), "Filters": (577, 36)}}
"""Places in GIMP's window, by the scale of text; all are multiplied by the scale of the screen."""
UNDO, NEURAL = 0.03, 0.98
"""Places of entries in the heights of the menus Edit and Filters."""
PAINTED_SCREEN = "dark"


@pytest.fixture
def journey_home(screen: str, request: pytest.FixtureRequest) -> Path:
    """A real backend for one screen. The others show the same dialogs, so theirs returns the photo."""
    home: Path = request.getfixturevalue("home" if screen == PAINTED_SCREEN else "echoing_home")
    return home


@pytest.mark.parametrize("screen", SCREENS)
def test_a_journey_by_mouse_on_every_screen(
    gimp_version: str, journey_home: Path, screen: str, tmp_path: Path
) -> None:
    look = f"(theme-color-scheme {screen.partition(',')[0]})\n"
    folder = f"{gimp_version}-{screen.replace(', ', '-').replace(' ', '-')}"
    options = {"more": look, "last": SHORT, **SCREENS[screen]}
    with shown(gimp_version, journey_home, tmp_path, folder, **options) as window:
        bar = menu_bar(**SCREENS[screen])
        before = window.image()
        look_and_choose(window, open_by_mouse(window, bar, STYLE))
        window.click("Run")
        window.wait_for_end(title_of(STYLE), JOB_S)
        (made, *_photo) = window.layers()
        assert made["settings"].items() >= {"method": "gallery", "gallery_style": "charcoal"}.items()
        compare_and_restore(window, open_by_mouse(window, bar, STYLE))
        window.choose_from_menu(bar["Edit"], UNDO)
        window.wait_until(lambda: window.image() == before, "the new layer is undone", UNDO_S)
        for procedure in SHORT:
            look_at_everything(window, open_by_mouse(window, bar, procedure), procedure)


def menu_bar(scale: int = 1, text_scale: float = 1.0, **_size: Any) -> dict[str, tuple[int, int]]:
    return {menu: (scale * x, scale * y) for menu, (x, y) in MENU_BARS[text_scale].items()}


def open_by_mouse(window: GimpWindow, bar: dict[str, tuple[int, int]], procedure: str) -> str:
    """Choose a filter from Filters ▸ Neural, and return its dialog."""
    place = sorted(DIALOGS, key=title_of).index(procedure)
    window.choose_from_menu(bar["Filters"], NEURAL, (place + 0.5) / len(DIALOGS))
    return window.wait_for_dialog(title_of(procedure))


def look_and_choose(window: GimpWindow, dialog: str) -> None:
    """Look at the preview and the advanced settings, and choose another style."""
    wait_for_preview(window, dialog)
    window.take_screenshot("opened")
    check_that_the_dialog_is_on_the_screen(window, dialog)
    window.click("Charcoal")
    window.wait_until(lambda: window.settings()["gallery-style"] == "charcoal", "the style is chosen")
    whole = wait_for_preview(window, dialog)
    window.click("Preview", times=3, button=4)  # the wheel
    assert wait_for_preview(window, dialog) != whole
    window.take_screenshot("enlarged")
    window.click("Detail 1:1")
    assert wait_for_preview(window, dialog) == whole
    window.click("Split")
    assert wait_for_preview(window, dialog) != whole
    left, top, width, height = window.place_of("Preview")
    window.drag((left + width // 2, top + height // 2), (left + width // 4, top + height // 2))
    window.take_screenshot("split")
    window.click("Split")
    window.click("Advanced")
    window.visible_texts()
    window.take_screenshot("advanced")
    check_that_the_dialog_is_on_the_screen(window, dialog)
    window.click("Advanced")


def compare_and_restore(window: GimpWindow, dialog: str) -> None:
    """Compare the preview of another style with the result, and bring the result's settings back."""
    window.click("Yellow and ink")
    preview = wait_for_preview(window, dialog)
    check_that_the_dialog_is_on_the_screen(window, dialog)
    window.click("Style Transfer: charcoal")
    assert wait_for_preview(window, dialog) != preview
    window.take_screenshot("compared")
    assert window.settings()["gallery-style"] == "yellow and ink"
    window.click("Bring back")
    window.wait_until(lambda: window.settings()["gallery-style"] == "charcoal", "the settings are back")
    window.click("Cancel")
    window.wait_for_end(title_of(STYLE))


def look_at_everything(window: GimpWindow, dialog: str, procedure: str) -> None:
    name = title_of(procedure).strip("^$")
    assert window.settings().items() >= SHORT[procedure].items()
    wait_for_preview(window, dialog, WITHOUT_PICTURE)
    window.take_screenshot(f"{name}-dialog")
    check_that_the_dialog_is_on_the_screen(window, dialog)
    window.click("Advanced")
    window.visible_texts()
    window.take_screenshot(f"{name}-advanced")
    check_that_the_dialog_is_on_the_screen(window, dialog)
    window.click("Cancel")
    window.wait_for_end(title_of(procedure))


# ── Runs ─────────────────────────────────────────────────────────────────────────────────────────


def choose_two_styles_and_clear_the_second(window: GimpWindow) -> None:
    choose_file(window, SAMPLES / "starry_night.jpg")
    window.press("alt+v")  # Advanced
    window.visible_texts()
    window.press("alt+d", "Return")  # the button of the second style
    window.wait_for("^Select a File$")
    window.press("ctrl+l")
    window.write(str(SAMPLES / "coffee.jpg"))
    time.sleep(SETTLE_S)
    window.confirm("^Select a File$")
    window.wait_for_dialog(title_of(STYLE))
    window.take_screenshot("two-styles")
    window.press("Tab", "space", "alt+v")  # the button that clears it
    window.visible_texts()
    window.press("alt+m", "Down")  # the method: fast


def dream_two_brief_frames_of_an_offered_layer(window: GimpWindow) -> None:
    window.press("alt+y", "Tab", "space")  # the menu beside Layers
    window.visible_texts()
    window.take_screenshot("layers-offered")
    window.press("Down", "Down", "Return")
    window.press("alt+i", "ctrl+a")
    window.write("2")
    window.press("alt+v")  # Advanced
    window.visible_texts()
    window.press("alt+f", "ctrl+a")  # Frames
    window.write("2")
    window.press("Tab")


@pytest.mark.parametrize(
    ("procedure", "values", "set_up", "selection", "names", "recorded"),
    [
        (
            STYLE,
            {"iterations": 2, "size": 128},
            choose_two_styles_and_clear_the_second,
            nullcontext,
            ["Style Transfer: starry_night"],
            {"method": "fast", "pictures": [(SAMPLES / "starry_night.jpg").as_uri()]},
        ),
        (
            DREAM,
            {"octaves": 1},
            dream_two_brief_frames_of_an_offered_layer,
            feathered_ellipse,
            [f"DeepDream: Conv2d_2a_3x3, frame {number}" for number in (2, 1)],
            {"layers": "Conv2d_2a_3x3", "iterations": 2},
        ),
    ],
    ids=["style transfer", "two frames of deepdream of a feathered ellipse"],
)
def test_one_undo_removes_the_new_layers_and_the_dialog_reopens_with_the_last_values(
    window: GimpWindow,
    procedure: str,
    values: Values,
    set_up: Callable[[GimpWindow], None],
    selection: Callable[[GimpWindow], AbstractContextManager[object]],
    names: list[str],
    recorded: dict[str, object],
) -> None:
    with selection(window):
        before = window.image()
        open_dialog(window, procedure, **values)
        set_up(window)
        window.take_screenshot(f"{procedure}-set-up")
        made = run_and_wait(window, procedure)
        window.take_screenshot(f"{procedure}-layer")
        assert [layer["name"] for layer in made] == names
        assert window.layers()[len(made) :] == before["layers"]
        for layer in made:
            assert layer["settings"].items() >= recorded.items()
            assert layer["box"] == before["selected box"]
            assert layer["mask"] == layer["selected"]
            assert (layer["mask"] is None) == (selection is nullcontext)
        assert len({layer["pixels"] for layer in window.layers()}) == len(window.layers())
        undo(window, before)

        open_with_last_values(window, procedure)
        again = run_and_wait(window, procedure)
        assert [layer["settings"] for layer in again] == [layer["settings"] for layer in made]
        undo(window, before)


def test_classes_are_visualised_side_by_side_in_a_new_layer(window: GimpWindow) -> None:
    before = window.image()
    open_dialog(window, VISUALISE, classes="banana", **FEW)
    window.press("alt+e", "End")
    window.write(", parachu")
    time.sleep(2 * SETTLE_S)
    window.take_screenshot("names-with-the-typed-part")
    window.press("Down", "Return", "Tab")
    window.wait_until(lambda: window.settings()["classes"] == "banana, parachute", "the name is completed")
    (made,) = run_and_wait(window, VISUALISE)
    assert made["name"] == "Visualise: banana, parachute"
    assert made["settings"].items() >= {"classes": "banana, parachute", **FEW}.items()
    assert made["box"] == before["selected box"] and made["mask"] is None
    undo(window, before)


# ── Frames, pictures so far, errors ──────────────────────────────────────────────────────────────


def test_stop_and_keep_adds_the_picture_so_far(window: GimpWindow) -> None:
    before = window.image()
    with long_run(window, "running-before-stop") as client:
        window.press("alt+k")
        eventually(lambda: not is_at_work(client), "the backend has ended the dream")
    window.wait_for_end(title_of(DREAM), JOB_S)
    window.take_screenshot("stopped-and-kept")
    (made,) = window.layers()[: len(window.layers()) - len(before["layers"])]
    assert made["settings"]["iterations"] == LONG["iterations"]
    assert made["pixels"] != before["layers"][0]["pixels"]
    undo(window, before)


def test_layers_are_frames_and_one_undo_restores_them(window: GimpWindow) -> None:
    window.run_python(THREE_FRAMES)
    before = window.image()
    open_dialog(window, STYLE, **QUICK, layers_as_frames="image", output="replace")
    window.take_screenshot("layers-as-frames")
    window.press("alt+u")
    window.wait_for_end(title_of(STYLE), JOB_S)
    made = window.layers()
    photo = before["layers"][-1]["name"]
    names = ["frame (250ms) (replace)", "frame (40ms) (replace)", f"{photo} (replace)"]
    assert [layer["name"] for layer in made] == names
    assert {tuple(layer["box"]) for layer in made} == {tuple(before["layers"][-1]["box"])}
    assert len({layer["pixels"] for layer in made}) == 3
    undo(window, before)


def test_the_preview_of_a_combined_frame_has_the_frames_below(window: GimpWindow) -> None:
    window.run_python(THREE_FRAMES.replace("[photo])", "[copy])"))

    def original(frames: str, output: str) -> str:
        dialog = open_dialog(window, STYLE, **QUICK, layers_as_frames=frames, output=output)
        window.press("alt+b")
        try:
            return wait_for_preview(window, dialog)
        finally:
            window.take_screenshot(f"frame-in-preview-{frames}")
            window.press("Escape")
            window.wait_for_end(title_of(STYLE))

    assert original("image", "replace") != original("this", "layer")


def test_the_dialog_shows_an_error_and_its_details_can_be_copied(window: GimpWindow) -> None:
    before, file = window.image(), window.gimp.user / "clipboard.txt"
    open_dialog(window, DREAM, network="inception-v3-torchvision")
    window.press("alt+u")

    def copied_details() -> str:
        window.press("alt+e")
        window.run_python(CLIPBOARD.format(file=str(file)))
        return file.read_text()

    copied = window.wait_until(copied_details, "there are details to be copied", PREVIEW_S)
    window.take_screenshot("error")
    assert "python3 install.py --official-weights" in copied
    for detail in ("GIMP 3.", "network: inception-v3-torchvision", "JobFailed", "backend.log"):
        assert detail in copied
    window.press("Escape")
    window.wait_for_end(title_of(DREAM))
    assert window.image() == before


# ── Runs whose pixels do not matter ──────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("echoing")
@pytest.mark.parametrize(
    ("group", "entry", "name", "recorded"),
    [
        (0, 18, "woodcut", {"method": "gallery", "gallery_style": "woodcut"}),
        (2, 0, "starry_night", {"pictures": [(SAMPLES / "starry_night.jpg").as_uri()]}),
        (3, 0, "chelsea.jpg", {"pictures": ["chelsea.jpg"]}),
        (4, 1, "", {"method": "fast"}),
    ],
    ids=["built-in style", "recent file", "layer", "pattern"],
)
def test_every_kind_of_style_is_applied(
    window: GimpWindow, group: int, entry: int, name: str, recorded: dict[str, object], request: Any
) -> None:
    add_recent([SimpleNamespace(get_uri=(SAMPLES / "starry_night.jpg").as_uri)])
    before = window.image()
    open_dialog(window, STYLE, **QUICK)
    choose_in_gallery(window, group, entry)
    if group:
        window.press("alt+m", "Down")  # the method: fast, after fine
    window.visible_texts()
    window.take_screenshot(f"style-from-{request.node.callspec.id}")
    (made,) = run_and_wait(window, STYLE)
    assert made["name"].startswith(f"Style Transfer: {name}")
    assert made["settings"].items() >= recorded.items()
    assert ("pictures" in made["settings"]) == (made["settings"]["method"] != "gallery")
    undo(window, before)


@pytest.mark.usefixtures("echoing")
def test_a_layer_guides_a_dream(window: GimpWindow) -> None:
    before = window.image()
    open_dialog(window, DREAM, **BRIEF)
    window.press("alt+d", "shift+Tab", "Home", "space")  # a preset
    choose_in_gallery(window, 3, 0, below="alt+d")
    window.take_screenshot("guide")
    (made,) = run_and_wait(window, DREAM)
    assert made["name"] == "DeepDream: chelsea.jpg"
    assert made["settings"].items() >= {"objective": "guide", "pictures": ["chelsea.jpg"]}.items()
    undo(window, before)


@pytest.mark.usefixtures("echoing")
def test_the_dialog_stays_open_after_a_cancelled_run(window: GimpWindow) -> None:
    before = window.image()
    with long_run(window, "running") as client:
        last = last_values(window.gimp, DREAM)
        window.press("Return")
        window.visible_texts()
        assert is_at_work(client), "Return must not end the run"
        window.press("Escape")
        window.wait_until(lambda: not is_running(window), "the run has ended")
    window.wait_for_dialog(title_of(DREAM))
    window.press("alt+i", "ctrl+a")  # at once: until then, a preview of the long dream is made
    window.write("2")
    window.press("Tab")
    window.take_screenshot("cancelled")
    assert window.image() == before
    assert last_values(window.gimp, DREAM) == last
    (made,) = run_and_wait(window, DREAM)
    assert made["settings"]["iterations"] == 2
    undo(window, before)


def is_running(window: GimpWindow) -> bool:
    return any(text.startswith(("DeepDream: ", "Cancelling…")) for text in window.visible_texts())


@pytest.mark.usefixtures("echoing")
def test_cancel_leaves_all_frames_and_stop_keeps_the_first(window: GimpWindow) -> None:
    window.run_python(THREE_FRAMES)
    before = window.image()
    open_dialog(window, DREAM, **LONG, layers_as_frames="image", output="replace")
    window.press("alt+u")
    wait_for_text(window, "DeepDream: frame 1 of 3, step ")
    assert window.image() == before
    window.press_until("Escape", lambda: not is_running(window), "the run has ended")
    assert window.image() == before
    window.press("alt+u")
    wait_for_text(window, "DeepDream: frame 1 of 3, step ")
    window.press_until("alt+k", lambda: not window.is_open(title_of(DREAM)), "the dialog has closed")
    window.wait_for_end(title_of(DREAM), JOB_S)
    assert window.layers()[:-1] == before["layers"][:-1]
    assert window.layers()[-1]["settings"]["iterations"] == LONG["iterations"]
    undo(window, before)


@pytest.mark.usefixtures("echoing")
def test_closing_the_window_ends_the_run(window: GimpWindow) -> None:
    before = window.image()
    with long_run(window, "running-before-close") as client:
        window.press("alt+F4")
        window.wait_for_end(title_of(DREAM))
        eventually(lambda: not is_at_work(client), "the backend has dropped the dream")
    assert window.image() == before


@pytest.mark.usefixtures("echoing")
def test_a_run_waits_for_its_turn(window: GimpWindow) -> None:
    before = window.image()
    wait_for_preview(window, open_dialog(window, DREAM, **BRIEF))
    with launcher.connect() as client:
        picture = Picture(SIDE_PX, SIDE_PX, "RGB", "u8", bytes(3 * SIDE_PX * SIDE_PX))
        dream = DeepDream(network="squeezenet", iterations=500, octaves=1, seed=echo_filter.PATIENT)
        job = client.submit(dream, picture, Region(0, 0, SIDE_PX, SIDE_PX))
        window.press("alt+u")
        wait_for_text(window, "Waiting for 1 other job")
        window.take_screenshot("waiting-for-its-turn")
        client.cancel(job)
        window.wait_for_end(title_of(DREAM), JOB_S)
    undo(window, before)


def test_the_window_is_never_blocked_while_a_job_runs(
    gimp_version: str, echoing_home: Path, tmp_path: Path
) -> None:
    photo = resized("chelsea.jpg", LARGE_PX, tmp_path / "large.png")
    style = resized("starry_night.jpg", LARGE_PX, tmp_path / "style.jpg")
    with shown(gimp_version, echoing_home, tmp_path, f"{gimp_version}-large", photo, ticks=True) as window:
        dialog = open_dialog(window, STYLE)
        wait_for_preview(window, dialog)
        choose_file(window, style)
        wait_for_preview(window, dialog)
        window.take_screenshot("before-the-run")
        before, late = window.image(), [blocked(window)]
        while late[-1] and len(late) < TRIES:
            undo(window, before)
            open_with_last_values(window, STYLE)
            late.append(blocked(window))
        assert not late[-1], late


def blocked(window: GimpWindow) -> list[dict[str, Any]]:
    """Run a style transfer and return the late iterations of its main loop.

    A fault of the product would show in every run. A single one can be late because another process, for
    example GIMP, waits for a processor core.
    """
    begun = time.monotonic()
    (made,) = run_and_wait(window, STYLE)
    assert made["box"] == [0, 0, *LARGE_PX]
    assert made["settings"]["pictures"] == [(window.gimp.user / "style.jpg").as_uri()]
    return [tick for tick in window.late_ticks(begun) if tick["late_s"] > BLOCKED_S]
