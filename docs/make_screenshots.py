"""The screenshots of the dialogs: dialog-style-transfer.jpg, dialog-deepdream.jpg and dialog-visualise.jpg.

    ~/.cache/atelier-tests/venv/bin/python docs/make_screenshots.py

They are taken on a virtual screen in the GIMP 3.2 of the tests; `python3 tests/run.py` prepares it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

DOCS = Path(__file__).parent
CHECKOUT = DOCS.parent
sys.path[:0] = [str(CHECKOUT / "tests"), str(CHECKOUT / "tests" / "gimp")]

from conftest import installed_in, stop_backend
from gimp_session import Gimp, make_profile, save_settings
from gimp_window import GimpWindow
from run import CACHE, MODELS, use_this_checkout

PHOTO = CHECKOUT / "samples" / "chelsea.jpg"
VERSION = "3.2"
QUALITY = 90
PREVIEW_S, RUN_S = 180.0, 300.0
UNFINISHED = {"Atelier is starting…", "Updating the preview…", "Refining the preview…"}
Values = dict[str, str | int | float]
DIALOGS = {
    "dialog-style-transfer.jpg": ("s", "^Style Transfer$", "plug-in-atelier-style-transfer"),
    "dialog-deepdream.jpg": ("d", "^DeepDream$", "plug-in-atelier-deepdream"),
    "dialog-visualise.jpg": ("v", "^Visualise$", "plug-in-atelier-visualise"),
}
SHOWN: dict[str, list[Values]] = {
    "dialog-style-transfer.jpg": [
        {"method": "gallery", "gallery_style": name} for name in ("starry", "cut-outs", "great wave")
    ],
    "dialog-deepdream.jpg": [{"network": "squeezenet", "layers": "fire7", "octaves": 6}],
    "dialog-visualise.jpg": [{"classes": "starfish, banana, parachute, screw"}],
}
"""The settings of the runs before the screenshot, for the strip of results; the last ones are shown."""


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        home, user = folder / "home", folder / "user"
        home.mkdir()
        user.mkdir()
        use_this_checkout()
        installed_in(home, MODELS)
        for module, photo in (("thumbnails", PHOTO), ("style_pictures", PHOTO.with_name("coffee.jpg"))):
            make = [sys.executable, "-m", f"backend.command.{module}", str(photo), str(home)]
            subprocess.run(make, cwd=CHECKOUT, check=True)
        gimp = Gimp(VERSION, CACHE / f"gimp-{VERSION}", user, home)
        make_profile(gimp, few_plugins=False)
        try:
            with GimpWindow(gimp, PHOTO, folder) as window:
                for name in DIALOGS:
                    picture_of(window, name).save(DOCS / name, quality=QUALITY)
                    print(DOCS / name, flush=True)
        finally:
            stop_backend(home)


def picture_of(window: GimpWindow, name: str) -> Image.Image:
    """Take a screenshot of a dialog with its preview, after some runs, so that it shows an estimated time."""
    key, title, procedure = DIALOGS[name]
    for values in SHOWN[name]:
        save_settings(window.gimp, procedure, **values)
        window.open_from_menu(key, title)
        window.press("alt+l")
        wait_for_preview(window)
        window.press("alt+u")
        window.wait_for_end(title, RUN_S)
        window.press("ctrl+z")
    dialog = window.open_from_menu(key, title)
    wait_for_preview(window)
    with Image.open(window.take_screenshot(name, dialog)) as shown:
        picture = shown.convert("RGB")
    window.press("Escape")
    window.wait_for_end(title)
    return picture


def wait_for_preview(window: GimpWindow) -> None:
    window.wait_until(lambda: not UNFINISHED & set(window.visible_texts()), "the preview is done", PREVIEW_S)


if __name__ == "__main__":
    main()
