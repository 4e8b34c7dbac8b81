"""Thumbnails for GIMP's dialogs: one for each gallery style and each preset.

    python -m backend.command.thumbnails PHOTO HOME

Each is a small dream or painting of the photo, in HOME/thumbnails. Undamaged thumbnails with the right
settings are kept.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from atelier_shared.deepdream import DeepDream
from atelier_shared.gallery_styles import GALLERY
from atelier_shared.home import MODELS_FOLDER, THUMBNAILS_FOLDER
from atelier_shared.presets import PRESETS
from atelier_shared.style_transfer import StyleTransfer

from .made_pictures import make_missing

THUMBNAIL_PX = 128
PAINTED_PX = 192
"""Gallery styles are painted at this size and scaled down: the smaller strokes hide less of the photo."""

Requests = dict[str, StyleTransfer | DeepDream]


def requests() -> Requests:
    """Return the request of each thumbnail by file name, ordered by network so that each loads once."""
    styles: Requests = {
        _file_name("style", name): StyleTransfer(method="gallery", gallery_style=name, size=PAINTED_PX)
        for name in GALLERY
    }
    by_network = sorted(PRESETS.items(), key=lambda item: str(item[1].settings["network"]))
    return styles | {_file_name("preset", name): _dream(dict(preset.settings)) for name, preset in by_network}


def make(photo: Path, home: Path, report: Callable[[str], object] = print) -> list[Path]:
    """Make the missing, damaged and outdated thumbnails of a photo, and return their files.

    `report` takes a line of progress after each one.

    Raises:
        OSError: the photo cannot be read, or a thumbnail cannot be written.
        MissingWeights: a network's weights are not in the home.
    """
    folder = home / THUMBNAILS_FOLDER
    folder.mkdir(exist_ok=True)
    with Image.open(photo, formats=["JPEG"]) as picture:
        square = ImageOps.fit(picture.convert("RGB"), (PAINTED_PX, PAINTED_PX), Image.Resampling.LANCZOS)
    every = {folder / name: request for name, request in requests().items()}
    return make_missing(every, functools.partial(_render, square, models=home / MODELS_FOLDER), report)


def _dream(settings: dict[str, Any]) -> DeepDream:
    return DeepDream(**settings, size=THUMBNAIL_PX)


def _file_name(kind: str, name: str) -> str:
    return f"{kind}-{name.replace(' ', '-')}.png"


def _render(square: Image.Image, request: StyleTransfer | DeepDream, models: Path) -> Image.Image:
    from .painted_picture import painted

    content = ImageOps.contain(square, (request.size, request.size))
    small = (THUMBNAIL_PX, THUMBNAIL_PX)
    return painted(content, request, models).resize(small, Image.Resampling.LANCZOS)


if __name__ == "__main__":
    make(Path(sys.argv[1]), Path(sys.argv[2]), functools.partial(print, flush=True))
