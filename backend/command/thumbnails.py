"""Makes the small pictures that GIMP's dialogs show: of every style of the gallery and every preset.

    python -m backend.command.thumbnails PHOTO HOME

Each is a small dream or painting of one photo, in HOME/thumbnails, with its settings written in it. What
is there undamaged and with these settings stays. Knows neither GIMP nor who shows them.
"""

from __future__ import annotations

import json
import os
import sys
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
from atelier_shared.presets import PRESETS
from atelier_shared.style_transfer import StyleTransfer

from ..jobs import dispatch
from ..jobs.dispatch import Scene

THUMBNAIL_PX = 128
PAINTED_PX = 192
"""Smaller strokes than at the thumbnail's own size show more of the photo."""
SETTINGS = "atelier-settings"

Wanted = dict[str, StyleTransfer | DeepDream]


def wanted() -> Wanted:
    """What each thumbnail is made with, by the name of its file."""
    styles: Wanted = {
        _file_name("style", name): StyleTransfer(method="gallery", gallery_style=name, size=PAINTED_PX)
        for name in GALLERY
    }
    by_network = sorted(PRESETS.items(), key=lambda item: str(item[1].settings["network"]))
    return styles | {_file_name("preset", name): _dream(dict(preset.settings)) for name, preset in by_network}


def make(photo: Path, home: Path) -> list[Path]:
    """Make the thumbnails of a photo that are missing, damaged or of other settings; those that were made.

    Raises:
        OSError: the photo cannot be read, or a thumbnail not be written.
        MissingWeights: a network's weights are not in the home.
    """
    folder = home / "thumbnails"
    folder.mkdir(exist_ok=True)
    missing = {
        folder / name: request for name, request in wanted().items() if not _is_there(folder / name, request)
    }
    with Image.open(photo) as picture:
        square = ImageOps.fit(picture.convert("RGB"), (PAINTED_PX, PAINTED_PX), Image.Resampling.LANCZOS)
    for place, request in missing.items():
        _save(_made(square, request, home / "models"), request, place)
    return list(missing)


def _dream(settings: dict[str, Any]) -> DeepDream:
    return DeepDream(**settings, size=THUMBNAIL_PX)


def _file_name(kind: str, name: str) -> str:
    return f"{kind}-{name.replace(' ', '-')}.png"


def _is_there(place: Path, request: StyleTransfer | DeepDream) -> bool:
    """Whether a thumbnail is whole and made with these settings."""
    try:
        with Image.open(place) as picture:
            picture.load()
            return picture.info.get(SETTINGS) == _written(request)
    except (OSError, ValueError, SyntaxError):  # what Pillow says of files that are no whole pictures
        return False


def _written(request: StyleTransfer | DeepDream) -> str:
    return json.dumps(asdict(request), sort_keys=True)


def _made(square: Image.Image, request: StyleTransfer | DeepDream, models: Path) -> Image.Image:
    scene = Scene(_tensor(ImageOps.contain(square, (request.size, request.size))), None, [])
    for step in dispatch.steps(request, scene, models):
        made = step.image
    pixels = (made[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)
    small = (THUMBNAIL_PX, THUMBNAIL_PX)
    return Image.fromarray(pixels.numpy()).resize(small, Image.Resampling.LANCZOS)


def _tensor(picture: Image.Image) -> Tensor:
    """A picture as an image tensor."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 255


def _save(picture: Image.Image, request: StyleTransfer | DeepDream, place: Path) -> None:
    """Write a thumbnail in one piece."""
    note = PngInfo()
    note.add_text(SETTINGS, _written(request))
    draft = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        picture.save(draft, "png", pnginfo=note)
        draft.replace(place)
    finally:
        draft.unlink(missing_ok=True)


if __name__ == "__main__":
    # Several threads would wait for each other over pictures so small: on a busy computer, for minutes.
    torch.set_num_threads(1)
    make(Path(sys.argv[1]), Path(sys.argv[2]))
