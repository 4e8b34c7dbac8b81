"""Style pictures in the gallery's styles, for the other methods of style transfer.

    python -m backend.command.style_pictures PHOTO HOME

Each is the photo, painted by the gallery method, in HOME/styles. A photo and not a texture, because faces
and other shapes keep more of their form in a style that has outlines and plain areas. Undamaged pictures
with the right settings are kept.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageOps

from atelier_shared.gallery_styles import GALLERY
from atelier_shared.home import MODELS_FOLDER, STYLES_FOLDER
from atelier_shared.style_transfer import StyleTransfer

from .made_pictures import make_missing

STYLE_PX = 768
"""Longest side, smaller than the usual working size, so that its strokes are seen in the result."""


def make(photo: Path, home: Path, report: Callable[[str], object] = print) -> list[Path]:
    """Make the missing, damaged and outdated style pictures of a photo, and return their files.

    `report` takes a line of progress after each one.

    Raises:
        OSError: the photo cannot be read, or a picture cannot be written.
        MissingWeights: the gallery's weights are not in the home.
    """
    folder = home / STYLES_FOLDER
    folder.mkdir(exist_ok=True)
    requests = {
        folder / f"{name}.jpg": StyleTransfer(method="gallery", gallery_style=name, size=STYLE_PX)
        for name in GALLERY
    }
    with Image.open(photo, formats=["JPEG"]) as picture:
        content = ImageOps.contain(picture.convert("RGB"), (STYLE_PX, STYLE_PX), Image.Resampling.LANCZOS)
    return make_missing(requests, functools.partial(_paint, content, models=home / MODELS_FOLDER), report)


def _paint(content: Image.Image, request: StyleTransfer, models: Path) -> Image.Image:
    from .painted_picture import painted

    return painted(content, request, models)


if __name__ == "__main__":
    make(Path(sys.argv[1]), Path(sys.argv[2]), functools.partial(print, flush=True))
