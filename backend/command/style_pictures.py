"""Style pictures in the gallery's styles, for the methods of style transfer that need a style picture.

    python -m backend.command.style_pictures PHOTO HOME

Each is the photo, painted by the gallery method, in HOME/styles, with its settings in the JPEG's comment.
A photo and not a texture, because faces and other shapes keep more of their form in a style that has
outlines and plain areas. Undamaged pictures with the right settings are kept.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image

from atelier_shared.gallery_styles import GALLERY
from atelier_shared.home import MODELS_FOLDER, STYLES_FOLDER, replacing
from atelier_shared.style_transfer import StyleTransfer

from .thumbnails import as_json, painted

STYLE_PX = 768
"""Longest side, smaller than the usual working size, so that its strokes are seen in the result."""
QUALITY = 92


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
    missing = {file: request for file, request in requests.items() if not _is_current(file, request)}
    with Image.open(photo, formats=["JPEG"]) as picture:
        scale = STYLE_PX / max(picture.size)
        content = picture.convert("RGB").resize(
            (round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS
        )
    for number, (file, request) in enumerate(missing.items(), start=1):
        with replacing(file) as draft:
            style = painted(content, request, home / MODELS_FOLDER)
            style.save(draft, "jpeg", quality=QUALITY, comment=as_json(request))
        report(f"Progress {number} of {len(missing)}")
    return list(missing)


def _is_current(file: Path, request: StyleTransfer) -> bool:
    """Return True if a style picture is undamaged and has these settings."""
    try:
        with Image.open(file, formats=["JPEG"]) as picture:
            picture.load()
            return picture.info.get("comment") == as_json(request).encode()
    except (OSError, ValueError, SyntaxError):  # Pillow's errors for missing and damaged files
        return False


if __name__ == "__main__":
    torch.set_num_threads(1)  # several wait for each other on a busy computer
    make(Path(sys.argv[1]), Path(sys.argv[2]), functools.partial(print, flush=True))
