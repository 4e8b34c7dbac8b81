"""What a picture file keeps on its way through the command line: depth, quality, colours, metadata."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pillow_jxl  # noqa: F401  (makes Pillow read JPEG XL)
import pytest
import pyvips
import tifffile
import torch
from icc_profiles import ADOBE_RGB, D50, DISPLAY_P3, PROPHOTO, SRGB, SRGB_CURVE, profile
from numpy.typing import NDArray
from PIL import Image, ImageCms, JpegImagePlugin
from PIL.PngImagePlugin import PngInfo, putchunk

from atelier_shared.messages import Picture, Result, Submit
from atelier_shared.style_transfer import StyleTransfer
from backend.command.picture_files import Canvas, PictureFileError, deep_pixels
from backend.jobs import picture_tensors, run
from backend.jobs.picture_arrays import as_array

SAMPLES = Path(__file__).parents[2] / "samples"
ORIENTATION, WIDTH, HEIGHT, EXIF, GPS = 0x0112, 0xA002, 0xA003, 0x8769, 0x8825
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6" dc:title="Zo\xc3\xab"/></x:xmpmeta>'
IPTC = b"\x1c\x02\x78\x00\x05hello"
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def written(canvas: Canvas, out: Path, **options: Any) -> Path:
    """Write a picture as it is, as after a filter without any effect."""
    encoding = canvas.encoding(out, **options)
    canvas.check_savable(out, encoding)
    canvas.save(out, canvas.picture, canvas.whole, None, encoding)
    return out


def noise(*shape: int, dtype: Any = np.uint16) -> NDArray[Any]:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


def write_png16(path: Path, values: NDArray[Any], *more: tuple[bytes, bytes]) -> None:
    """Write a PNG of 16 bits without any library, with more chunks before its pixels."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        putchunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 16, COLOUR_TYPES[channels], 0, 0, 0))
        for name, content in more:
            putchunk(file, name, content)
        putchunk(file, b"IDAT", zlib.compress(rows))
        putchunk(file, b"IEND", b"")


def png_chunks(path: Path) -> dict[bytes, bytes]:
    """Return the chunks of a PNG by name, without any library."""
    data, position = path.read_bytes(), 8
    chunks: dict[bytes, bytes] = {}
    while position < len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        content = data[position + 8 : position + 8 + length]
        assert zlib.crc32(name + content) == struct.unpack_from(">I", data, position + 8 + length)[0]
        chunks[name] = chunks.get(name, b"") + content
        position += length + 12
    return chunks


def camera_exif(orientation: int = 1) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x8298], exif[ORIENTATION] = "ACME", "© Erika".encode().decode("latin-1"), orientation
    exif[EXIF] = {0x9003: "2024:05:06 07:08:09", WIDTH: 40, HEIGHT: 24, 0x927C: b"MAKER\0notes\x80"}
    exif[GPS] = {1: "N", 2: (52.0, 31.0, 12.0)}
    return exif


# ── Depth ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("channels", COLOUR_TYPES)
@pytest.mark.parametrize("ending", [".png", ".tif", ".PNG"])
def test_sixteen_bits_stay_sixteen_bits(tmp_path: Path, channels: int, ending: str) -> None:
    values = noise(9, 7, channels)
    write_png16(tmp_path / "in.png", values)
    canvas = Canvas.load(tmp_path / "in.png")
    assert (as_array(canvas.picture) == values).all()
    out = written(canvas, tmp_path / f"out{ending}")
    if ending == ".tif":
        assert (tifffile.imread(out).reshape(values.shape) == values).all()
    else:
        assert png_chunks(out)[b"IHDR"][8:10] == bytes([16, COLOUR_TYPES[channels]])
    assert (as_array(Canvas.load(out).picture) == values).all()


@pytest.mark.parametrize(
    "options",
    [
        {"photometric": "rgb"},
        {"photometric": "rgb", "planarconfig": "separate"},
        {"photometric": "rgb", "byteorder": ">"},
        {"photometric": "rgb", "compression": "zlib", "predictor": True},
        {"photometric": "rgb", "bigtiff": True},
        {"photometric": "rgb", "tile": (16, 16)},
    ],
    ids=["plain", "planes", "big-endian", "deflate", "bigtiff", "tiles"],
)
def test_a_tiff_of_16_bits_is_read_in_every_arrangement(tmp_path: Path, options: dict[str, Any]) -> None:
    values = noise(20, 30, 3)
    stored = values.transpose(2, 0, 1) if "planarconfig" in options else values
    tifffile.imwrite(tmp_path / "in.tif", np.ascontiguousarray(stored), **options)
    canvas = Canvas.load(tmp_path / "in.tif")
    assert (as_array(canvas.picture) == values).all()
    with tifffile.TiffFile(written(canvas, tmp_path / "out.tif")) as out:
        assert (out.asarray() == values).all()
        assert out.pages[0].dtype == np.uint16


def test_16_bits_with_a_transparent_colour_get_alpha(tmp_path: Path) -> None:
    values = np.array([[[1000, 2000, 3000], [1, 2, 3]]], np.uint16)
    write_png16(tmp_path / "in.png", values, (b"tRNS", struct.pack(">3H", 1, 2, 3)))
    assert as_array(Canvas.load(tmp_path / "in.png").picture)[0, :, 3].tolist() == [65535, 0]
    write_png16(tmp_path / "gray.png", values[..., :1], (b"tRNS", struct.pack(">H", 1)))
    canvas = Canvas.load(tmp_path / "gray.png")
    assert canvas.picture.channels == "YA"
    assert as_array(canvas.picture).tolist() == [[[1000, 65535], [1, 0]]]


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_a_gray_negative_is_read_as_a_positive(tmp_path: Path, dtype: Any) -> None:
    white = 65535 if dtype == np.uint16 else 1
    tifffile.imwrite(tmp_path / "in.tif", np.array([[0, white]], dtype), photometric="miniswhite")
    assert as_array(Canvas.load(tmp_path / "in.tif").picture).ravel().tolist() == [white, 0]


