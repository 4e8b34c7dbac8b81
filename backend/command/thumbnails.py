"""Thumbnails for GIMP's dialogs: one for each gallery style and each preset.

    python -m backend.command.thumbnails PHOTO HOME

Each is a small dream or painting of the photo, in HOME/thumbnails, with its settings in the PNG's
metadata. Undamaged thumbnails with the right settings are kept.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from atelier_shared.deepdream import DeepDream
from atelier_shared.gallery_styles import GALLERY
from atelier_shared.home import MODELS_FOLDER, THUMBNAILS_FOLDER, replacing
from atelier_shared.presets import PRESETS
from atelier_shared.request import PaintingRequest
from atelier_shared.style_transfer import StyleTransfer

from ..jobs import dispatch
from ..jobs.dispatch import Pictures

THUMBNAIL_PX = 128
PAINTED_PX = 192
"""Gallery styles are painted at this size and scaled down: the smaller strokes hide less of the photo."""
SETTINGS = "atelier-settings"
"""The key of the settings in the PNG's metadata."""

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
    missing = {
        folder / name: request
        for name, request in requests().items()
        if not _is_current(folder / name, request)
    }
    with Image.open(photo, formats=["JPEG"]) as picture:
        square = ImageOps.fit(picture.convert("RGB"), (PAINTED_PX, PAINTED_PX), Image.Resampling.LANCZOS)
    for number, (file, request) in enumerate(missing.items(), start=1):
        _save(_render(square, request, home / MODELS_FOLDER), request, file)
        report(f"Progress {number} of {len(missing)}")
    return list(missing)


def _dream(settings: dict[str, Any]) -> DeepDream:
    return DeepDream(**settings, size=THUMBNAIL_PX)


def _file_name(kind: str, name: str) -> str:
    return f"{kind}-{name.replace(' ', '-')}.png"


def _is_current(file: Path, request: StyleTransfer | DeepDream) -> bool:
    """Return True if a thumbnail is undamaged and has these settings."""
    try:
        with Image.open(file, formats=["PNG"]) as picture:
            picture.load()
            return picture.info.get(SETTINGS) == as_json(request)
    except (OSError, ValueError, SyntaxError):  # Pillow's errors for missing and damaged files
        return False


def as_json(request: PaintingRequest) -> str:
    """Return the settings of a request, for the metadata of a picture made by it."""
    return json.dumps(asdict(request), sort_keys=True)


def _render(square: Image.Image, request: StyleTransfer | DeepDream, models: Path) -> Image.Image:
    content = ImageOps.contain(square, (request.size, request.size))
    small = (THUMBNAIL_PX, THUMBNAIL_PX)
    return painted(content, request, models).resize(small, Image.Resampling.LANCZOS)


def painted(content: Image.Image, request: PaintingRequest, models: Path) -> Image.Image:
    """Return the result of a request for an RGB picture."""
    for step in dispatch.steps(request, Pictures(_tensor(content), None, []), models):
        image = step.image
    pixels = (image[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)  # (H, W, 3)
    return Image.fromarray(pixels.numpy())


def _tensor(picture: Image.Image) -> Tensor:
    """Return a picture as an image tensor, (1, 3, H, W)."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 255


def _save(picture: Image.Image, request: StyleTransfer | DeepDream, file: Path) -> None:
    metadata = PngInfo()
    metadata.add_text(SETTINGS, as_json(request))
    with replacing(file) as draft:
        picture.save(draft, "png", pnginfo=metadata)


if __name__ == "__main__":
    # On a busy computer several threads take minutes for such small pictures: they wait for each other.
    torch.set_num_threads(1)
    make(Path(sys.argv[1]), Path(sys.argv[2]), functools.partial(print, flush=True))
