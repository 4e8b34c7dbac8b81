"""Images from Fourier coefficients: against numpy's own transform, and against sums written out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from backend.visualise.fourier_image import amplitudes, colour_matrix, images_of, random_coefficients

SIZES = [(6, 8), (7, 8), (6, 9), (5, 7), (1, 4)]


def coefficients_of(size: tuple[int, int], seed: int = 1) -> Tensor:
    return random_coefficients(size, torch.Generator().manual_seed(seed))


def logit(image: Tensor) -> Tensor:
    return torch.log(image / (1 - image))


@pytest.mark.parametrize("size", SIZES)
def test_an_image_is_numpy_s_inverse_transform(size: tuple[int, int]) -> None:
    coefficients = coefficients_of(size)
    complex_ones = coefficients[..., 0].numpy() + 1j * coefficients[..., 1].numpy()
    spectrum = complex_ones * amplitudes(size, decay=1.0).numpy()
    channels = np.fft.irfft2(spectrum, s=size, axes=(-2, -1), norm="ortho")
    mixed = np.einsum("ij,njhw->nihw", colour_matrix(1.5).numpy(), channels)
    expected = 1 / (1 + np.exp(-mixed))
    image = images_of(coefficients, size, decay=1.0, saturation=1.5)
    assert image.numpy() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("row", "column"), [(0, 1), (1, 0), (2, 3)])
def test_one_coefficient_is_a_cosine(row: int, column: int) -> None:
    size = height, width = 8, 8
    coefficients = torch.zeros(1, 3, height, width // 2 + 1, 2)
    coefficients[0, 0, row, column, 0] = 1.0
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    # A coefficient between the first and last column stands for itself and its mirror image.
    parts = 1 if column == 0 else 2
    cosine = parts * torch.cos(2 * math.pi * (row * y / height + column * x / width)) / math.sqrt(64)
    brightness = logit(images_of(coefficients, size, decay=0.0, saturation=1.0))[0, 0]
    torch.testing.assert_close(brightness, cosine * colour_matrix(1.0)[0, 0], rtol=0, atol=1e-5)


def test_amplitudes_fall_with_the_frequency() -> None:
    falling = amplitudes((8, 8), decay=1.0)
    assert falling.square().mean().item() == pytest.approx(1.0)
    assert falling[0, 1] / falling[0, 2] == pytest.approx(2.0)
    assert falling[3, 0] / falling[0, 4] == pytest.approx(4 / 3)
    assert falling[3, 4] / falling[0, 1] == pytest.approx(1 / 5)
    assert falling[0, 0] == falling[0, 1], "the mean counts as the lowest frequency"
    assert (amplitudes((8, 8), decay=0.0) == 1).all()


def test_amplitudes_of_opposite_frequencies_are_equal() -> None:
    falling = amplitudes((7, 9), decay=1.3)
    torch.testing.assert_close(falling[1:], falling[1:].flip(0))


def test_colours_vary_as_in_photographs() -> None:
    # lucid's matrix times its transpose is the covariance of ImageNet's colours, up to a factor.
    matrix = colour_matrix(1.0)
    covariance = matrix @ matrix.T
    correlation = covariance / torch.outer(covariance.diag().sqrt(), covariance.diag().sqrt())
    assert correlation[0, 1] > 0.9 and correlation[1, 2] > 0.9 > correlation[0, 2] > 0.7
    assert torch.linalg.vector_norm(matrix, dim=0).max().item() == pytest.approx(1.0)


def test_without_saturation_an_image_is_nearly_grey() -> None:
    image = images_of(coefficients_of((16, 16)) * 20, (16, 16), decay=1.0, saturation=0.0)
    colourful = images_of(coefficients_of((16, 16)) * 20, (16, 16), decay=1.0, saturation=1.0)
    assert image.var(dim=1).mean() < 0.1 * colourful.var(dim=1).mean()


@pytest.mark.parametrize("size", SIZES)
def test_the_gradient_is_right(size: tuple[int, int]) -> None:
    coefficients = coefficients_of(size).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda c: images_of(c, size, 1.0, 1.2), coefficients)