def test_twelve_bits_become_sixteen(tmp_path: Path) -> None:
    """Two samples of 12 bits, 0x800 and 0xFFF, in three bytes."""
    entries = [(256, 4, 2), (257, 4, 1), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1)]
    entries += [(278, 4, 1), (279, 4, 3)]
    directory = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    head = b"II*\0" + struct.pack("<I", 12) + b"\x80\x0f\xff\0"
    (tmp_path / "in.tif").write_bytes(head + struct.pack("<H", len(entries)) + directory + b"\0" * 4)
    values = as_array(Canvas.load(tmp_path / "in.tif").picture)
    assert values.dtype == np.uint16 and values.ravel().tolist() == pytest.approx([32784, 65535], abs=16)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_png_s_own_description_of_its_colours_is_kept(tmp_path: Path, bits: int) -> None:
    gamma = (b"gAMA", struct.pack(">I", 100000))
    if bits == 16:
        write_png16(tmp_path / "in.png", noise(4, 4, 3), gamma, (b"cICP", b"\x09\x10\0\1"))
    else:
        texts = PngInfo()
        texts.add(*gamma)
        texts.add(b"cICP", b"\x09\x10\0\1")
        Image.new("RGB", (4, 4)).save(tmp_path / "in.png", pnginfo=texts)
    chunks = png_chunks(written(Canvas.load(tmp_path / "in.png"), tmp_path / "out.png"))
    assert chunks[b"gAMA"] == gamma[1] and chunks[b"cICP"] == b"\x09\x10\0\1"


def test_a_palette_with_transparency_is_read_as_rgba(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([1, 2, 3, 4, 5, 6])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "in.png", transparency=b"\xff\x40")
    assert as_array(Canvas.load(tmp_path / "in.png").picture).tolist() == [[[1, 2, 3, 255], [4, 5, 6, 64]]]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_floats_keep_values_beyond_white_outside_of_the_mask(tmp_path: Path, dtype: Any) -> None:
    values = np.linspace(-1, 4, 6 * 8 * 3).reshape(6, 8, 3).astype(dtype)
    tifffile.imwrite(tmp_path / "in.tif", values, photometric="rgb")
    canvas = Canvas.load(tmp_path / "in.tif")
    assert canvas.picture.depth == "f32"
    assert ["limited to them" in note for note in canvas.notes(canvas.whole)] == [True]
    mask = np.zeros((6, 8), np.uint8)
    mask[2:4, 2:4] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    chosen = canvas.load_mask(tmp_path / "mask.png")
    made = Picture(2, 2, "RGB", "f32", np.full((2, 2, 3), 0.5, np.float32).tobytes())
    canvas.save(tmp_path / "out.tif", made, chosen.region, chosen)
    out = tifffile.imread(tmp_path / "out.tif")
    assert out.dtype == np.float32
    assert (out[mask == 0] == values[mask == 0]).all() and (out[mask == 255] == 0.5).all()


def test_light_is_coded_for_the_backend_and_decoded_again(tmp_path: Path) -> None:
    values = np.array([[[0.0, 0.2140, 1.0], [0.5, 3.0, 0.01]]], np.float32)
    tifffile.imwrite(tmp_path / "in.tif", values, photometric="rgb")
    written(Canvas.load(tmp_path / "in.tif"), tmp_path / "light.exr")
    canvas = Canvas.load(tmp_path / "light.exr")
    assert as_array(canvas.picture)[0, 0] == pytest.approx([0, 0.2140, 1], abs=1e-4)
    again = Canvas.load(written(canvas, tmp_path / "again.exr"))
    assert again.file.pixels.values == pytest.approx(canvas.file.pixels.values, rel=1e-5)
    assert canvas.file.pixels.values[0, 0, 1] == pytest.approx(0.0376, abs=1e-4), "proportional to light"


def test_light_outside_of_the_mask_keeps_every_bit(tmp_path: Path) -> None:
    values = np.random.default_rng(0).uniform(0, 3, (4, 5, 4)).astype(np.float32)
    written(Canvas.of(values), tmp_path / "in.exr")
    Image.frombytes("L", (5, 4), bytes([255, *[0] * 18, 255])).save(tmp_path / "mask.png")
    canvas = Canvas.load(tmp_path / "in.exr")
    mask = canvas.load_mask(tmp_path / "mask.png")
    made = Picture(5, 4, "RGBA", "f32", np.full((4, 5, 4), 0.5, np.float32).tobytes())
    canvas.save(tmp_path / "out.exr", made, mask.region, mask)
    before, after = canvas.file.pixels.values, Canvas.load(tmp_path / "out.exr").file.pixels.values
    assert np.argwhere((after != before).any(axis=-1)).tolist() == [[0, 0], [3, 4]]


def test_a_linear_profile_is_coded_for_the_backend(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), (55, 55, 55)).save(tmp_path / "in.png", icc_profile=profile(1.0))
    canvas = Canvas.load(tmp_path / "in.png")
    assert as_array(canvas.picture)[0, 0] == pytest.approx(128 / 255, abs=0.01)
    with Image.open(written(canvas, tmp_path / "out.png")) as out:
        assert out.getpixel((0, 0)) == (55, 55, 55)
        assert out.info["icc_profile"] == profile(1.0)


