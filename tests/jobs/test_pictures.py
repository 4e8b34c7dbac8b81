"""Pictures to image tensors and back: all channels and depths, alpha, hidden colours, crops."""

from __future__ import annotations

import dataclasses
import itertools
import struct

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from atelier_shared.errors import ProtocolError
from atelier_shared.messages import CHANNELS, DEPTH_BYTES, Picture, Region
from backend.jobs import picture_tensors
from backend.jobs.picture_arrays import DTYPES, crop

FORMATS = list(itertools.product(CHANNELS, DEPTH_BYTES))
LARGEST = {"u8": 255, "u16": 65535, "f32": 1.0}


def random_picture(channels: str, depth: str, width: int = 7, height: int = 5, seed: int = 3) -> Picture:
    """Return random values; in a picture with alpha the first row is transparent and the second opaque."""
    values = np.random.default_rng(seed).random((height, width, CHANNELS[channels]))
    if channels.endswith("A"):
        values[0, :, -1], values[1, :, -1] = 0, 1
    scaled = values if depth == "f32" else np.round(values * LARGEST[depth])
    pixels = scaled.astype(DTYPES[depth]).tobytes()
    return Picture(width, height, channels, depth, pixels)


def values_of(picture: Picture) -> list[float]:
    code = {"u8": "B", "u16": "H", "f32": "f"}[picture.depth]
    count = len(picture.pixels) // DEPTH_BYTES[picture.depth]
    return list(struct.unpack(f"<{count}{code}", picture.pixels))


@pytest.mark.parametrize(("channels", "depth"), FORMATS)
def test_an_unchanged_image_is_written_as_the_same_picture(channels: str, depth: str) -> None:
    picture = random_picture(channels, depth)
    back = picture_tensors.write(picture_tensors.read(picture).image, picture)
    assert (back.channels, back.depth, back.width, back.height) == (channels, depth, 7, 5)
    if depth == "f32":
        assert values_of(back) == pytest.approx(values_of(picture), abs=2e-7)
    else:
        assert bytes(back.pixels) == picture.pixels


ADOBE_TO_SRGB = (1.3983, -0.3983, 0.0, 0.0, 1.0, 0.0, 0.0, -0.0429, 1.0429)


@pytest.mark.parametrize("depth", DEPTH_BYTES)
@pytest.mark.parametrize("channels", ["RGB", "RGBA"])
def test_other_primaries_are_converted_for_the_network_and_back(channels: str, depth: str) -> None:
    """With the curve of sRGB, its red is (220, 0, 0) in Adobe RGB, whose green is beyond sRGB."""
    one = {"u8": 1, "u16": 257, "f32": 1 / 255}[depth]
    colours = [(219.9, 0, 0), (0, 255, 0), (100, 100, 100)]
    pixels = np.array([(*colour, 255)[: CHANNELS[channels]] for colour in colours]) * one
    stored = pixels if depth == "f32" else pixels.round()
    own = Picture(3, 1, channels, depth, stored.astype(DTYPES[depth]).tobytes(), ADOBE_TO_SRGB)
    image = picture_tensors.read(own).image
    seen = 255 * image[0, :, 0].T
    assert seen.tolist() == [pytest.approx(c, abs=1) for c in ((255, 0, 0), (0, 255, 0), (100, 100, 100))]
    back = picture_tensors.write(image, own)
    assert back == own, "an unchanged picture keeps its colours beyond sRGB, bit for bit"
    painted = picture_tensors.write(torch.tensor([[255, 0, 0]] * 3).T[None, :, None] / 255, own)
    made = np.array(values_of(painted)).reshape(3, -1)[:, :3] / one
    assert made == pytest.approx(np.array([(219.9, 0, 0)] * 3), abs=1.2)
    slightly = picture_tensors.write((image - 0.02).clamp(0, 1), own)
    _, green, _ = np.array(values_of(slightly)).reshape(3, -1)[:, :3] / one
    assert green[0] < 40, "a little darker, it is still more saturated than any colour of sRGB"


def test_every_random_picture_with_other_primaries_is_unchanged_without_an_effect() -> None:
    for (channels, depth), gamma in itertools.product(FORMATS, (0, 1.8, 2.2)):
        to_srgb = ADOBE_TO_SRGB if channels.startswith("RGB") else ()
        if not (to_srgb or gamma):
            continue  # sRGB is not converted
        own = dataclasses.replace(random_picture(channels, depth, 64, 300), to_srgb=to_srgb, gamma=gamma)
        assert picture_tensors.write(picture_tensors.read(own).image, own) == own


