"""Primaries and curves of ICC profiles, compared with LittleCMS."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from icc_profiles import (
    ADOBE_RGB,
    D50,
    DISPLAY_P3,
    PROPHOTO,
    SRGB_CURVE,
    parametric_curve,
    profile,
    table_curve,
)
from PIL import Image, ImageCms

from atelier_shared.colour_space import ColourSpace, colour_space, is_invertible, srgb_curve

RELATIVE = ImageCms.Intent.RELATIVE_COLORIMETRIC
CURVES = {
    "power": b"",
    "table": table_curve([(x / 99) ** 1.9 for x in range(100)]),
    "identity": b"curv\0\0\0\0\0\0\0\0",
    "para-0": parametric_curve(0, 2.0),
    "para-1": parametric_curve(1, 2.0, 1.1, -0.1),
    "para-2": parametric_curve(2, 2.0, 0.9, 0.05, 0.02),
    "para-3": SRGB_CURVE,
    "para-4": parametric_curve(4, 2.2, 0.9, 0.1, 0.5, 0.1, 0.0, 0.005),
}
PROFILES = {
    **{name: profile(2.2, ADOBE_RGB, curve=curve) for name, curve in CURVES.items()},
    "sRGB": profile(curve=SRGB_CURVE),
    "Display P3": profile(2.2, DISPLAY_P3, curve=SRGB_CURVE),
    "ProPhoto": profile(1.8, PROPHOTO, white=D50),
}


def in_srgb(space: ColourSpace, colour: tuple[int, ...]) -> np.ndarray:
    """Convert a colour of 8 bits to sRGB by the described primaries and curves, without rounding."""
    light = np.array([curve(x / 255) for curve, x in zip(space.curves, colour, strict=True)])
    if space.to_srgb:
        light = np.reshape(space.to_srgb, (3, 3)) @ light
    light = light.clip(0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("name", PROFILES)
def test_colours_are_those_of_littlecms(name: str) -> None:
    chance = random.Random(3)
    colours = [tuple(chance.randrange(256) for _ in range(3)) for _ in range(300)]
    space = colour_space(PROFILES[name])
    assert space
    image = Image.new("RGB", (len(colours), 1))
    image.putdata(colours)
    own = ImageCms.ImageCmsProfile(io.BytesIO(PROFILES[name]))
    made = ImageCms.profileToProfile(image, own, ImageCms.createProfile("sRGB"), RELATIVE)
    assert made is not None
    expected = np.asarray(made)[0]
    found = np.array([in_srgb(space, colour) for colour in colours])
    assert np.abs(found - expected).max() < 1.5


def test_srgb_itself_needs_no_conversion() -> None:
    spaces = [
        colour_space(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()),
        colour_space(PROFILES["sRGB"]),
    ]
    for space in spaces:
        assert space and space.to_srgb == () and space.gamma == 0
    wide = colour_space(PROFILES["Display P3"])
    assert wide and len(wide.to_srgb) == 9 and wide.gamma == 0
    for gamma in (1.0, 1.8, 2.2):
        other = colour_space(profile(gamma))
        assert other and other.to_srgb == () and other.gamma == pytest.approx(gamma, abs=0.01)
    unusual = colour_space(PROFILES["para-1"])
    assert unusual and unusual.gamma is None


def test_gray_has_one_curve() -> None:
    gray = colour_space(profile(1.8, kind=b"GRAY"))
    assert gray and gray.to_srgb == () and len(gray.curves) == 1
    assert gray.curves[0](0.5) == pytest.approx(0.5**1.8, abs=1e-3)
    assert srgb_curve(0.5) == pytest.approx(0.214, abs=1e-3)


def test_a_profile_with_tables_of_colours_is_not_described() -> None:
    assert colour_space(profile(2.2).replace(b"cprt", b"A2B0")) is None


@pytest.mark.parametrize("name", ["power", "table", "para-4"])
def test_damaged_profiles_raise_nothing(name: str) -> None:
    whole, chance = PROFILES[name], random.Random(5)
    described = 0
    for _ in range(3000):
        damaged = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        space = colour_space(bytes(damaged[: chance.choice([len(damaged), chance.randrange(len(damaged))])]))
        if space:
            described += 1
            values = [curve(x) for curve in space.curves for x in (0.0, 0.3, 1.0)]
            assert all(isinstance(value, float) for value in values)
            assert not space.to_srgb or is_invertible(space.to_srgb)
    assert described


@pytest.mark.parametrize(
    "matrix",
    [
        (1.0,) * 9,
        (0,) * 9,
        (1, 0, 0, 0, 1, 0, 0, 0),
        (1, 0, 0, 0, 1, 0, 0, 0, float("nan")),
        (1, 0, 0, 0, 1, 0, 0, 0, float("inf")),
        (1, 0, 0, 0, 1, 0, 0, 0, 1e9),
        (1, 0, 0, 0, 1, 0, 0, 0, "1"),
        (1, 0, 0, 0, 1, 0, 0, 0, True),
    ],
)
def test_unusable_matrices_are_recognised(matrix: tuple[float, ...]) -> None:
    assert not is_invertible(matrix)
    assert is_invertible((1.4, -0.4, 0, 0, 1, 0, 0, -0.04, 1.04))