def test_a_tiff_of_several_pages_and_a_gif_of_several_frames_are_noted(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), (shade, 0, 0)) for shade in (10, 100, 200)]
    notes = {}
    for name in ("in.gif", "in.webp", "in.png", "in.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        notes[name] = Canvas.load(tmp_path / name).file.notes
    tifffile.imwrite(tmp_path / "deep.tif", noise(3, 5, 6, 3), photometric="rgb")
    notes["deep.tif"] = Canvas.load(tmp_path / "deep.tif").file.notes
    heif = pillow_heif.from_pillow(frames[0])
    heif.add_from_pillow(frames[1])
    heif.add_from_pillow(frames[2])
    heif.save(tmp_path / "in.heic")
    notes["in.heic"] = Canvas.load(tmp_path / "in.heic").file.notes
    assert {
        "3 frames" in note for name in ("in.gif", "in.webp", "in.png", "in.heic") for note in notes[name]
    } == {True}
    assert {"3 pages" in note for name in ("in.tif", "deep.tif") for note in notes[name]} == {True}
    assert all(map(len, notes.values()))


def test_an_avif_file_of_ten_bits_is_read_with_a_note(tmp_path: Path) -> None:
    image = pyvips.Image.new_from_array(noise(64, 64, 3)).copy(interpretation="rgb16")
    image.write_to_file(str(tmp_path / "in.avif"), bitdepth=10)
    assert Canvas.load(tmp_path / "in.avif").file.notes == ("Its 10 or 12 bits are reduced to 8.",)
    image.cast("uchar", shift=True).copy(interpretation="srgb").write_to_file(str(tmp_path / "8.avif"))
    assert Canvas.load(tmp_path / "8.avif").file.notes == ()


def test_a_jpeg_2000_file_of_sixteen_bits_is_read_with_a_note(tmp_path: Path) -> None:
    deep_pixels.write(tmp_path / "in.jp2", noise(32, 40, 3), "u16", {})
    assert Canvas.load(tmp_path / "in.jp2").file.notes == ("Its 16 bits are reduced to 8.",)


def test_ten_bits_of_a_heic_file_stay_ten_bits(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint16)
    pillow_heif.from_bytes("RGB;16", (64, 64), ramp.tobytes()).save(
        tmp_path / "in.heic", quality=100, chroma=444
    )
    canvas = Canvas.load(tmp_path / "in.heic")
    assert canvas.picture.depth == "u16"
    assert np.abs(as_array(canvas.picture).astype(int) - ramp).max() < 400
    again = pillow_heif.open_heif(written(canvas, tmp_path / "out.heic"), convert_hdr_to_8bit=False)
    assert again.info["bit_depth"] == 10
    assert int(np.asarray(again).max()) > 65000


# ── Lossy files ──────────────────────────────────────────────────────────────────────────────────


def tables_of(path: Path) -> tuple[object, int, object]:
    with Image.open(path) as image:
        assert isinstance(image, JpegImagePlugin.JpegImageFile)
        return image.quantization, JpegImagePlugin.get_sampling(image), image.info.get("progressive")


@pytest.mark.parametrize("quality", [60, 85, 97])
@pytest.mark.parametrize(("subsampling", "progressive"), [(0, False), (1, True), (2, True)])
def test_a_jpeg_keeps_its_quality(tmp_path: Path, quality: int, subsampling: int, progressive: bool) -> None:
    with Image.open(SAMPLES / "chelsea.jpg") as photo:
        photo.save(tmp_path / "in.jpg", quality=quality, subsampling=subsampling, progressive=progressive)
    canvas = Canvas.load(tmp_path / "in.jpg")
    out = written(canvas, tmp_path / "out.jpeg")
    assert tables_of(out) == tables_of(tmp_path / "in.jpg")
    assert out.stat().st_size == pytest.approx((tmp_path / "in.jpg").stat().st_size, rel=0.02)
    assert written(canvas, tmp_path / "low.jpg", quality=20).stat().st_size < out.stat().st_size


def test_the_tables_of_a_turned_jpeg_are_turned_with_it(tmp_path: Path) -> None:
    tables = {0: list(range(1, 65)), 1: [7] * 64}
    with Image.open(SAMPLES / "chelsea.jpg") as photo:
        photo.save(tmp_path / "in.jpg", qtables=tables, subsampling=0, exif=camera_exif(6))
    out, _, _ = tables_of(written(Canvas.load(tmp_path / "in.jpg"), tmp_path / "out.jpg"))
    assert out == {0: np.arange(1, 65).reshape(8, 8).T.ravel().tolist(), 1: [7] * 64}


def test_another_format_becomes_a_jpeg_of_quality_95_without_subsampling(tmp_path: Path) -> None:
    with Image.open(SAMPLES / "chelsea.jpg") as photo:
        photo.save(tmp_path / "in.png")
        photo.save(tmp_path / "wanted.jpg", quality=95, subsampling=0)
    out = written(Canvas.load(tmp_path / "in.png"), tmp_path / "out.jpg")
    assert tables_of(out)[:2] == tables_of(tmp_path / "wanted.jpg")[:2]


def test_outside_of_a_mask_a_jpeg_changes_less_than_by_a_step(tmp_path: Path) -> None:
    canvas = Canvas.load(SAMPLES / "chelsea.jpg")
    out = as_array(Canvas.load(written(canvas, tmp_path / "out.jpg")).picture).astype(int)
    change = np.abs(out - as_array(canvas.picture))
    assert change.mean() < 0.4


@pytest.mark.parametrize(("lossless", "mode"), [(True, "RGB"), (True, "RGBA"), (False, "RGB")])
def test_a_webp_file_stays_lossless_or_lossy(tmp_path: Path, lossless: bool, mode: str) -> None:
    Image.fromarray(noise(40, 40, len(mode), dtype=np.uint8)).save(
        tmp_path / "in.webp", lossless=lossless, exact=True
    )
    canvas = Canvas.load(tmp_path / "in.webp")
    out = written(canvas, tmp_path / "out.webp")
    assert (b"VP8L" in out.read_bytes()) == lossless
    if lossless:
        assert Canvas.load(out).picture == canvas.picture
    assert b"VP8 " in written(canvas, tmp_path / "lossy.webp", quality=90).read_bytes()


def test_a_lossless_picture_becomes_a_lossless_webp(tmp_path: Path) -> None:
    Image.fromarray(noise(40, 40, 4, dtype=np.uint8)).save(tmp_path / "in.png")
    canvas = Canvas.load(tmp_path / "in.png")
    assert Canvas.load(written(canvas, tmp_path / "out.webp")).picture == canvas.picture


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_a_tiff_file_keeps_its_compression(tmp_path: Path, compression: str) -> None:
    Image.fromarray(noise(40, 40, 3, dtype=np.uint8)).save(tmp_path / "in.tif", compression=compression)
    with Image.open(written(Canvas.load(tmp_path / "in.tif"), tmp_path / "out.tif")) as out:
        assert out.info["compression"] == compression


@pytest.mark.parametrize("ending", [".png", ".tif", ".webp", ".bmp", ".ppm", ".jp2", ".jxl"])
def test_lossless_formats_keep_every_bit(tmp_path: Path, ending: str) -> None:
    Image.fromarray(noise(40, 50, 3, dtype=np.uint8)).save(tmp_path / "in.png")
    canvas = Canvas.load(tmp_path / "in.png")
    assert Canvas.load(written(canvas, tmp_path / f"out{ending}")).picture == canvas.picture


# ── Metadata ─────────────────────────────────────────────────────────────────────────────────────


def rich_file(folder: Path, ending: str, orientation: int = 1) -> Path:
    """Write a picture with all the metadata that Pillow can write into its format."""
    path, image = folder / f"in{ending}", Image.fromarray(noise(24, 40, 3, dtype=np.uint8))
    exif, dpi = camera_exif(orientation), (300, 240)
    if ending == ".png":
        texts = PngInfo()
        texts.add_text("Title", "A cat")
        texts.add_itxt("Author", "Zoë")
        texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
        image.save(path, exif=exif, dpi=dpi, pnginfo=texts, icc_profile=profile(1.8))
    elif ending == ".jpg":
        resource = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(IPTC)) + IPTC
        marker = b"\xff\xed" + struct.pack(">H", len(resource) + 2) + resource
        image.save(
            path, exif=exif, dpi=dpi, xmp=XMP, comment=b"hello", icc_profile=profile(1.8), extra=marker
        )
    elif ending == ".tif":
        tags = {271: "ACME", 33432: "(c) Erika", 274: orientation, 700: XMP, 33723: IPTC}
        image.save(path, tiffinfo=tags, dpi=dpi, icc_profile=profile(1.8))
    else:
        image.save(path, exif=exif, xmp=XMP, icc_profile=profile(1.8), lossless=True)
    return path


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".tif", ".avif", ".heic", ".jxl"])
@pytest.mark.parametrize("source", [".jpg", ".png", ".webp", ".tif"])
def test_metadata_travels_from_format_to_format(tmp_path: Path, source: str, ending: str) -> None:
    canvas = Canvas.load(rich_file(tmp_path, source))
    out = written(canvas, tmp_path / f"out{ending}")
    pillow_heif.register_heif_opener()
    with Image.open(out) as image:
        image.load()
        exif, info, texts = image.getexif(), image.info, getattr(image, "text", {})
        assert exif[0x010F] == "ACME" and exif[0x8298].endswith("Erika")
        if source != ".tif":
            assert exif.get_ifd(EXIF)[0x9003] == "2024:05:06 07:08:09"
            assert exif.get_ifd(EXIF)[0x927C] == b"MAKER\0notes\x80"
            assert [float(part) for part in exif.get_ifd(GPS)[2]] == [52.0, 31.0, 12.0]
        assert info["icc_profile"] == profile(1.8)
        if ending == ".jxl":  # this reader has no XMP
            start = out.read_bytes().index(b"xml ") + 4
            info["xmp"] = out.read_bytes()[start : start + len(XMP)]
        xmp = exif[700] if ending == ".tif" else info.get("xmp") or texts["XML:com.adobe.xmp"].encode()
        assert xmp == XMP.replace(b"6", b"1")
        if ending in (".jpg", ".tif") and source in (".jpg", ".tif"):
            iptc = exif[33723] if ending == ".tif" else info["photoshop"][0x0404]
            assert iptc == IPTC
        if source == ending == ".png":
            assert texts["Title"] == "A cat" and texts["Author"] == "Zoë"
        if source == ending == ".jpg":
            assert info["comment"] == b"hello"
    if source != ".webp":
        assert Canvas.load(out).file.metadata.dpi == pytest.approx((300, 240), abs=0.5)


