"""A filter without a backend, in GIMP's window: what the dialog says, and the installation from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import CACHE, prepared, stop_backend
from gimp_session import Gimp, make_profile
from gimp_window import GimpWindow

SAMPLES = Path(__file__).parents[2] / "samples"
STYLE, OFFER = "^Style Transfer$", "^Install Atelier$"
INSTALL_S = 60.0
INSTALLER = """
import os, shutil, sys, time
from pathlib import Path
home = Path(os.environ["ATELIER_HOME"])
assert not any(name.startswith("GIMP") for name in os.environ)
print("Installing the packages …", flush=True)
time.sleep(1)
print("  40%  0:01  torch: 200 of 500 MB", flush=True)
time.sleep(2)
if not (home / "room").exists():
    sys.exit("install.py: The disk is full. Free some space and run install.py again.")
(home / "venv").symlink_to({venv!r})
(home / "models").symlink_to({models!r})
(home / "thumbnails").mkdir()
shutil.copy({thumbnail!r}, home / "thumbnails" / "style-charcoal.png")
print(home / "self-check.png")
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Return an empty home of Atelier, which install.py fills."""
    folder = tmp_path / "atelier"
    folder.mkdir(mode=0o700)
    yield folder
    stop_backend(folder)


def test_a_missing_backend_is_reported_at_once_and_installed_from_the_dialog(
    gimp_version: str, home: Path, models: Path, tmp_path: Path
) -> None:
    installer = tmp_path / "downloads" / "install.py"
    installer.parent.mkdir()
    parts = {"venv": CACHE / "venv", "models": models, "thumbnail": SAMPLES / "chelsea.jpg"}
    installer.write_text(INSTALLER.format(**{name: str(part) for name, part in parts.items()}))
    gimp = Gimp(gimp_version, prepared(f"gimp-{gimp_version}"), tmp_path / "gimp", home)
    make_profile(gimp, few_plugins=False)
    (gimp.profile / "plug-ins/atelier/atelier-home.txt").write_text(f"{home}\n{installer.parent}\n")
    screenshots = CACHE / "screenshots" / f"{gimp_version}-missing-backend"
    screenshots.mkdir(parents=True, exist_ok=True)
    with GimpWindow(gimp, SAMPLES / "chelsea.jpg", screenshots) as window:
        window.open_from_menu("s", OFFER)
        window.take_screenshot("offered")
        window.press("Escape")
        sentence = f"Atelier's backend is not installed in {home}. Run 'python3 {installer}' first."
        window.wait_until(lambda: sentence in window.visible_texts(), "the dialog names the installer")
        window.wait_until(lambda: not window.is_open(OFFER), "the offer is closed")
        window.take_screenshot("declined")
        window.wait_for(STYLE)
        window.press("alt+u")
        window.wait_for(OFFER)
        window.press_until("Escape", lambda: not window.is_open(OFFER), "the offer is closed")
        window.wait_for(STYLE)
        window.press("Escape")
        window.wait_for_end(STYLE)

        install(window)
        window.wait_until(lambda: "The installation failed." in window.visible_texts(), "the error is shown")
        window.take_screenshot("failed")
        assert any("The disk is full" in text for text in window.visible_texts())
        window.press("Escape", "Escape")
        window.wait_for_end(STYLE)

        (home / "room").touch()
        install(window)
        details = "0:01  torch: 200 of 500 MB"
        window.wait_until(lambda: details in window.visible_texts(), "the progress is shown")
        window.take_screenshot("installing")
        place = window.place_of("Charcoal")
        placeholder = window.screen_hash(place)
        window.wait_until(lambda: not window.is_open(OFFER), "the backend is installed", INSTALL_S)
        window.wait_until(lambda: (home / "connection.json").exists(), "the backend is started", INSTALL_S)
        window.wait_until(lambda: window.screen_hash(place) != placeholder, "the thumbnail is shown")
        unfinished = {sentence, "Atelier is starting…", "Updating the preview…", "Refining the preview…"}
        window.wait_until(
            lambda: not unfinished & set(window.visible_texts()), "the preview is made", INSTALL_S
        )
        window.take_screenshot("installed")
        window.press("Escape")
        window.wait_for_end(STYLE)


def install(window: GimpWindow) -> None:
    """Open the dialog, and accept the offer."""
    window.open_from_menu("s", OFFER)
    window.press("Return")
