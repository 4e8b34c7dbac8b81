"""Winograd's convolution, compared with torch's own in float64."""

from __future__ import annotations

from random import Random

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from backend.networks.cpu.winograd import convolve, transform_weights

SHAPES = [(1, 1, 3, 3), (3, 5, 4, 4), (4, 8, 7, 9), (16, 32, 33, 70), (8, 4, 130, 6), (128, 64, 40, 41)]


def random(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)
    return values.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else values


def assert_close(found: Tensor, expected: Tensor) -> None:
    tolerance = 1e-5 if found.dtype == torch.float32 else 1e-13
    scale = expected.abs().max().item()
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("padding", "mode"), [(0, "constant"), (1, "constant"), (2, "constant"), (1, "reflect")]
)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_result_equals_torchs(
    shape: tuple[int, int, int, int], padding: int, mode: str, dtype: torch.dtype
) -> None:
    channels, results, height, width = shape
    image = random(1, 1, channels, height, width, dtype=dtype)
    weight, bias = random(2, results, channels, 3, 3, dtype=dtype), random(3, results, dtype=dtype)
    found = convolve(image, transform_weights(weight), bias, padding=padding, reflect=mode == "reflect")
    padded = pad(image.double(), (padding,) * 4, mode=mode)
    assert_close(found, conv2d(padded, weight.double(), bias.double()))


def draw(seed: int) -> tuple[tuple[int, int, int, int], int, str]:
    """Draw channels, outputs, height and width (also odd or 1), and a padding and mode suitable for them."""
    chance = Random(seed)
    channels, results = chance.choices(range(1, 40), k=2)
    height, width = chance.choices((1, 2, 3, *range(5, 60, 6)), k=2)
    if min(height, width) == 1:
        return (channels, results, height, width), chance.choice((1, 2)), "constant"
    padding, mode = chance.choice(((1, "constant"), (2, "constant"), (1, "reflect")))
    return (channels, results, height, width), padding, mode


@pytest.mark.parametrize(("shape", "padding", "mode"), [draw(seed) for seed in range(20)])
def test_the_result_of_any_shape_equals_torchs(
    shape: tuple[int, int, int, int], padding: int, mode: str
) -> None:
    test_the_result_equals_torchs(shape, padding, mode, torch.float32)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_gate_and_the_relu_equal_torchs(shape: tuple[int, int, int, int]) -> None:
    channels, results, height, width = shape
    image, gate = random(1, 1, channels, height, width), random(2, 1, channels, height, width)
    weight = random(3, results, channels, 3, 3)
    found = convolve(image, transform_weights(weight), rectify=True, gate=gate)
    gated = torch.where(gate > 0, image, 0).double()
    assert_close(found, conv2d(gated, weight.double(), padding=1).relu())


def test_the_response_to_an_impulse_is_the_rotated_kernel() -> None:
    image = torch.zeros(1, 1, 5, 5, dtype=torch.float64)
    image[..., 2, 3] = 1
    weight = torch.arange(9, dtype=torch.float64).view(1, 1, 3, 3)
    expected = torch.zeros(5, 5, dtype=torch.float64)
    expected[1:4, 2:5] = torch.tensor([[8, 7, 6], [5, 4, 3], [2, 1, 0]])
    torch.testing.assert_close(convolve(image, transform_weights(weight))[0, 0], expected)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_result_is_the_same_with_any_number_of_threads(threads: int) -> None:
    image, weight = random(1, 1, 16, 90, 61), random(2, 16, 16, 3, 3)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = convolve(image, transform_weights(weight))
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert_close(found, conv2d(image.double(), weight.double(), padding=1))


def test_it_works_in_inference_mode() -> None:
    with torch.inference_mode():
        image, weight = random(1, 1, 4, 9, 9), random(2, 4, 4, 3, 3)
        assert_close(
            convolve(image, transform_weights(weight)), conv2d(image.double(), weight.double(), padding=1)
        )
