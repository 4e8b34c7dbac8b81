"""The screenshots of the two dialogs: dialog-style-transfer.jpg and dialog-deepdream.jpg.

    ~/.cache/atelier-tests/venv/bin/python docs/make_screenshots.py

They are taken on a virtual screen in the GIMP 3.2 of the tests; `python3 tests/run.py` prepares it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
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
PREVIEW_S, RUN_S = 20.0, 120.0
DIALOGS = {
    "dialog-style-transfer.jpg": ("s", "^Style Transfer$", "plug-in-atelier-style-transfer"),
    "dialog-deepdream.jpg": ("d", "^DeepDream$", "plug-in-atelier-deepdream"),
}
SHOWN: dict[str, dict[str, str | int | float]] = {
    "dialog-style-transfer.jpg": {"method": "gallery", "gallery_style": "great wave"},
    "dialog-deepdream.jpg": {"network": "squeezenet", "layers": "fire7", "octaves": 6},
}


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        home, user = folder / "home", folder / "user"
        home.mkdir()
        user.mkdir()
        use_this_checkout()
        installed_in(home, MODELS)
        make_thumbnails = [sys.executable, "-m", "backend.command.thumbnails", str(PHOTO), str(home)]
        subprocess.run(make_thumbnails, cwd=CHECKOUT, check=True)
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
    """Take a screenshot of a dialog with its preview, after a run, so that it shows an estimated time."""
    key, title, procedure = DIALOGS[name]
    save_settings(window.gimp, procedure, **SHOWN[name])
    window.open_from_menu(key, title)
    window.press("alt+l")
    time.sleep(PREVIEW_S)
    window.press("alt+u")
    window.wait_for_end(title, RUN_S)
    window.press("ctrl+z")
    dialog = window.open_from_menu(key, title)
    time.sleep(PREVIEW_S)
    with Image.open(window.take_screenshot(name, dialog)) as shown:
        picture = shown.convert("RGB")
    window.press("Escape")
    window.wait_for_end(title)
    return picture


if __name__ == "__main__":
    main()
