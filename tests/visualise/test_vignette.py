"""The vignette: the image in the centre, grey at the border."""

from __future__ import annotations

import pytest
import torch

from backend.visualise.vignette import INNER, OUTER, faded


def test_the_centre_is_unchanged_and_the_corners_are_grey() -> None:
    made = faded(torch.ones(1, 3, 101, 51))
    assert (made[..., 50 - 19 : 50 + 19, 25] == 1).all(), "0.4 of a half, 50 px, is 20 px"
    assert (made[..., [0, 0, -1, -1], [0, -1, 0, -1]] == 0.5).all()


def test_it_falls_smoothly_by_half_in_the_middle() -> None:
    profile = faded(torch.ones(1, 3, 2001, 1))[0, 0, 1000:, 0]
    middle = round(1000 * (INNER + OUTER) / 2)
    assert profile[middle].item() == pytest.approx(0.75, abs=1e-3)
    assert (profile.diff() <= 0).all() and profile.diff().abs().max() < 0.002
