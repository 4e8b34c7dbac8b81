"""The amount of a dream in two bands."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from backend.dream.amount import LARGEST_GROWTH, ROUNDS, amounts, bands_of, with_amount_of
from backend.dream.gradient_smoothing import gaussian

EVERYWHERE = torch.ones(1, 1, 40, 60)


def noise(seed: int) -> Tensor:
    return torch.randn(1, 3, 40, 60, generator=torch.Generator().manual_seed(seed))


CONTENT = (0.5 + 0.1 * gaussian(noise(1))).clamp(0, 1)
DREAM = (CONTENT + 0.1 * noise(2)).clamp(0, 1)


def test_the_amounts_are_root_mean_squares_of_the_region() -> None:
    flat, region = torch.full((1, 3, 40, 60), 0.3), torch.zeros(1, 1, 40, 60)
    flat[..., 30:] = 9
    region[..., :20] = 1  # further from the other values than the blur reaches
    coarse, fine = amounts(flat, region).flatten().tolist()
    assert coarse == pytest.approx(0.3, rel=1e-5) and fine == pytest.approx(0, abs=1e-6)


def test_the_bands_add_up_to_the_change() -> None:
    torch.testing.assert_close(sum(bands_of(noise(3))), noise(3))


@pytest.mark.parametrize("coarse", [0.01, 0.025])
@pytest.mark.parametrize("fine", [0.05, 0.12])
def test_both_bands_get_the_amounts_of_the_other_dream(coarse: float, fine: float) -> None:
    parts = bands_of(noise(4))
    other = sum(
        share * part / part.square().mean().sqrt() for share, part in zip((coarse, fine), parts, strict=True)
    )
    assert isinstance(other, Tensor)
    made = with_amount_of(other, DREAM, CONTENT, EVERYWHERE)
    torch.testing.assert_close(
        amounts(made - CONTENT, EVERYWHERE), amounts(other, EVERYWHERE), rtol=0.05, atol=0
    )
    assert made.min() >= 0 and made.max() <= 1


def test_a_faint_dream_is_not_enlarged_without_bound() -> None:
    faint = CONTENT + 0.001 * noise(2)
    made = with_amount_of(DREAM - CONTENT, faint, CONTENT, EVERYWHERE)
    largest = LARGEST_GROWTH**ROUNDS * amounts(faint - CONTENT, EVERYWHERE)
    torch.testing.assert_close(amounts(made - CONTENT, EVERYWHERE), largest, rtol=0.01, atol=0)


def test_clamping_is_made_up_for() -> None:
    bright = torch.full((1, 3, 40, 60), 0.9)
    dream = (bright + 0.3 * noise(5)).clamp(0, 1)
    other = dream - bright
    made = with_amount_of(1.2 * other, dream, bright, EVERYWHERE)
    torch.testing.assert_close(
        amounts(made - bright, EVERYWHERE), 1.2 * amounts(other, EVERYWHERE), rtol=0.05, atol=0
    )


def test_an_unchanged_picture_has_no_amount_to_scale() -> None:
    assert torch.equal(with_amount_of(DREAM - CONTENT, CONTENT, CONTENT, EVERYWHERE), CONTENT)
