"""Pictures made by the filters, with their requests in the Exif data: a picture is made only when needed.

If all are there, PyTorch is not imported, which takes a second: see `painted_picture`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from PIL import ExifTags, Image

from atelier_shared.home import replacing
from atelier_shared.request import PaintingRequest

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
