"""docs/files.md: its table is what the formats keep, also as other libraries read the files."""

from __future__ import annotations

import re
import struct
import sys
from pathlib import Path

import numpy as np
import OpenImageIO
import pytest
import pyvips
import tifffile

CHECKOUT = Path(__file__).parents[2]
sys.path.insert(0, str(CHECKOUT))
from backend.command.picture_files.pixels import WHITE  # noqa: E402
from docs import make_files_table  # noqa: E402

VIPS_DEPTHS = {"uchar": "8", "ushort": "16", "float": "float"}
VIPS_WHITE = {"uchar": 255, "ushort": 65535, "float": 1}
BY_VIPS = (".png", ".jpg", ".tif", ".webp", ".avif", ".heic", ".gif")
VIPS_FIELDS = {
    "colour profile": "icc-profile-data",
    "Exif": "exif-ifd0-Artist",
    "XMP": "xmp-data",
    "IPTC": "iptc-data",
}
TIFF_TAGS = {"colour profile": 34675, "Exif": 315, "XMP": 700, "IPTC": 33723, "resolution": 282}


def documented() -> dict[str, dict[str, str]]:
    """Return the cells of the table by format and column."""
    page = make_files_table.PAGE.read_text(encoding="utf-8")
    found = make_files_table.MARKS.search(page)
    assert found
    head, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in found[0].splitlines()[1:])
    return {cells[1].split()[0]: dict(zip(head, cells, strict=True)) for cells in rows}


def test_the_table_is_what_the_command_measures() -> None:
    assert make_files_table.page() == make_files_table.PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("ending", BY_VIPS)
@pytest.mark.parametrize("depth", make_files_table.DEPTH_NAMES)
def test_libvips_finds_in_the_files_what_the_table_says(tmp_path: Path, ending: str, depth: str) -> None:
    row, path = documented()[ending], tmp_path / f"out{ending}"
    make_files_table.written(make_files_table.picture(depth, 3), path)
    image = pyvips.Image.new_from_file(str(path))
    assert (image.width, image.height) == (48, 32)
    if make_files_table.DEPTH_NAMES[depth] in row["bits"].split(", "):
        assert VIPS_DEPTHS[image.format] == make_files_table.DEPTH_NAMES[depth]
    if ending != ".heic":  # its wheel has no decoder for the pixels
        assert image.avg() / VIPS_WHITE[image.format] == pytest.approx(0.525, rel=0.02)
    fields = image.get_fields()
    if ending == ".tif":
        with tifffile.TiffFile(path) as file:
            tags = {tag.code for tag in file.pages[0].tags}  # type: ignore[union-attr]
        assert {column: tag in tags for column, tag in TIFF_TAGS.items()} == dict.fromkeys(TIFF_TAGS, True)
        assert {row[column] for column in TIFF_TAGS} == {"yes"}
        return
    for column, field in VIPS_FIELDS.items():
        assert (field in fields) == (row[column] == "yes"), (column, fields)
    if row["resolution"] == "yes":
        in_exif = "exif-ifd0-XResolution" in fields and image.get("exif-ifd0-XResolution").startswith("300")
        assert in_exif or image.xres * 25.4 == pytest.approx(300, abs=0.5)


@pytest.mark.parametrize("ending", BY_VIPS)
def test_libvips_finds_alpha_where_the_table_says_so(tmp_path: Path, ending: str) -> None:
    if documented()[ending]["alpha"] == "yes":
        make_files_table.written(make_files_table.picture("u8", 4), tmp_path / f"out{ending}")
        assert pyvips.Image.new_from_file(str(tmp_path / f"out{ending}")).hasalpha()


@pytest.mark.parametrize("depth", ["u8", "u16"])
def test_a_pnm_file_is_as_specified(tmp_path: Path, depth: str) -> None:
    canvas = make_files_table.picture(depth, 3)
    make_files_table.written(canvas, tmp_path / "out.ppm")
    stored = canvas.file.pixels.values
    white, pixels = WHITE[depth], stored.astype(stored.dtype.newbyteorder(">")).tobytes()
    assert (tmp_path / "out.ppm").read_bytes() == f"P6\n48 32\n{white}\n".encode() + pixels


@pytest.mark.parametrize("ending", [".bmp", ".jp2"])
def test_openimageio_finds_the_pixels_of_formats_that_pillow_writes(tmp_path: Path, ending: str) -> None:
    canvas = make_files_table.picture("u8", 3)
    make_files_table.written(canvas, tmp_path / f"out{ending}")
    image = OpenImageIO.ImageInput.open(str(tmp_path / f"out{ending}"))
    assert image
    assert np.array_equal(np.asarray(image.read_image(OpenImageIO.UINT8)), canvas.file.pixels.values)
    image.close()


def test_the_headers_of_openexr_radiance_and_jpeg_xl_are_as_specified(tmp_path: Path) -> None:
    for ending in (".exr", ".hdr", ".jxl"):
        make_files_table.written(make_files_table.picture("f32", 3), tmp_path / f"out{ending}")
    exr = (tmp_path / "out.exr").read_bytes()
    channels = exr[exr.index(b"channels\0chlist\0") + 20 :]
    found = re.match(rb"B\0(.{16})G\0(.{16})R\0(.{16})\0", channels, re.DOTALL)
    assert found and all(struct.unpack_from("<i", each)[0] == 2 for each in found.groups()), "2: float"
    assert b"\n-Y 32 +X 48\n" in (tmp_path / "out.hdr").read_bytes()
    assert (tmp_path / "out.jxl").read_bytes()[:2] in (b"\xff\x0a", b"\0\0")