@pytest.mark.parametrize("depth", [8, 16])
def test_a_tiff_file_gets_no_description_that_was_not_there(tmp_path: Path, depth: int) -> None:
    values = noise(5, 6, 3, dtype=np.uint16 if depth == 16 else np.uint8)
    tifffile.imwrite(tmp_path / "in.tif", values, photometric="rgb", software="mine")
    with tifffile.TiffFile(written(Canvas.load(tmp_path / "in.tif"), tmp_path / "out.tif")) as file:
        tags = {tag.name: tag.value for tag in file.pages[0].tags}  # type: ignore[union-attr]
    assert tags["Software"] == "mine"
    assert not tags.keys() & {"XMP", "IPTCNAA", "DateTime", "InterColorProfile", "ExifTag"}


def test_metadata_of_16_bits_travels_too(tmp_path: Path) -> None:
    exif = camera_exif().tobytes()[6:]
    icc = b"x\0\0" + zlib.compress(profile(1.8))
    texts = b"Title\0A cat"
    density = struct.pack(">IIB", 11811, 9449, 1)
    write_png16(
        tmp_path / "in.png",
        noise(5, 6, 3),
        (b"iCCP", icc),
        (b"pHYs", density),
        (b"eXIf", exif),
        (b"tEXt", texts),
    )
    canvas = Canvas.load(tmp_path / "in.png")
    chunks = png_chunks(written(canvas, tmp_path / "out.png"))
    assert chunks[b"eXIf"] == exif and chunks[b"pHYs"] == density and chunks[b"tEXt"] == texts
    assert zlib.decompress(chunks[b"iCCP"].partition(b"\0")[2][1:]) == profile(1.8)
    with tifffile.TiffFile(written(canvas, tmp_path / "out.tif")) as file:
        tags = {tag.code: tag.value for tag in file.pages[0].tags}  # type: ignore[union-attr]
    assert tags[271] == "ACME" and tags[34675] == profile(1.8)
    assert tags[282] == pytest.approx((300, 1), rel=0.001) or tags[282][0] / tags[282][1] == pytest.approx(
        300, 0.01
    )
    assert tags[34665]["DateTimeOriginal"] == "2024:05:06 07:08:09"
    again = Canvas.load(written(Canvas.load(tmp_path / "out.tif"), tmp_path / "again.png"))
    assert again.file.metadata.dpi == pytest.approx((300, 240), abs=0.5)


def test_metadata_too_long_for_a_jpeg_is_left_out_with_a_note(tmp_path: Path) -> None:
    texts = PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", f"<x>{'a' * 70_000}</x>")
    Image.new("RGB", (4, 4)).save(tmp_path / "in.png", pnginfo=texts, exif=camera_exif())
    canvas = Canvas.load(tmp_path / "in.png")
    assert canvas.losses(canvas.encoding(tmp_path / "out.jpg")) == ["Not kept in JPEG: XMP data."]
    with Image.open(written(canvas, tmp_path / "out.jpg")) as out:
        assert out.getexif()[0x010F] == "ACME" and "xmp" not in out.info
    assert canvas.losses(canvas.encoding(tmp_path / "out.webp")) == []


