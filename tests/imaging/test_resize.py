"""Resizing, and restoring the detail lost by it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from atelier_shared.sizes import Size, fit, octave_sizes
from backend.imaging.resize import resize, restore_detail, size_of


@pytest.fixture
def image() -> Tensor:
    return torch.rand(1, 3, 48, 60, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("size", "fitted"),
    [
        ((3000, 4000), (384, 512)),
        ((4000, 3000), (512, 384)),
        ((300, 400), (300, 400)),
        ((1, 4000), (17, 512)),
        ((1, 1), (17, 17)),
    ],
)
def test_fit_shrinks_to_the_longest_side_but_not_below_the_shortest(size: Size, fitted: Size) -> None:
    assert fit(size, longest_px=512, shortest_px=17) == fitted


def test_octaves_go_from_coarse_to_fine() -> None:
    assert octave_sizes((100, 200), octaves=3, octave_scale=2) == [(25, 50), (50, 100), (100, 200)]


def test_octaves_too_small_for_the_network_are_left_out() -> None:
    assert octave_sizes((100, 200), octaves=3, octave_scale=2, shortest_px=30) == [(50, 100), (100, 200)]
    assert octave_sizes((10, 10), octaves=3, octave_scale=2, shortest_px=30) == [(10, 10)]


def test_resize_keeps_a_flat_picture_flat() -> None:
    resized = resize(torch.full((1, 3, 50, 70), 0.3), (13, 90))
    torch.testing.assert_close(resized, torch.full((1, 3, 13, 90), 0.3))


def test_resize_averages_detail_finer_than_a_pixel() -> None:
    checkerboard = torch.zeros(1, 1, 64, 64)
    checkerboard[..., ::2, ::2] = checkerboard[..., 1::2, 1::2] = 1
    small = resize(checkerboard, (16, 16))
    torch.testing.assert_close(small, torch.full_like(small, 0.5), atol=0.02, rtol=0)


def test_a_large_reduction_takes_several_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = [(1600, 48)]

    def watched(image: Tensor, size: Size, **options: Any) -> Tensor:
        sizes.append(size)
        return interpolate(image, size, **options)

    monkeypatch.setattr("backend.imaging.resize.interpolate", watched)
    waves = torch.linspace(0, 1, 1600)[:, None].repeat(1, 1, 1, 48)
    small = resize(waves, (4, 200))
    assert sizes == [(1600, 48), (100, 200), (7, 200), (4, 200)]
    expected = torch.tensor([0.125, 0.375, 0.625, 0.875])
    torch.testing.assert_close(small[0, 0, :, 0], expected, atol=0.02, rtol=0)


def test_restoring_the_detail_of_an_unchanged_picture_gives_the_original(image: Tensor) -> None:
    torch.testing.assert_close(restore_detail(resize(image, (12, 15)), image), image)


def test_a_change_of_colour_is_applied_to_the_large_picture(image: Tensor) -> None:
    changed = resize(image, (12, 15)) + 0.25
    torch.testing.assert_close(restore_detail(changed, image), image + 0.25)
    assert size_of(restore_detail(changed, image)) == (48, 60)
