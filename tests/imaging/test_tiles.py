"""Tiles cover a picture once, on the network's grid, with a halo."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from backend.imaging.tiles import Rectangle, tile_side, tiles


@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    blocks=st.integers(1, 20),
    halo=st.integers(0, 90),
    stride=st.integers(1, 16),
)
def test_tiles_cover_every_pixel_once_on_the_grid(
    height: int, width: int, blocks: int, halo: int, stride: int
) -> None:
    side = blocks * stride
    owners = torch.zeros(height, width)
    for tile in tiles(height, width, side, halo, stride):
        inner, outer = tile.inner, tile.outer
        inner.of(owners).add_(1)
        assert 0 < inner.bottom - inner.top <= side and 0 < inner.right - inner.left <= side
        assert all(edge % stride == 0 for edge in (inner.top, inner.left, outer.top, outer.left))
        assert inner.top - outer.top >= min(halo, inner.top)
        assert inner.left - outer.left >= min(halo, inner.left)
        assert outer.bottom - inner.bottom >= min(halo, height - inner.bottom)
        assert outer.right - inner.right >= min(halo, width - inner.right)
        assert outer.bottom <= height and outer.right <= width
    assert owners.eq(1).all()


def test_a_convolution_of_tiles_with_a_halo_equals_that_of_the_picture() -> None:
    image = torch.rand(1, 1, 50, 37, generator=torch.Generator().manual_seed(1))
    kernel = torch.ones(1, 1, 5, 5)
    whole = torch.conv2d(image, kernel, padding=2)
    joined = torch.full_like(whole, float("nan"))
    for tile in tiles(50, 37, side=16, halo=2):
        part = torch.conv2d(tile.outer.of(image), kernel, padding=2)
        tile.inner.of(joined).copy_(tile.inner.relative_to(tile.outer).of(part))
    torch.testing.assert_close(joined, whole)


def test_a_picture_smaller_than_a_tile_is_one_tile() -> None:
    (only,) = tiles(20, 30, side=64, halo=8, stride=8)
    assert only.inner == only.outer == Rectangle(0, 0, 20, 30)


def test_tiles_have_nearly_equal_sizes() -> None:
    widths = [tile.inner.right - tile.inner.left for tile in tiles(10, 104, side=100, halo=0)]
    assert widths == [52, 52]


def test_a_scaled_tile_is_at_least_one_stride() -> None:
    assert tile_side(64, 1.0, stride=8) == 64
    assert tile_side(64, 1 / 2, stride=8) == 32
    assert tile_side(64, 1 / 100, stride=8) == 8


def test_a_rectangle_of_features_is_rounded_outwards() -> None:
    assert Rectangle(16, 8, 33, 24).to_positions(8) == Rectangle(2, 1, 5, 3)


def test_a_side_below_the_stride_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least the stride, 8 px, not 7 px"):
        next(tiles(10, 10, side=7, halo=0, stride=8))