def test_a_power_is_decoded_for_the_network_and_encoded_again() -> None:
    own = Picture(2, 1, "Y", "u8", bytes([100, 200]), gamma=1.8)
    image = picture_tensors.read(own).image
    light = (np.array([100, 200]) / 255) ** 1.8
    assert image[0, 1, 0].numpy() == pytest.approx(1.055 * light ** (1 / 2.4) - 0.055, abs=1e-4)
    white = picture_tensors.write(torch.full_like(image, 0.5), own)
    assert list(white.pixels) == [round(255 * 0.2140 ** (1 / 1.8))] * 2
    with pytest.raises(ProtocolError, match="curve"):
        Picture(1, 1, "Y", "u8", b"a", gamma=50.0)


@pytest.mark.parametrize("to_srgb", [(0.0,) * 9, (1.0,) * 8, (float("nan"),) * 9])
def test_unusable_primaries_are_refused(to_srgb: tuple[float, ...]) -> None:
    with pytest.raises(ProtocolError, match="primaries"):
        Picture(1, 1, "RGB", "u8", b"abc", to_srgb)
    with pytest.raises(ProtocolError, match="primaries"):
        Picture(1, 1, "Y", "u8", b"a", ADOBE_TO_SRGB)


@pytest.mark.parametrize("depth", ["u8", "u16"])
@pytest.mark.parametrize("channels", ["Y", "RGB"])
def test_every_integer_value_survives_a_round_trip(channels: str, depth: str) -> None:
    one_of_each = np.arange(LARGEST[depth] + 1, dtype=DTYPES[depth])
    pixels = np.repeat(one_of_each, CHANNELS[channels]).tobytes()
    picture = Picture(len(one_of_each), 1, channels, depth, pixels)
    assert bytes(picture_tensors.write(picture_tensors.read(picture).image, picture).pixels) == pixels


@pytest.mark.parametrize(
    ("depth", "pixels"),
    [
        ("u8", bytes([255, 0, 51])),
        ("u16", b"\xff\xff\x00\x00\x33\x33"),
        ("f32", struct.pack("<3f", 1.0, 0.0, 0.2)),
    ],
)
def test_read_scales_little_endian_values_to_one(depth: str, pixels: bytes) -> None:
    image, visible = picture_tensors.read(Picture(1, 1, "RGB", depth, pixels))
    assert visible is None
    assert image.dtype == torch.float32
    torch.testing.assert_close(image, torch.tensor([1.0, 0.0, 0.2]).reshape(1, 3, 1, 1))


def test_read_keeps_the_order_of_rows_and_columns() -> None:
    image = picture_tensors.read(Picture(3, 2, "RGB", "u8", bytes(range(18)))).image
    assert image.shape == (1, 3, 2, 3)
    assert (image[0, :, 1, 2] * 255).tolist() == pytest.approx([15, 16, 17])


@pytest.mark.parametrize("buffer", [bytes, bytearray, memoryview, lambda b: memoryview(bytearray(b))])
def test_read_accepts_any_buffer_and_does_not_change_it(buffer: type) -> None:
    picture = Picture(2, 1, "RGBA", "u8", buffer(bytes([9, 8, 7, 0, 1, 2, 3, 255])))
    for values in picture_tensors.read(picture):
        assert values is not None
        values.zero_()
    assert bytes(picture.pixels) == bytes([9, 8, 7, 0, 1, 2, 3, 255])


def test_float_values_out_of_range_are_clamped() -> None:
    image = picture_tensors.read(Picture(1, 1, "RGB", "f32", struct.pack("<3f", -2.0, 0.5, 7.0))).image
    assert image.flatten().tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_infinite_and_undefined_values_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="infinite"):
        picture_tensors.read(Picture(1, 1, "Y", "f32", struct.pack("<f", value)))


@pytest.mark.parametrize(("channels", "depth"), [form for form in FORMATS if form[0].endswith("A")])
def test_alpha_and_hidden_colours_are_kept_bit_for_bit(channels: str, depth: str) -> None:
    picture = random_picture(channels, depth)
    made = picture_tensors.write(torch.full((1, 3, 5, 7), 0.5), picture)
    before, after = (np.array(values_of(p)).reshape(5, 7, -1) for p in (picture, made))
    assert (after[..., -1] == before[..., -1]).all()
    assert (after[0] == before[0]).all()
    assert (abs(after[1:, :, :-1] - 0.5 * LARGEST[depth]) <= 0.5).all()


def test_the_visibility_is_alpha_unless_fully_opaque() -> None:
    faint = Picture(2, 2, "RGBA", "u8", bytes([1, 2, 3, 255, 1, 2, 3, 51, 1, 2, 3, 0, 1, 2, 3, 255]))
    visible = picture_tensors.read(faint).visible
    assert visible is not None
    torch.testing.assert_close(visible, torch.tensor([[[[1.0, 0.2], [0.0, 1.0]]]]))
    assert picture_tensors.read(Picture(2, 1, "YA", "u8", bytes([7, 255, 8, 255]))).visible is None
    beyond = Picture(2, 1, "YA", "f32", struct.pack("<4f", 0.5, 7.0, 0.5, -1.0))
    torch.testing.assert_close(picture_tensors.read(beyond).visible, torch.tensor([[[[1.0, 0.0]]]]))


