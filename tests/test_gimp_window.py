"""The filters as a person uses them: GIMP's window, its menu, each dialog, the new layer, one undo."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from conftest import prepared, stop_backend
from gimp_session import Gimp, make_profile
from gimp_window import HEIGHT, SETTLE_S, GimpWindow

import backend_process

SAMPLES = Path(__file__).parent.parent / "samples"
JOB_S = 240.0
UNDO_S = 30.0
TITLE_PX = 20
FEATHERED_ELLIPSE = """
from gi.repository import Gimp
(image,) = Gimp.get_images()
Gimp.context_set_feather(True)
Gimp.context_set_feather_radius(20, 20)
image.select_ellipse(Gimp.ChannelOps.REPLACE, 120, 50, 220, 200)
Gimp.displays_flush()
"""


@pytest.fixture(scope="module")
def window(
    gimp_version: str, atelier_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GimpWindow]:
    """A GIMP with all its own plug-ins that shows a photo."""
    cache = prepared("ATELIER_TEST_CACHE")
    gimp = Gimp(gimp_version, cache / f"gimp-{gimp_version}", tmp_path_factory.mktemp("window"), atelier_home)
    make_profile(gimp, few_plugins=False)
    screenshots = cache / "screenshots" / gimp_version
    shutil.rmtree(screenshots, ignore_errors=True)
    screenshots.mkdir(parents=True)
    with GimpWindow(gimp, SAMPLES / "chelsea.jpg", screenshots) as window:
        yield window


def choose_styles_and_clear_the_second(window: GimpWindow) -> None:
    choose_file(window, "alt+y", SAMPLES / "starry_night.jpg")
    choose_file(window, "alt+d", SAMPLES / "coffee.jpg")
    window.take_screenshot("two-styles")
    window.press("Tab", "space")  # the button that clears it
    window.press("alt+m", "Down")  # the method: fast


def choose_file(window: GimpWindow, key: str, file: Path) -> None:
    window.press(key, "Return")  # the button beside the label
    window.wait_for("^Select a File$")
    window.press("ctrl+l")
    window.write(str(file))
    time.sleep(SETTLE_S)  # names that begin so are looked up
    window.confirm("^Select a File$")


def dream_two_brief_frames_of_an_offered_layer(window: GimpWindow) -> None:
    window.press("alt+y", "Tab", "space")  # the menu beside Layers
    time.sleep(SETTLE_S)
    window.take_screenshot("layers-offered")
    window.press("Down", "Down", "Return")
    window.press("alt+i", "ctrl+a")
    window.write("2")
    window.press("alt+v", "alt+f", "ctrl+a")  # Advanced, Frames
    window.write("2")
    window.press("Tab")


@contextmanager
def feathered_ellipse(window: GimpWindow) -> Iterator[None]:
    """Select softly, and in the end undo that: it must be the last step that there is to undo."""
    before = window.image()
    window.run_python(FEATHERED_ELLIPSE)
    assert window.image() != before
    yield
    undo(window, before)


def undo(window: GimpWindow, before: dict[str, Any]) -> None:
    """Undo one step, which must bring back the image: layers, masks, pixels, selection."""
    assert window.image() != before
    window.press("ctrl+z")
    window.wait_until(lambda: window.image() == before, "the image is as it was", UNDO_S)


@pytest.mark.parametrize(("title", "key"), [("Style Transfer", "s"), ("DeepDream", "d")])
def test_escape_in_the_dialog_leaves_the_image_and_the_backend_alone(
    window: GimpWindow, title: str, key: str, atelier_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(atelier_home))
    stop_backend(atelier_home)
    with feathered_ellipse(window):
        before = window.image()
        dialog = window.open_from_menu(key, f"^{title}$")
        window.take_screenshot(f"{title}-dialog")
        window.press("alt+v")  # Advanced
        time.sleep(SETTLE_S)
        window.take_screenshot(f"{title}-advanced")
        _width, height = window.size_of(dialog)
        assert height + TITLE_PX <= HEIGHT, "not all of the dialog is on the screen"
        window.press("Escape")
        window.wait_for_end(f"^{title}$")
        window.take_screenshot(f"{title}-after-escape")
        assert window.image() == before
        assert backend_process.connect_if_running() is None


@pytest.mark.parametrize(
    ("title", "key", "set_up", "selection", "names", "settings"),
    [
        (
            "Style Transfer",
            "s",
            choose_styles_and_clear_the_second,
            nullcontext,
            ["Style Transfer: starry_night"],
            {"method": "fast", "pictures": [(SAMPLES / "starry_night.jpg").as_uri()]},
        ),
        (
            "DeepDream",
            "d",
            dream_two_brief_frames_of_an_offered_layer,
            feathered_ellipse,
            [f"DeepDream: Conv2d_2a_3x3, frame {number}" for number in (2, 1)],
            {"layers": "Conv2d_2a_3x3", "iterations": 2},
        ),
    ],
    ids=["style transfer", "two frames of deepdream of a feathered ellipse"],
)
def test_a_filter_makes_layers_that_one_undo_takes_away(
    window: GimpWindow,
    title: str,
    key: str,
    set_up: Callable[[GimpWindow], None],
    selection: Callable[[GimpWindow], AbstractContextManager[object]],
    names: list[str],
    settings: dict[str, object],
) -> None:
    with selection(window):
        before = window.image()
        window.open_from_menu(key, f"^{title}$")
        set_up(window)
        window.take_screenshot(f"{title}-set-up")
        window.press("alt+u")  # Run
        all_made = len(names) + 1
        window.wait_until(lambda: len(window.layers()) == all_made, "the new layers are there", JOB_S)
        window.take_screenshot(f"{title}-layer")
        *made, source = window.layers()
        assert [source] == before["layers"]
        assert [layer["name"] for layer in made] == names
        for layer in made:
            assert layer["settings"].items() >= settings.items()
            assert layer["box"] == before["selected box"]
            assert layer["mask"] == layer["selected"]
            assert (layer["mask"] is None) == (selection is nullcontext)
        assert len({layer["pixels"] for layer in (*made, source)}) == all_made

        undo(window, before)
        window.take_screenshot(f"{title}-undone")