def test_what_a_format_does_not_hold_is_named(tmp_path: Path) -> None:
    canvas = Canvas.load(rich_file(tmp_path, ".jpg"))
    losses = canvas.losses(canvas.encoding(tmp_path / "out.bmp"))
    assert losses == [
        "Not kept in BMP: the colour profile (the colours become sRGB), Exif data, XMP data, IPTC data,"
        " the comment."
    ]
    write_png16(tmp_path / "deep.png", noise(4, 4, 3))
    deep = Canvas.load(tmp_path / "deep.png")
    assert deep.losses(deep.encoding(tmp_path / "out.jpg")) == ["JPEG holds 8 bits: the 16 bits are reduced."]
    assert deep.losses(deep.encoding(tmp_path / "out.tif")) == []


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".tif", "-deep.png", "-deep.tif"])
def test_a_turned_picture_is_written_upright(tmp_path: Path, ending: str, orientation: int) -> None:
    """Pillow turns the picture with 8 bits as the independent reference."""
    if ending == "-deep.png":
        path = tmp_path / "in.png"
        write_png16(path, noise(24, 40, 3), (b"eXIf", camera_exif(orientation).tobytes()[6:]))
    elif ending == "-deep.tif":
        path = tmp_path / "in.tif"
        extra = [(274, "H", 1, orientation, True)]
        tifffile.imwrite(path, noise(24, 40, 3), photometric="rgb", extratags=extra)
    else:
        path = rich_file(tmp_path, ending, orientation)
    canvas = Canvas.load(path)
    upright = upright_by_pillow(
        noise(24, 40, 3, dtype=np.uint16 if "deep" in ending else np.uint8), orientation
    )
    if ending != ".jpg":
        assert (canvas.file.pixels.values == upright).all()
    out = written(canvas, tmp_path / f"out{path.suffix}")
    with Image.open(out) as image:
        assert image.size == upright.shape[1::-1]
        assert image.getexif().get(ORIENTATION, 1) == 1
        details = image.getexif().get_ifd(EXIF)
        if details:
            assert (details[WIDTH], details[HEIGHT]) == ((24, 40) if orientation > 4 else (40, 24))
    assert Canvas.load(out).whole == canvas.whole
    if ending != ".webp" and "deep" not in ending:
        wanted = (240, 300) if orientation > 4 else (300, 240)
        assert Canvas.load(out).file.metadata.dpi == pytest.approx(wanted, abs=0.5)


