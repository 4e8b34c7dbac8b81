"""Matching of features, with values computed by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from backend.networks import matching
from backend.networks.matching import best_matches, visible_columns
from backend.networks.tiled_features import Piece


def positions(*vectors: tuple[float, ...]) -> Tensor:
    """Return features (1, C, 1, n) with these vectors side by side."""
    return torch.tensor(vectors, dtype=torch.float).T[None, :, None]


def test_the_best_match_has_the_largest_dot_product() -> None:
    features = positions((1, 0), (0, 1), (1, 1))
    guides = torch.tensor([[2.0, 0.0, 1.5], [0.0, 3.0, 1.6]])  # columns (2, 0), (0, 3), (1.5, 1.6)
    matches = best_matches(features, guides)
    torch.testing.assert_close(matches, positions((2, 0), (0, 3), (1.5, 1.6)))


def test_matching_in_parts_equals_matching_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    random = torch.Generator().manual_seed(1)
    features, guides = torch.rand(1, 5, 6, 7, generator=random), torch.rand(5, 9, generator=random)
    at_once = best_matches(features, guides)
    monkeypatch.setattr(matching, "MAX_DOT_PRODUCTS", 9 * 4)
    assert best_matches(features, guides).equal(at_once)


def test_directions_take_the_place_of_the_candidates_in_the_dot_products() -> None:
    candidates, directions = torch.tensor([[9.0, 8.0], [9.0, 8.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert best_matches(positions((0, 1), (1, 0)), candidates, directions).equal(positions((8, 8), (9, 9)))


@pytest.mark.parametrize(("visible", "kept"), [((1, 0.5, 0.4), [0, 1]), ((0, 0.2, 0), [1]), ((0, 0, 0), [])])
def test_hardly_visible_positions_are_left_out(visible: tuple[float, ...], kept: list[int]) -> None:
    features = positions((0, 1), (2, 3), (4, 5))
    found = visible_columns(Piece(features, torch.tensor(visible).view(1, 1, 1, 3)))
    assert found.equal(features[0, :, 0, kept])
