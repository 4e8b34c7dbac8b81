"""Rendering of SVG drawings, without reading any other file that they name."""

from __future__ import annotations

import io
import re
from pathlib import Path

import resvg_py
from PIL import Image
from PIL.ImageFile import ImageFile

from . import pillow_reading
from .decoded import Check, Decoded
from .formats import Format

SVG_PX = 2048
OTHER_FILE = re.compile(
    r"""\b(?:xlink:)?href\s*=\s*(["'])(?!\s*(?:#|data:)).*?\1""", re.IGNORECASE | re.DOTALL
)


def read(path: Path, kind: Format, check: Check) -> Decoded:
    """Render a drawing with a longer side of SVG_PX, without reading any other file."""
    drawing = OTHER_FILE.sub("", path.read_text("utf-8"))
    with _rendered(drawing, width=SVG_PX // 100) as small:
        width, height = small.size
    with _rendered(drawing, width=max(1, min(SVG_PX, SVG_PX * width // height))) as image:
        return pillow_reading.decode(image, kind, check)


def _rendered(drawing: str, width: int) -> ImageFile:
    return Image.open(io.BytesIO(resvg_py.svg_to_bytes(svg_string=drawing, width=width)), formats=["PNG"])