def upright_by_pillow(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    ways = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    places = Image.fromarray(
        np.arange(values.shape[0] * values.shape[1], dtype=np.int32).reshape(values.shape[:2])
    )
    turned = places.transpose(ways[orientation]) if orientation > 1 else places
    upright: NDArray[Any] = values.reshape(-1, values.shape[-1])[np.asarray(turned)]
    return upright


def test_the_old_thumbnail_is_removed_and_the_makers_notes_keep_their_place(tmp_path: Path) -> None:
    data = exif_with_thumbnail()
    Image.new("RGB", (8, 8)).save(tmp_path / "in.jpg", exif=b"Exif\0\0" + data)
    assert b"THUMBNAIL" in (tmp_path / "in.jpg").read_bytes()
    out = written(Canvas.load(tmp_path / "in.jpg"), tmp_path / "out.jpg").read_bytes()
    assert b"THUMBNAIL" not in out
    start = out.index(b"Exif\0\0") + 6
    assert out[start:].index(b"MAKER") == data.index(b"MAKER"), (
        "their offsets count from the start of the data"
    )


def exif_with_thumbnail() -> bytes:
    """Return Exif data with maker's notes, and a second directory with a thumbnail before the notes."""
    thumbnail, notes = b"THUMBNAIL" * 3 + b"\0", b"MAKER notes"
    first, second, details = 8, 8 + 2 + 24 + 4, 8 + 2 + 24 + 4 + 2 + 24 + 4
    picture = details + 2 + 12 + 4
    parts = [
        b"II*\0" + struct.pack("<I", first),
        struct.pack("<HHHIIHHIII", 2, ORIENTATION, 3, 1, 1, EXIF, 4, 1, details, second),
        struct.pack("<HHHIIHHIII", 2, 0x0201, 4, 1, picture, 0x0202, 4, 1, len(thumbnail), 0),
        struct.pack("<HHHIII", 1, 0x927C, 7, len(notes), picture + len(thumbnail), 0),
        thumbnail,
        notes,
    ]
    return b"".join(parts)


@pytest.mark.parametrize(
    "data", [b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff", b"MM\0*", b"junk", b""]
)
def test_damaged_exif_data_is_left_out(tmp_path: Path, data: bytes) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "in.jpg", exif=b"Exif\0\0" + data)
    with Image.open(written(Canvas.load(tmp_path / "in.jpg"), tmp_path / "out.jpg")) as out:
        assert out.size == (8, 8)
        assert not out.getexif()


# ── Colours ──────────────────────────────────────────────────────────────────────────────────────


def test_a_style_is_brought_into_the_profile_of_the_content(tmp_path: Path) -> None:
    """The same colours, stored in sRGB and in a wider space, are the same style for either content."""
    wide = profile(2.2, ((0.70, 0.29), *SRGB[1:]))
    values = noise(8, 8, 3, dtype=np.uint8) // 2 + 64
    srgb = Image.fromarray(values)
    srgb.save(tmp_path / "srgb.png")
    made = ImageCms.profileToProfile(
        srgb, ImageCms.createProfile("sRGB"), ImageCms.ImageCmsProfile(io.BytesIO(wide))
    )
    assert made is not None
    made.save(tmp_path / "wide.png", icc_profile=wide)
    canvases = {name: Canvas.load(tmp_path / f"{name}.png") for name in ("srgb", "wide")}
    for content in canvases.values():
        seen = [as_seen(style.in_colours_of(content)) for style in canvases.values()]
        assert np.abs(seen[0] - seen[1]).max() <= 2
        assert np.abs(seen[0] - as_seen(content)).max() <= 2
    unchanged = canvases["wide"].in_colours_of(canvases["wide"]).picture
    assert bytes(unchanged.pixels) == bytes(canvases["wide"].picture.pixels)


WIDE = {
    "Adobe RGB": profile(2.2, ADOBE_RGB),
    "Display P3": profile(primaries=DISPLAY_P3, curve=SRGB_CURVE),
    "ProPhoto": profile(1.8, PROPHOTO, white=D50),
}


def converted(image: Image.Image, own: bytes, wanted: bytes) -> Image.Image:
    """Convert a picture by LittleCMS, relative to the white."""
    given, target = (ImageCms.ImageCmsProfile(io.BytesIO(icc)) for icc in (own, wanted))
    made = ImageCms.profileToProfile(image, given, target, ImageCms.Intent.RELATIVE_COLORIMETRIC)
    assert made is not None
    return made


def in_lab(path: Path) -> NDArray[np.float64]:
    """Return the colours of a file by its profile in Lab, (H, W, 3), by LittleCMS."""
    with Image.open(path) as image:
        own = ImageCms.ImageCmsProfile(io.BytesIO(image.info.get("icc_profile") or profile(curve=SRGB_CURVE)))
        lab = ImageCms.profileToProfile(
            image.convert("RGB"), own, ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    assert lab is not None
    lightness, a, b = np.moveaxis(np.asarray(lab), -1, 0)
    return np.stack([lightness / 2.55, a.view(np.int8), b.view(np.int8)], axis=-1).astype(float)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["gallery", "light"])
@pytest.mark.parametrize("name", WIDE)
def test_a_picture_in_a_wide_profile_is_painted_like_its_twin_in_srgb(
    models: Path, tmp_path: Path, name: str, method: str
) -> None:
    """ΔE of Lab (CIE 1976); most of it comes from the 8 bits of the twin."""
    with Image.open(SAMPLES / "coffee.jpg") as photo:
        photo.thumbnail((160, 160))
        photo.save(tmp_path / "srgb.png")
        twin = converted(photo, profile(curve=SRGB_CURVE), WIDE[name])
        twin.save(tmp_path / "wide.png", icc_profile=WIDE[name])
    assert np.abs(in_lab(tmp_path / "srgb.png") - in_lab(tmp_path / "wide.png")).mean() < 1
    style = Canvas.load(SAMPLES / "starry_night.jpg")
    request = StyleTransfer(method=method, size=128, device="cpu")
    for file in ("srgb", "wide"):
        canvas = Canvas.load(tmp_path / f"{file}.png")
        styles = (style.in_colours_of(canvas).picture,) if method == "light" else ()
        *_, made = run.run(Submit(1, request, canvas.picture, canvas.whole, styles), models)
        assert isinstance(made, Result)
        canvas.save(tmp_path / f"{file}-made.png", made.picture, canvas.whole, None)
    with Image.open(tmp_path / "wide-made.png") as image:
        assert image.info["icc_profile"] == WIDE[name]
    painted = [in_lab(tmp_path / f"{file}-made.png") for file in ("srgb", "wide")]
    difference = np.linalg.norm(painted[0] - painted[1], axis=-1)
    assert difference.mean() < 1.5
    assert np.linalg.norm(painted[0] - in_lab(tmp_path / "srgb.png"), axis=-1).mean() > 5, "it is painted"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("name", WIDE)
def test_a_picture_in_a_wide_profile_keeps_every_bit_without_an_effect(
    tmp_path: Path, name: str, dtype: Any
) -> None:
    """Its colours may be beyond sRGB. Outside of the mask, or without an effect, no bit changes."""
    values = noise(40, 50, 3, dtype=dtype)
    icc = b"x\0\0" + zlib.compress(WIDE[name])
    if dtype == np.uint8:
        Image.fromarray(values).save(tmp_path / "in.png", icc_profile=WIDE[name])
    else:
        write_png16(tmp_path / "in.png", values, (b"iCCP", icc))
    Image.fromarray(noise(40, 50, dtype=np.uint8) // 128 * 128).save(tmp_path / "mask.png")
    canvas = Canvas.load(tmp_path / "in.png")
    unchanged = picture_tensors.write(picture_tensors.read(canvas.picture).image, canvas.picture)
    for mask in (None, canvas.load_mask(tmp_path / "mask.png")):
        canvas.save(tmp_path / "out.png", unchanged, canvas.whole, mask)
        again = Canvas.load(tmp_path / "out.png")
        assert (again.file.pixels.values == values).all()
        assert again.file.metadata.profile == WIDE[name]
    black = picture_tensors.write(torch.zeros(1, 3, 40, 50), canvas.picture)
    mask = canvas.load_mask(tmp_path / "mask.png")
    canvas.save(tmp_path / "out.png", black, canvas.whole, mask)
    made = Canvas.load(tmp_path / "out.png").file.pixels.values
    assert (made[mask.values == 0] == values[mask.values == 0]).all()
    assert (made != values).any()


def as_seen(canvas: Canvas) -> np.ndarray:
    """Return the colours that a network sees, (3, H, W), from 0 to 255."""
    return 255 * picture_tensors.read(canvas.picture).image[0].numpy()


def test_a_style_without_a_profile_counts_as_srgb_and_keeps_its_alpha(tmp_path: Path) -> None:
    Image.new("RGBA", (1, 1), (200, 30, 30, 77)).save(tmp_path / "style.png")
    Image.new("RGB", (1, 1)).save(tmp_path / "wide.png", icc_profile=profile(1.8))
    seen = Canvas.load(tmp_path / "style.png").in_colours_of(Canvas.load(tmp_path / "wide.png"))
    assert as_seen(seen)[:, 0, 0] == pytest.approx((200, 30, 30), abs=0.5)
    assert as_array(seen.picture)[0, 0, 3] == 77


@pytest.mark.parametrize("gamma", [1.0, 1.8])
def test_a_gray_profile_is_kept_and_a_style_brought_into_it(tmp_path: Path, gamma: float) -> None:
    gray = profile(gamma, kind=b"GRAY")
    Image.new("L", (2, 2), 100).save(tmp_path / "in.jpg", icc_profile=gray)
    Image.new("RGB", (2, 2), (128, 128, 128)).save(tmp_path / "style.png")
    canvas = Canvas.load(tmp_path / "in.jpg")
    assert as_seen(Canvas.load(tmp_path / "style.png").in_colours_of(canvas)) == pytest.approx(128, abs=0.5)
    light = (100 / 255) ** gamma
    assert as_seen(canvas) == pytest.approx(255 * (1.055 * light ** (1 / 2.4) - 0.055), abs=1)
    with Image.open(written(canvas, tmp_path / "out.jpg")) as out:
        assert out.mode == "L" and out.info["icc_profile"] == gray


def test_a_profile_of_another_colour_space_is_noted_and_left_out(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "in.png", icc_profile=profile(2.2, kind=b"GRAY"))
    canvas = Canvas.load(tmp_path / "in.png")
    assert "colour profile" in canvas.file.notes[0] and canvas.file.metadata.profile is None
    (tmp_path / "broken.png").write_bytes((tmp_path / "in.png").read_bytes().replace(b"GRAY", b"nope"))
    Image.new("RGB", (2, 2)).save(tmp_path / "broken.png", icc_profile=b"no profile")
    assert "colour profile" in Canvas.load(tmp_path / "broken.png").file.notes[0]


def test_a_lab_picture_becomes_srgb(tmp_path: Path) -> None:
    lab = ImageCms.profileToProfile(
        Image.new("RGB", (2, 2), (200, 100, 50)),
        ImageCms.createProfile("sRGB"),
        ImageCms.createProfile("LAB"),
        outputMode="LAB",
    )
    assert lab is not None
    lab.save(tmp_path / "in.tif")
    canvas = Canvas.load(tmp_path / "in.tif")
    assert as_array(canvas.picture)[0, 0] == pytest.approx((200, 100, 50), abs=3)


def test_cmyk_of_16_bits_is_read_with_a_note(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "in.tif", noise(8, 8, 4), photometric="separated")
    canvas = Canvas.load(tmp_path / "in.tif")
    assert canvas.picture.channels == "RGB"
    assert canvas.file.notes == ("Its 16 bits are reduced to 8.",)


def test_a_format_without_profiles_gets_srgb(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2), (200, 30, 30)).save(tmp_path / "in.png", icc_profile=profile(1.8))
    with Image.open(written(Canvas.load(tmp_path / "in.png"), tmp_path / "out.bmp")) as out:
        red, _, _ = out.getpixel((0, 0))  # type: ignore[misc]
        assert red > 205


# ── Masks ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("hidden", [0, 255])
def test_a_transparent_part_of_a_mask_keeps_the_picture(tmp_path: Path, mode: str, hidden: int) -> None:
    """Drawn in white on transparent; the hidden part is black or white."""
    Image.new("RGB", (3, 1)).save(tmp_path / "in.png")
    colours = 1 if mode == "LA" else 3
    mask = Image.new(mode, (3, 1), (*colours * [hidden], 0))
    mask.putpixel((1, 0), (*colours * [255], 255))
    mask.putpixel((2, 0), (*colours * [255], 51))
    mask.save(tmp_path / "mask.png")
    assert Canvas.load(tmp_path / "in.png").load_mask(tmp_path / "mask.png").values.tolist() == [[0, 1, 0.2]]


def test_a_completely_transparent_mask_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (3, 1)).save(tmp_path / "in.png")
    Image.new("LA", (3, 1), (255, 0)).save(tmp_path / "mask.png")
    with pytest.raises(PictureFileError, match="completely black or transparent"):
        Canvas.load(tmp_path / "in.png").load_mask(tmp_path / "mask.png")


