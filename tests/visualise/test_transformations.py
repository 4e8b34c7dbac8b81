"""Random views: their geometry on single bright pixels and ramps, and their range."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from backend.visualise.transformations import (
    LARGEST_SHIFT,
    LARGEST_TURN,
    SMALLEST_SCALE,
    Transformation,
    random_transformation,
)


@pytest.fixture
def photo() -> Tensor:
    return torch.rand(2, 3, 6, 10, generator=torch.Generator().manual_seed(1))


def spot(row: int, column: int, height: int = 21, width: int = 41) -> Tensor:
    image = torch.full((1, 3, height, width), 0.5)
    image[..., row, column] = 1.0
    return image


def brightest(image: Tensor) -> tuple[int, int]:
    return divmod(int(image[0, 0].argmax()), image.shape[-1])


def test_a_view_without_change_is_the_image(photo: Tensor) -> None:
    torch.testing.assert_close(Transformation().of(photo), photo)


def test_a_shift_moves_to_the_right_and_down() -> None:
    # Halves of the sides: 20.5 and 10.5 px.
    view = Transformation(shift=(4 / 20.5, 3 / 10.5)).of(spot(10, 20))
    assert brightest(view) == (13, 24)
    assert view.max().item() == pytest.approx(1.0, abs=1e-4)


def test_a_reduced_image_has_grey_around_it() -> None:
    view = Transformation(scale=0.5).of(torch.ones(1, 3, 16, 32))
    torch.testing.assert_close(view[..., 5:11, 9:23], torch.ones(1, 3, 6, 14))
    torch.testing.assert_close(view[..., :3, :], torch.full((1, 3, 3, 32), 0.5))
    torch.testing.assert_close(view[..., :7], torch.full((1, 3, 16, 7), 0.5))


def test_a_quarter_turn_keeps_distances_in_an_oblong_image() -> None:
    view = Transformation(turn=math.pi / 2).of(spot(10, 25))
    row, column = brightest(view)
    assert column == 20 and abs(row - 10) == 5


def test_a_view_is_differentiable() -> None:
    image = torch.rand(1, 1, 5, 6, dtype=torch.double, requires_grad=True)
    view = Transformation(scale=0.8, turn=0.2, shift=(0.1, -0.1))
    assert torch.autograd.gradcheck(view.of, image)


def test_views_fill_their_range() -> None:
    generator = torch.Generator().manual_seed(1)
    views = [random_transformation(1.0, generator) for _ in range(400)]
    for values, low, high in [
        ([view.scale for view in views], SMALLEST_SCALE, 1.0),
        ([view.turn for view in views], -LARGEST_TURN, LARGEST_TURN),
        ([view.shift[0] for view in views], -LARGEST_SHIFT, LARGEST_SHIFT),
        ([view.shift[1] for view in views], -LARGEST_SHIFT, LARGEST_SHIFT),
    ]:
        spare = 0.05 * (high - low)
        assert low <= min(values) < low + spare and high - spare < max(values) <= high


def test_without_robustness_every_view_is_the_image() -> None:
    assert random_transformation(0.0, torch.Generator().manual_seed(1)) == Transformation()
