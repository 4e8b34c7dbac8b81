"""Pictures made by the filters, with their requests in the Exif data: a picture is made only when needed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import ExifTags, Image
from torch import Tensor

from atelier_shared.home import replacing
from atelier_shared.request import PaintingRequest

from ..jobs import dispatch
from ..jobs.algorithm import Pictures

FORMATS = {".png": "PNG", ".jpg": "JPEG"}
JPEG_QUALITY = 92

AnyRequest = TypeVar("AnyRequest", bound=PaintingRequest)


def make_missing(
    requests: Mapping[Path, AnyRequest],
    make: Callable[[AnyRequest], Image.Image],
    report: Callable[[str], object],
) -> list[Path]:
    """Make the missing, damaged and outdated pictures, and return their files.

    `make` returns the picture of a request. `report` takes a line of progress after each picture.

    Raises:
        OSError: a picture cannot be written.
    """
    missing = [file for file, request in requests.items() if not _is_current(file, request)]
    for number, file in enumerate(missing, start=1):
        _save(make(requests[file]), requests[file], file)
        report(f"Progress {number} of {len(missing)}")
    return missing


def painted(content: Image.Image, request: PaintingRequest, models: Path) -> Image.Image:
    """Return the result of a request for an RGB picture.

    Raises:
        MissingWeights: the weights of a network are not in `models`.
    """
    for step in dispatch.steps(request, Pictures(_tensor(content), None, []), models):
        image = step.image
    pixels = (image[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)  # (H, W, 3)
    return Image.fromarray(pixels.numpy())


def _tensor(picture: Image.Image) -> Tensor:
    """Return a picture as an image tensor, (1, 3, H, W)."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 255


def _is_current(file: Path, request: PaintingRequest) -> bool:
    """Return True if a picture is undamaged and was made by this request."""
    try:
        with Image.open(file, formats=[FORMATS[file.suffix]]) as picture:
            picture.load()
            return picture.getexif().get(ExifTags.Base.ImageDescription) == _as_json(request)
    except (OSError, ValueError, SyntaxError):  # Pillow's errors for missing and damaged files
        return False


def _save(picture: Image.Image, request: PaintingRequest, file: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = _as_json(request)
    with replacing(file) as draft:
        picture.save(draft, FORMATS[file.suffix], quality=JPEG_QUALITY, exif=exif)


def _as_json(request: PaintingRequest) -> str:
    return json.dumps(asdict(request), sort_keys=True)