@pytest.mark.parametrize("ending", [".png", ".tif", ".webp", ".jxl"])
@pytest.mark.parametrize("depth", [8, 16])
def test_pixels_outside_the_mask_keep_every_bit_in_lossless_formats(
    tmp_path: Path, ending: str, depth: int
) -> None:
    values = noise(9, 11, 4, dtype=np.uint16 if depth == 16 else np.uint8)
    if depth == 16:
        write_png16(tmp_path / "in.png", values)
    else:
        Image.fromarray(values).save(tmp_path / "in.png")
    mask = np.zeros((9, 11), np.uint8)
    mask[3:6, 2:9] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    canvas = Canvas.load(tmp_path / "in.png")
    chosen = canvas.load_mask(tmp_path / "mask.png")
    part = np.zeros((3, 7, 4), values.dtype)
    canvas.save(
        tmp_path / f"out{ending}",
        Picture(7, 3, "RGBA", canvas.picture.depth, part.tobytes()),
        chosen.region,
        chosen,
    )
    out = as_array(Canvas.load(tmp_path / f"out{ending}").picture)
    wanted = values if out.dtype == values.dtype else np.rint(values / 257)
    assert (out[mask == 0] == wanted[mask == 0]).all()
    assert (out[mask == 255] == 0).all()


# ── Size, and other formats ──────────────────────────────────────────────────────────────────────


def claim(path: Path, width: int, height: int) -> None:
    """Write a PNG that claims a size and has almost no pixels."""
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        putchunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        putchunk(file, b"IDAT", zlib.compress(b"\0"))
        putchunk(file, b"IEND", b"")


def test_a_photo_of_108_megapixels_is_read_and_larger_ones_if_the_user_says_so(tmp_path: Path) -> None:
    Image.new("L", (12_000, 9_000), 90).save(tmp_path / "phone.jpg")
    assert Canvas.load(tmp_path / "phone.jpg").whole.width == 12_000
    claim(tmp_path / "larger.png", 20_000, 20_000)
    with pytest.raises(PictureFileError, match=r"400 megapixels.*--max-megapixels"):
        Canvas.load(tmp_path / "larger.png")
    with pytest.raises(PictureFileError, match="cannot be read"):
        Canvas.load(tmp_path / "larger.png", max_megapixels=500)


def test_a_picture_without_pixels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in.ppm").write_bytes(b"P6\n24 0\n65535\n")
    with pytest.raises(PictureFileError, match="it has no pixels"):
        Canvas.load(tmp_path / "in.ppm")


def test_a_postscript_file_is_not_executed_whatever_its_name(tmp_path: Path) -> None:
    """Ghostscript would write the file."""
    program = f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n({tmp_path}/ran) (w) file closefile\n"
    for name in ("style.png", "style.eps", "style.jpg"):
        (tmp_path / name).write_text(program)
        with pytest.raises(PictureFileError, match="none of the formats"):
            Canvas.load(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_no_picture_is_opened_without_an_allow_list() -> None:
    """Also by the installer and for thumbnails."""
    checkout = Path(__file__).parents[2]
    for file in [*checkout.glob("backend/**/*.py"), *checkout.glob("installer/*.py")]:
        for line in file.read_text(encoding="utf-8").splitlines():
            assert "Image.open(" not in line or "formats=" in line, f"{file}: {line}"


def test_a_misspelt_file_name_gets_a_suggestion(tmp_path: Path) -> None:
    (tmp_path / "painting.jpg").touch()
    with pytest.raises(PictureFileError, match=r"Did you mean painting\.jpg\?"):
        Canvas.load(tmp_path / "paintng.jpg")
    with pytest.raises(PictureFileError, match="Check its name"):
        Canvas.load(tmp_path / "nowhere" / "paintng.jpg")


def test_a_file_of_gimp_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "in.xcf").write_bytes(b"gimp xcf v011\0")
    with pytest.raises(PictureFileError, match="Export it"):
        Canvas.load(tmp_path / "in.xcf")