@pytest.mark.parametrize(("channels", "depth"), [form for form in FORMATS if form[0].endswith("A")])
def test_an_opaque_picture_has_colours_in_transparent_pixels(channels: str, depth: str) -> None:
    made = picture_tensors.write(torch.full((1, 3, 5, 7), 0.5), random_picture(channels, depth), opaque=True)
    values = np.array(values_of(made)).reshape(5, 7, -1)
    assert (values[..., -1] == LARGEST[depth]).all()
    assert (abs(values[..., :-1] - 0.5 * LARGEST[depth]) <= 0.5).all()


def test_alpha_out_of_range_is_kept() -> None:
    pixels = struct.pack("<8f", 0.1, 0.2, 0.3, 1.5, 0.4, 0.5, 0.6, -0.25)
    picture = Picture(2, 1, "RGBA", "f32", pixels)
    alphas = values_of(picture_tensors.write(picture_tensors.read(picture).image, picture))[3::4]
    assert alphas == [1.5, -0.25]


def test_gray_is_the_luma_of_the_image() -> None:
    like = Picture(3, 1, "Y", "u8", bytes(3))
    red_green_blue = torch.eye(3).reshape(1, 3, 1, 3)
    assert list(picture_tensors.write(red_green_blue, like).pixels) == [
        54,
        182,
        18,
    ]  # 255 × 0.2126, 0.7152, 0.0722


def test_write_clamps_and_rounds() -> None:
    like = Picture(1, 1, "RGB", "u8", bytes(3))
    image = torch.tensor([-0.5, 100.6 / 255, 1.5]).reshape(1, 3, 1, 1)
    assert list(picture_tensors.write(image, like).pixels) == [0, 101, 255]


@pytest.mark.parametrize("hidden", [(0, 0, 0), (255, 0, 255)])
def test_colours_of_transparent_pixels_have_no_effect(hidden: tuple[int, int, int]) -> None:
    values = np.full((9, 9, 4), (10, 20, 30, 255), np.uint8)
    values[2:7, 3:8] = (*hidden, 0)
    image = picture_tensors.read(Picture(9, 9, "RGBA", "u8", values.tobytes())).image
    torch.testing.assert_close(image * 255, torch.tensor([10.0, 20, 30]).reshape(1, 3, 1, 1).expand_as(image))


def test_the_fill_weights_neighbours_by_alpha() -> None:
    image = torch.tensor([[[[1.0, 0.0], [0.5, 0.5]]]])
    alpha = torch.tensor([[[[0.75, 0.25], [0.0, 0.0]]]])
    filled = picture_tensors.fill_transparent(image, alpha)
    assert filled[0, 0, 0].tolist() == [1.0, 0.0]  # what shows keeps its colour, however faint
    assert filled[0, 0, 1].tolist() == pytest.approx([0.75, 0.75])  # (0.75 · 1 + 0.25 · 0) / 1


def test_a_fully_transparent_picture_can_be_read() -> None:
    image, visible = picture_tensors.read(Picture(5, 3, "RGBA", "u8", bytes([200, 100, 50, 0] * 15)))
    assert visible is not None
    assert not visible.any()
    assert image.tolist() == torch.zeros(1, 3, 3, 5).tolist()


@given(st.sampled_from(FORMATS), st.integers(0, 6), st.integers(0, 4), st.integers(1, 7), st.integers(1, 5))
def test_crop_returns_the_rectangle_s_values(
    form: tuple[str, str], x: int, y: int, width: int, height: int
) -> None:
    region = Region(x, y, min(width, 7 - x), min(height, 5 - y))
    picture = random_picture(*form)
    size = picture.pixel_bytes
    starts = [(row * 7 + region.x) * size for row in range(region.y, region.y + region.height)]
    expected = b"".join(bytes(picture.pixels[at : at + region.width * size]) for at in starts)
    assert bytes(crop(picture, region).pixels) == expected


def test_a_crop_to_the_full_size_is_not_a_copy() -> None:
    picture = random_picture("RGBA", "u16")
    assert crop(picture, Region(0, 0, 7, 5)) is picture


@pytest.mark.parametrize(
    ("size", "expected"),
    [((600, 300), (256, 128)), ((300, 600), (128, 256)), ((20, 10), (20, 10)), ((5000, 2), (256, 1))],
)
def test_a_preview_keeps_the_proportions(size: tuple[int, int], expected: tuple[int, int]) -> None:
    preview = picture_tensors.preview(torch.full((1, 3, size[1], size[0]), 0.2), 256)
    assert (preview.width, preview.height, preview.channels, preview.depth) == (*expected, "RGB", "u8")
    assert set(bytes(preview.pixels)) == {51}
