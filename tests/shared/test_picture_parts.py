"""Parts of pictures, and pictures without visible pixels."""

from __future__ import annotations

import struct

import pytest

from atelier_shared.messages import Picture, Region
from atelier_shared.picture_parts import is_fully_transparent, part_of, with_part

CONTENT = Picture(4, 3, "YA", "u8", bytes(range(24)))
PART = Region(1, 1, 2, 2)


def test_a_part_has_the_pixels_of_its_region() -> None:
    expected = Picture(2, 2, "YA", "u8", bytes([10, 11, 12, 13, 18, 19, 20, 21]))
    assert part_of(CONTENT, PART) == expected
    assert part_of(CONTENT, Region(0, 0, 4, 3)) is CONTENT


def test_a_part_replaces_only_its_region() -> None:
    made = with_part(CONTENT, PART, Picture(2, 2, "YA", "u8", bytes([90, 91, 92, 93, 94, 95, 96, 97])))
    expected = bytearray(range(24))
    expected[10:14], expected[18:22] = bytes([90, 91, 92, 93]), bytes([94, 95, 96, 97])
    assert made == Picture(4, 3, "YA", "u8", expected)


def test_a_part_of_full_size_replaces_the_whole() -> None:
    other = Picture(4, 3, "YA", "u8", bytes(24))
    assert with_part(CONTENT, Region(0, 0, 4, 3), other) is other


@pytest.mark.parametrize(("depth", "code"), [("u8", "B"), ("u16", "H"), ("f32", "f")])
def test_a_picture_is_fully_transparent_if_no_pixel_has_alpha(depth: str, code: str) -> None:
    for channels, before in (("YA", 1), ("RGBA", 3)):
        for alpha in (1, 0):
            values = [7] * before + [0] + [7] * before + [alpha]
            pixels = struct.pack(f"<{len(values)}{code}", *values)
            assert is_fully_transparent(Picture(2, 1, channels, depth, pixels)) == (alpha == 0)


def test_a_picture_without_alpha_is_visible() -> None:
    assert not is_fully_transparent(Picture(2, 1, "RGB", "u8", bytes(6)))