def test_a_drawing_is_rendered_without_reading_other_files(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), (255, 0, 0)).save(tmp_path / "secret.png")
    drawing = f"""<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"
        xmlns:xlink="http://www.w3.org/1999/xlink"><rect width="40" height="20" fill="#0000ff"/>
        <image href="{tmp_path}/secret.png" width="40" height="20"/>
        <image xlink:href="file://{tmp_path}/secret.png" width="40" height="20"/></svg>"""
    (tmp_path / "style.svg").write_text(drawing)
    canvas = Canvas.load(tmp_path / "style.svg")
    assert (canvas.whole.width, canvas.whole.height) == (2048, 1024)
    assert set(map(tuple, as_array(canvas.picture)[500, ::100, :3].tolist())) == {(0, 0, 255)}


@pytest.mark.parametrize("name", ["out.jpg", "out.bmp", "out.ppm", "out.hdr"])
def test_transparency_is_never_lost_in_silence(tmp_path: Path, name: str) -> None:
    Image.new("RGBA", (4, 4), (1, 2, 3, 4)).save(tmp_path / "in.png")
    canvas = Canvas.load(tmp_path / "in.png")
    with pytest.raises(PictureFileError, match="holds no transparency"):
        canvas.check_savable(tmp_path / name)


def test_a_heif_and_an_mpo_and_a_jpeg_xl_file_are_read(tmp_path: Path) -> None:
    with Image.open(SAMPLES / "coffee.jpg") as photo:
        small = photo.resize((60, 40))
    small.save(tmp_path / "in.mpo", "MPO", save_all=True, append_images=[small])
    small.save(tmp_path / "in.avif")
    pillow_heif.from_pillow(small).save(tmp_path / "in.heic")
    reference = np.asarray(small).astype(int)
    written(Canvas.load(tmp_path / "in.mpo"), tmp_path / "in.jxl")
    readers: dict[str, Callable[[Path], Canvas]] = dict.fromkeys(
        ("in.mpo", "in.avif", "in.heic", "in.jxl"), Canvas.load
    )
    for name, load in readers.items():
        canvas = load(tmp_path / name)
        assert np.abs(as_array(canvas.picture) - reference).mean() < 10, name
        assert canvas.file.notes == ()


# ── Writing ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def canvas(tmp_path: Path) -> Canvas:
    Image.new("RGB", (4, 4), (9, 9, 9)).save(tmp_path / "in.png")
    return Canvas.load(tmp_path / "in.png")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_the_mode_of_a_replaced_file_is_kept(tmp_path: Path, canvas: Canvas, mode: int) -> None:
    out = tmp_path / "out.png"
    out.touch()
    out.chmod(mode)
    written(canvas, out)
    assert out.stat().st_mode & 0o777 == mode
    assert out.stat().st_size > 0


def test_the_owner_of_a_replaced_file_is_kept(tmp_path: Path, canvas: Canvas) -> None:
    out = tmp_path / "out.png"
    out.touch()
    if os.geteuid() == 0:
        os.chown(out, 12345, 12345)
    before = out.stat()
    written(canvas, out)
    assert (out.stat().st_uid, out.stat().st_gid) == (before.st_uid, before.st_gid)


def test_a_new_file_has_the_usual_mode(tmp_path: Path, canvas: Canvas) -> None:
    mask = os.umask(0o027)
    try:
        written(canvas, tmp_path / "out.png")
    finally:
        os.umask(mask)
    assert (tmp_path / "out.png").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_is_followed_and_stays_a_link(tmp_path: Path, canvas: Canvas, dangling: bool) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "real.png", tmp_path / "out.png"
    if not dangling:
        target.write_bytes(b"old")
    link.symlink_to(Path("elsewhere", "real.png"))
    written(canvas, link)
    assert link.is_symlink()
    assert Canvas.load(target).picture == canvas.picture
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["elsewhere", "in.png", "out.png", "real.png"]


def test_drafts_have_unpredictable_names_and_are_private(
    tmp_path: Path, canvas: Canvas, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend.command.picture_files import canvas as module

    seen = []

    def watch(path: Path, *rest: Any) -> None:
        assert path.stat().st_mode & 0o077 == 0
        seen.append(path)
        raise OSError("stopped here")

    monkeypatch.setattr(module, "write", watch)
    for _ in range(2):
        with pytest.raises(PictureFileError):
            canvas.save(tmp_path / "out.png", canvas.picture, canvas.whole, None)
    assert len(set(seen)) == 2 and str(os.getpid()) not in seen[0].stem.split("-")
    assert {path.parent for path in seen} == {tmp_path}
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]


def test_a_write_protected_file_is_not_replaced(
    tmp_path: Path, canvas: Canvas, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the tests run as root, no file is write-protected."""
    out = tmp_path / "out.png"
    out.write_bytes(b"old")
    out.chmod(0o444)
    if os.geteuid() == 0:
        monkeypatch.setattr(os, "access", lambda path, mode: (mode, Path(path)) != (os.W_OK, out))
    for attempt in (canvas.check_savable, lambda path: written(canvas, path)):
        with pytest.raises(PictureFileError, match="Permission denied"):
            attempt(out)
    assert out.read_bytes() == b"old"
    assert names_in(tmp_path) == ["in.png", "out.png"]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_pipe_and_a_device_are_written_to(tmp_path: Path, canvas: Canvas) -> None:
    pipe = tmp_path / "out.png"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    written(canvas, pipe)
    assert os.read(reader, 100_000).startswith(b"\x89PNG")
    os.close(reader)
    assert not pipe.is_file()


@pytest.mark.parametrize("name", ["ä" * 120 + ".png", "x" * 251 + ".png", "-o.png", "a b\n.png"])
def test_long_and_unusual_names_work(tmp_path: Path, canvas: Canvas, name: str) -> None:
    assert written(canvas, tmp_path / name).stat().st_size > 0


@pytest.mark.parametrize("ending", [b".png", b".tif", b".exr"])
def test_names_that_are_no_utf_8_work(tmp_path: Path, ending: bytes) -> None:
    write_png16(tmp_path / "in.png", noise(4, 5, 3))
    odd_in = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xe9.png"))
    (tmp_path / "in.png").rename(odd_in)
    canvas = Canvas.load(odd_in)
    out = written(canvas, Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xfe" + ending)))
    assert Canvas.load(out).whole == canvas.whole
