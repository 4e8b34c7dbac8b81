"""Write the tables of docs/files.md from what the formats really keep.

    ~/.atelier/venv/bin/python docs/make_files_table.py

Each format gets a picture of every depth, with all metadata, through the same code as the command line,
and is read again. `tests/command/test_files_table.py` repeats this, and reads the files with libvips.
"""

from __future__ import annotations

import re
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.command.picture_files import Canvas, PictureFileError, profiles
from backend.command.picture_files.formats import FORMATS, Format
from backend.command.picture_files.metadata import Metadata
from backend.command.picture_files.pixels import WHITE, in_depth, light
from backend.jobs.picture_arrays import DTYPES

PAGE = Path(__file__).parent / "files.md"
MARKS = re.compile(r"(<!-- written by make_files_table.py -->\n).*?(?=\n<!-- end -->)", re.DOTALL)
DEPTH_NAMES = {"u8": "8", "u16": "16", "f32": "float"}
METADATA = {
    "profile": "colour profile",
    "exif": "Exif",
    "xmp": "XMP",
    "iptc": "IPTC",
    "comment": "comment",
    "texts": "texts",
    "dpi": "resolution",
}
ARTIST = b"II*\0\x08\0\0\0" + struct.pack("<HHHI4sI", 1, 0x013B, 2, 4, b"Ida\0", 0)
ALL_METADATA = Metadata(
    profile=profiles.SRGB,
    exif=ARTIST,
    xmp=b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>',
    iptc=b"\x1c\x02\x78\x00\x05hello",
    comment=b"hello",
    texts={"Title": "A cat"},
    dpi=(300.0, 300.0),
)


def picture(depth: str, channels: int) -> Canvas:
    """Return a picture of 48 × 32 pixels: a smooth ramp, all metadata, alpha above 0."""
    ramp = np.linspace(0.05, 1, 48 * 32 * channels).reshape(32, 48, channels)
    values = ramp if depth == "f32" else np.rint(ramp * WHITE[depth])
    canvas = Canvas.of(values.astype(DTYPES[depth]))
    return Canvas(replace(canvas.file, metadata=ALL_METADATA))


def written(canvas: Canvas, path: Path) -> Canvas:
    """Write a picture and read it again."""
    canvas.save(path, canvas.picture, canvas.whole, None)
    return Canvas.load(path)


def rows(folder: Path) -> Iterator[list[str]]:
    """Yield a row for each format."""
    yield ["format", "names", "bits", "alpha", "pixels", *METADATA.values()]
    for format in FORMATS:
        if format.depths:
            yield row(format, folder / f"out{format.suffixes[0]}")


def row(format: Format, path: Path) -> list[str]:
    """Return the cells of a format, as measured."""
    again = {depth: written(picture(depth, 3), path) for depth in DEPTH_NAMES}
    kept = [depth for depth, canvas in again.items() if canvas.file.pixels.depth == depth]
    exact = all(
        np.allclose(in_depth(again[depth].file.pixels, depth).values, _stored(depth, again[depth]), rtol=1e-5)
        for depth in kept
    )
    found = again[kept[0]].file.metadata
    held = ["yes" if _is_kept(name, found) else "–" for name in METADATA]
    bits = ", ".join(DEPTH_NAMES[depth] for depth in kept)
    return [format.name, " ".join(format.suffixes), bits, _alpha(path), "exact" if exact else "lossy", *held]


def _stored(depth: str, again: Canvas) -> NDArray[Any]:
    """Return the pixels as the file should store them: as light in formats of light."""
    values = picture(depth, 3).file.pixels.values
    return light(values) if again.file.linear else values


def _is_kept(name: str, found: Metadata) -> bool:
    wanted, value = getattr(ALL_METADATA, name), getattr(found, name)
    if name == "dpi":
        return value is not None and np.allclose(value, wanted, atol=0.5)
    return bool(ARTIST[22:25] in value if name == "exif" else value == wanted)


def _alpha(path: Path) -> str:
    try:
        return "yes" if "A" in written(picture("u8", 4), path).picture.channels else "–"
    except PictureFileError:
        return "–"


def table() -> str:
    """Return the table in Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        head, *body = rows(Path(folder))
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def page() -> str:
    """Return docs/files.md with a new table."""
    made = table()
    return MARKS.sub(lambda match: match[1] + made, PAGE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
