"""A contact sheet: contents and their results side by side, a row for each content."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from .painting import Outcome, load
from .picture_files import Canvas
from .picture_files.pixels import in_channels, in_depth

CELL_PX, GAP_PX, LABEL_PX = 320, 8, 18
PAPER, INK = (255, 255, 255), (40, 40, 40)


def check(file: Path) -> None:
    """Check if a sheet can be written; raises PictureFileError if not."""
    Canvas.of(np.zeros((1, 1, 3), np.uint8)).check_savable(file)


def write(file: Path, outcomes: Sequence[Outcome], max_megapixels: float) -> None:
    """Write a contact sheet of all results into a picture file.

    Raises:
        PictureFileError: a result cannot be read, or the sheet cannot be written.
    """
    rows = [
        [_cell(load(path, max_megapixels), path.name) for path in (content, *outputs)]
        for content, outputs in _by_content(outcomes).items()
    ]
    columns = max(map(len, rows))
    sheet = Image.new("RGB", _size(columns, len(rows)), PAPER)
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            sheet.paste(cell, _size(column, row))
    canvas = Canvas.of(np.asarray(sheet))
    canvas.save(file, canvas.picture, canvas.whole, None)


def _by_content(outcomes: Iterable[Outcome]) -> dict[Path, list[Path]]:
    found: dict[Path, list[Path]] = {}
    for outcome in outcomes:
        if outcome.outputs:
            found.setdefault(outcome.piece.content, []).extend(outcome.outputs)
    return found


def _size(columns: int, rows: int) -> tuple[int, int]:
    """Return the size in pixels of so many columns and rows, with a gap around each cell."""
    return GAP_PX + columns * (CELL_PX + GAP_PX), GAP_PX + rows * (CELL_PX + LABEL_PX + GAP_PX)


def _cell(canvas: Canvas, label: str) -> Image.Image:
    """Return a picture in sRGB on paper, reduced to a cell, with its name below."""
    pixels = in_depth(in_channels(canvas.in_srgb(), ("RGB", "RGBA")), "u8")
    image = Image.fromarray(pixels.values).convert("RGBA")
    small = ImageOps.contain(image, (CELL_PX, CELL_PX), Image.Resampling.LANCZOS)
    cell = Image.new("RGB", (CELL_PX, CELL_PX + LABEL_PX), PAPER)
    cell.paste(small, ((CELL_PX - small.width) // 2, (CELL_PX - small.height) // 2), small)
    draw = ImageDraw.Draw(cell)
    text = label.encode(errors="replace").decode()
    draw.text((CELL_PX // 2, CELL_PX + 2), text, INK, ImageFont.load_default(12), anchor="ma")
    return cell
