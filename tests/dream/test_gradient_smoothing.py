"""Filters of the gradient: their effect on waves of known frequency and amplitude."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from backend.dream.gradient_smoothing import gaussian, laplacian


def waves(period_px: float, height: int = 64, width: int = 64) -> Tensor:
    columns = torch.arange(width) * 2 * math.pi / period_px
    return columns.sin().expand(1, 3, height, width)


def rms(values: Tensor) -> float:
    return values.square().mean().sqrt().item()


def test_gaussian_reduces_a_wave_according_to_its_standard_deviation() -> None:
    expected = math.exp(-((2 * math.pi * 1.5 / 8) ** 2) / 2)  # the Gaussian's own spectrum at 1/8 px
    inside = (..., slice(8, -8), slice(8, -8))
    assert rms(gaussian(waves(8))[inside]) / rms(waves(8)[inside]) == pytest.approx(expected, rel=0.02)


def test_gaussian_keeps_a_constant() -> None:
    torch.testing.assert_close(gaussian(torch.full((1, 3, 20, 30), 0.7)), torch.full((1, 3, 20, 30), 0.7))


def test_laplacian_gives_a_weak_coarse_wave_the_amplitude_of_a_fine_one() -> None:
    fine, coarse = waves(3), 0.01 * waves(32)
    smoothed = laplacian(fine + coarse)
    shares = [((smoothed * wave).mean() / wave.square().mean()).item() for wave in (fine, waves(32))]
    assert shares[1] == pytest.approx(shares[0], rel=0.35)


def test_laplacian_is_independent_of_the_scale_of_the_gradient() -> None:
    gradient = torch.randn(1, 3, 50, 70, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(laplacian(gradient * 1e-6), laplacian(gradient))


def test_laplacian_without_levels_divides_by_the_root_mean_square() -> None:
    assert rms(laplacian(waves(5), levels=0)) == pytest.approx(1)


@pytest.mark.parametrize("smooth", [gaussian, laplacian])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (2, 2), (3, 200), (7, 5)])
def test_a_gradient_of_any_size_is_smoothed(smooth: object, height: int, width: int) -> None:
    assert callable(smooth)
    smoothed = smooth(torch.ones(1, 3, height, width))
    assert smoothed.shape == (1, 3, height, width)
    assert smoothed.isfinite().all()


def test_laplacian_of_zero_is_zero() -> None:
    nothing = torch.zeros(1, 3, 32, 32)
    assert laplacian(nothing).equal(nothing)
