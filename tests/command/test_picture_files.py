"""Reading and writing picture files, and blending through a mask, compared bit for bit."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import fuzz_corpus
import numpy as np
import pytest
from PIL import Image, ImageCms

from atelier_shared.messages import MAX_SIDE_PX, Picture, Region
from backend.command.picture_files import Canvas, PictureFileError
from backend.command.picture_files.profiles import GRID, ProfileCoding

MODES = ["L", "LA", "RGB", "RGBA", "I;16"]


def random_file(path: Path, mode: str, size: tuple[int, int] = (7, 5)) -> bytes:
    """Write a file of random pixels, and return the pixels."""
    count = len(Image.new(mode, size).tobytes())
    pixels = np.random.default_rng(0).integers(0, 256, count, dtype=np.uint8).tobytes()
    Image.frombytes(mode, size, pixels).save(path)
    return pixels


def inverted(canvas: Canvas, region: Region) -> Picture:
    picture = canvas.picture
    bytes_a_pixel = picture.pixel_bytes
    rows = np.frombuffer(picture.pixels, np.uint8).reshape(picture.height, picture.width, bytes_a_pixel)
    part = rows[region.y : region.y + region.height, region.x : region.x + region.width]
    return Picture(region.width, region.height, picture.channels, picture.depth, (255 - part).tobytes())


@pytest.mark.parametrize("mode", MODES)
def test_a_picture_is_written_as_it_was_read(tmp_path: Path, mode: str) -> None:
    pixels = random_file(tmp_path / "in.png", mode)
    canvas = Canvas.load(tmp_path / "in.png")
    assert canvas.picture.pixels == pixels
    canvas.save(tmp_path / "out.png", canvas.picture, canvas.whole, None)
    with Image.open(tmp_path / "out.png") as out:
        assert (out.mode, out.tobytes()) == (mode, pixels)


@pytest.mark.parametrize("mode", MODES)
def test_pixels_outside_the_mask_keep_every_bit(tmp_path: Path, mode: str) -> None:
    pixels = random_file(tmp_path / "in.png", mode)
    mask = np.zeros((5, 7), np.uint8)
    mask[1:4, 2:6] = 255
    mask[2, 3] = 0
    Image.fromarray(mask).save(tmp_path / "mask.png")
    canvas = Canvas.load(tmp_path / "in.png")
    read = canvas.load_mask(tmp_path / "mask.png")
    assert read.region == Region(2, 1, 4, 3)
    canvas.save(tmp_path / "out.png", inverted(canvas, read.region), read.region, read)
    before = np.frombuffer(pixels, np.uint8).reshape(5, 7, -1)
    with Image.open(tmp_path / "out.png") as out:
        after = np.frombuffer(out.tobytes(), np.uint8).reshape(5, 7, -1)
    assert (after[mask == 0] == before[mask == 0]).all()
    assert (after[mask == 255] == 255 - before[mask == 255]).all()


def test_half_a_mask_blends_in_linear_light(tmp_path: Path) -> None:
    """Half of white over black is a linear 128/255, coded in sRGB as 188, not 128."""
    Image.new("L", (1, 1), 0).save(tmp_path / "black.png")
    Image.new("L", (1, 1), 128).save(tmp_path / "half.png")
    canvas = Canvas.load(tmp_path / "black.png")
    mask = canvas.load_mask(tmp_path / "half.png")
    canvas.save(tmp_path / "out.png", Picture(1, 1, "Y", "u8", b"\xff"), canvas.whole, mask)
    with Image.open(tmp_path / "out.png") as out:
        assert out.getpixel((0, 0)) == 188


@pytest.mark.parametrize(
    ("mode", "under", "over", "expected"),
    [
        ("LA", (0, 255), (255, 255), (188, 255)),
        ("LA", (0, 0), (255, 255), (255, 128)),
        ("LA", (0, 0), (255, 0), (188, 0)),
        ("RGBA", (10, 20, 30, 255), (200, 100, 50, 0), (10, 20, 30, 127)),
        ("RGBA", (0, 0, 0, 85), (255, 255, 255, 255), (225, 225, 225, 170)),
    ],
)
def test_half_a_mask_blends_alpha_linearly_and_weights_colours_by_alpha(
    tmp_path: Path, mode: str, under: tuple[int, ...], over: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    """The last case: of the alpha 85 · 127/255 + 255 · 128/255 = 170, white has 0.7515, coded as 225."""
    Image.new(mode, (1, 1), under).save(tmp_path / "under.png")
    Image.new("L", (1, 1), 128).save(tmp_path / "half.png")
    canvas = Canvas.load(tmp_path / "under.png")
    made = Picture(1, 1, canvas.picture.channels, "u8", bytes(over))
    canvas.save(tmp_path / "out.png", made, canvas.whole, canvas.load_mask(tmp_path / "half.png"))
    with Image.open(tmp_path / "out.png") as out:
        assert out.getpixel((0, 0)) == expected


def test_the_colour_profile_is_kept_and_a_rotated_photo_is_read_upright(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (4, 2)).save(tmp_path / "in.jpg", icc_profile=profile, exif=exif)
    canvas = Canvas.load(tmp_path / "in.jpg")
    assert (canvas.picture.width, canvas.picture.height) == (2, 4)
    canvas.save(tmp_path / "out.jpg", canvas.picture, canvas.whole, None)
    with Image.open(tmp_path / "out.jpg") as out:
        assert out.info["icc_profile"] == profile


def test_a_picture_with_a_palette_is_read_as_rgb(tmp_path: Path) -> None:
    image = Image.new("P", (1, 1), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.save(tmp_path / "in.png")
    assert Canvas.load(tmp_path / "in.png").picture == Picture(1, 1, "RGB", "u8", bytes([10, 20, 30]))


def cmyk_profile() -> bytes:
    """Return an ICC profile in which magenta over yellow is the gray of L* = 50, and all else is white.

    ICC.1:2010, 10.10 (lut8Type): after the header and a table of one tag, curves of 256 bytes for each
    channel and the Lab colours of 2⁴ mixtures.
    """
    mixtures = [bytes([128 if mixture == 0b0110 else 255, 128, 128]) for mixture in range(16)]
    matrix = struct.pack(">9i", *[65536, 0, 0, 0, 65536, 0, 0, 0, 65536])
    straight = bytes(range(256))
    lut = b"mft1\0\0\0\0\4\3\2\0" + matrix + 4 * straight + b"".join(mixtures) + 3 * straight
    tags = struct.pack(">I4sII", 1, b"A2B0", 144, len(lut)) + lut
    kinds = struct.pack(">II4s4s4s", 128 + len(tags), 0, b"\2\x10\0\0", b"prtr", b"CMYK") + b"Lab "
    return (kinds.ljust(36, b"\0") + b"acsp").ljust(128, b"\0") + tags


def test_a_cmyk_photo_is_converted_to_srgb_by_its_profile(tmp_path: Path) -> None:
    Image.new("CMYK", (1, 1), (0, 255, 255, 0)).save(tmp_path / "in.tif", icc_profile=cmyk_profile())
    canvas = Canvas.load(tmp_path / "in.tif")
    canvas.save(tmp_path / "out.png", canvas.picture, canvas.whole, None)
    with Image.open(tmp_path / "out.png") as out:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(out.info["icc_profile"])).profile
        assert (out.mode, profile.xcolor_space) == ("RGB", "RGB ")
        assert out.getpixel((0, 0)) == pytest.approx((119, 119, 119), abs=2), "sRGB's gray of L* = 50"


@pytest.mark.parametrize("mode", ["I;16B", "I;16", "I"])
def test_sixteen_bits_are_kept_in_every_storage_format(tmp_path: Path, mode: str) -> None:
    levels = np.array([[0, 300, 30_000, 65_535]])
    dtype = {"I;16B": ">u2", "I;16": "<u2", "I": "<i4"}[mode]
    Image.frombytes(mode, (4, 1), levels.astype(dtype).tobytes()).save(tmp_path / "in.tif")
    canvas = Canvas.load(tmp_path / "in.tif")
    assert canvas.picture == Picture(4, 1, "Y", "u16", levels.astype("<u2").tobytes())
    canvas.save(tmp_path / "out.png", canvas.picture, canvas.whole, None)
    with Image.open(tmp_path / "out.png") as out:
        assert np.asarray(out).tolist() == levels.tolist()


@pytest.mark.parametrize("image", [Image.new("I", (1, 1), 70_000)])
def test_values_beyond_16_bits_are_refused(tmp_path: Path, image: Image.Image) -> None:
    image.save(tmp_path / "in.tif")
    with pytest.raises(PictureFileError, match="save it as 16-bit"):
        Canvas.load(tmp_path / "in.tif")


def test_the_transparent_colour_of_a_png_becomes_alpha(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), (1, 2, 3)).save(tmp_path / "in.png", transparency=(1, 2, 3))
    assert Canvas.load(tmp_path / "in.png").picture == Picture(1, 1, "RGBA", "u8", bytes([1, 2, 3, 0]))


def test_a_mask_of_16_bits_keeps_its_depth(tmp_path: Path) -> None:
    random_file(tmp_path / "in.png", "L", (2, 1))
    Image.fromarray(np.array([[30_000, 65_535]], np.uint16)).save(tmp_path / "mask.png")
    mask = Canvas.load(tmp_path / "in.png").load_mask(tmp_path / "mask.png")
    assert mask.values.tolist() == [[30_000 / 65_535, 1]]


def test_a_mask_is_read_upright_like_its_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (4, 2)).save(tmp_path / "in.png", exif=exif)
    lying = Image.new("L", (4, 2))
    lying.putpixel((0, 0), 255)
    lying.save(tmp_path / "mask.png", exif=exif)
    mask = Canvas.load(tmp_path / "in.png").load_mask(tmp_path / "mask.png")
    assert mask.region == Region(1, 0, 1, 1), "turned right, the top left corner is at the right"


def test_a_region_is_cropped_with_its_context(tmp_path: Path) -> None:
    random_file(tmp_path / "in.png", "RGB", (300, 200))
    canvas = Canvas.load(tmp_path / "in.png")
    content, region = canvas.content_of(Region(120, 20, 30, 10))
    with Image.open(tmp_path / "in.png") as image:
        assert content.pixels == image.crop((24, 0, 246, 126)).tobytes()
    assert (content.width, content.height) == (222, 126)
    assert region == Region(96, 20, 30, 10)


def test_a_picture_above_the_maximum_size_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.new("1", (MAX_SIDE_PX + 1, 1)).save(tmp_path / "in.png")
    with pytest.raises(PictureFileError, match="longer side has more than"):
        Canvas.load(tmp_path / "in.png")


@pytest.mark.parametrize("file", ["found-iccp", "found-strip-offset"])
def test_unexpected_errors_of_pillow_are_reported(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_bytes(fuzz_corpus.read("pictures")[file])
    with pytest.raises(PictureFileError, match=r"cannot be read as a picture: .+\.$"):
        Canvas.load(tmp_path / file)


def broken_files(folder: Path) -> dict[str, Path]:
    (folder / "text.png").write_text("not a picture")
    (folder / "empty.png").touch()
    random_file(folder / "whole.png", "RGB", (50, 50))
    (folder / "cut.png").write_bytes((folder / "whole.png").read_bytes()[:3000])
    Image.new("L", (20_000, 20_000)).save(folder / "bomb.png")
    return {
        name: folder / name for name in ("missing.png", "text.png", "empty.png", "cut.png", "bomb.png", ".")
    }


def test_files_that_are_not_pictures_are_reported(tmp_path: Path) -> None:
    for name, path in broken_files(tmp_path).items():
        with pytest.raises(PictureFileError, match=r"\.$"):
            Canvas.load(path)
            pytest.fail(f"{name} was read")


@pytest.mark.parametrize("mask", [Image.new("L", (7, 5)), Image.new("L", (5, 7), 255)], ids=["black", "size"])
def test_a_black_mask_and_a_mask_of_another_size_are_refused(tmp_path: Path, mask: Image.Image) -> None:
    random_file(tmp_path / "in.png", "RGB")
    mask.save(tmp_path / "mask.png")
    with pytest.raises(PictureFileError, match=r"\.$"):
        Canvas.load(tmp_path / "in.png").load_mask(tmp_path / "mask.png")


@pytest.mark.parametrize(
    "name", ["out.nonsense", "nowhere/out.png", "out", "out.psd", "out.jpg", "in.png/out.png"]
)
def test_a_file_that_cannot_be_written_is_reported_and_leaves_no_other_file(
    tmp_path: Path, name: str
) -> None:
    random_file(tmp_path / "in.png", "RGBA")
    canvas = Canvas.load(tmp_path / "in.png")
    with pytest.raises(PictureFileError, match=r"\.$"):
        canvas.check_savable(tmp_path / name)
    with pytest.raises(PictureFileError, match=r"\.$"):
        canvas.save(tmp_path / name, canvas.picture, canvas.whole, None)
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]


def test_a_folder_of_the_same_name_is_reported(tmp_path: Path) -> None:
    random_file(tmp_path / "in.png", "RGB")
    with pytest.raises(PictureFileError, match="is a folder"):
        Canvas.load(tmp_path / "in.png").check_savable(tmp_path)


def test_the_check_for_writing_keeps_an_existing_file(tmp_path: Path) -> None:
    random_file(tmp_path / "in.png", "RGB")
    before = (tmp_path / "in.png").read_bytes()
    Canvas.load(tmp_path / "in.png").check_savable(tmp_path / "in.png")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]


@pytest.mark.parametrize(
    ("mode", "pixel", "channels", "expected"),
    [
        ("RGB", (1, 2, 3), "RGBA", [(1, 2, 3, 0), (1, 2, 3, 51), (1, 2, 3, 255)]),
        ("RGBA", (1, 2, 3, 100), "RGBA", [(1, 2, 3, 0), (1, 2, 3, 20), (1, 2, 3, 100)]),
        ("L", 7, "YA", [(7, 0), (7, 51), (7, 255)]),
    ],
)
def test_a_mask_becomes_alpha(
    tmp_path: Path, mode: str, pixel: int | tuple[int, ...], channels: str, expected: list[tuple[int, ...]]
) -> None:
    Image.new(mode, (3, 1), pixel).save(tmp_path / "in.png")
    Image.frombytes("L", (3, 1), bytes([0, 51, 255])).save(tmp_path / "mask.png")
    canvas = Canvas.load(tmp_path / "in.png")
    seen = canvas.seen_through(canvas.load_mask(tmp_path / "mask.png"))
    assert (seen.width, seen.height, seen.channels, seen.depth) == (3, 1, channels, "u8")
    assert bytes(seen.pixels) == b"".join(map(bytes, expected))


def test_a_mask_becomes_alpha_of_16_bits(tmp_path: Path) -> None:
    Image.fromarray(np.array([[30_000, 40_000]], np.uint16)).save(tmp_path / "in.png")
    Image.frombytes("L", (2, 1), bytes([0, 255])).save(tmp_path / "mask.png")
    canvas = Canvas.load(tmp_path / "in.png")
    seen = canvas.seen_through(canvas.load_mask(tmp_path / "mask.png"))
    assert (seen.channels, seen.depth) == ("YA", "u16")
    assert np.frombuffer(seen.pixels, "<u2").tolist() == [30_000, 0, 40_000, 65_535]


@pytest.mark.parametrize("depth", ["u8", "u16", "f32"])
def test_colours_slightly_above_white_do_not_become_black(depth: str) -> None:
    """They arise when premultiplied colours are divided by their alpha."""
    colours = np.full((1, 1, 3), 1.01, np.float32)
    adobe_rgb = ProfileCoding(curves=(GRID**2.2,) * 3)
    assert adobe_rgb.with_srgb_s_curve(colours, depth).min() >= 1
