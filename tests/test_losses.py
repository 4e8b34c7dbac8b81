"""Losses against values worked out by hand, naive loops and numerical gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from backend.losses import content_loss, gram_matrix, style_loss, total_variation


@pytest.fixture
def features() -> Tensor:
    return torch.rand(1, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def target(features: Tensor) -> Tensor:
    return features.flip(-1) + 0.5


def test_content_loss_by_hand() -> None:
    # The differences are 1, 0, 2 and 3; (1 + 0 + 4 + 9) / 4.
    features, target = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), torch.tensor([[[[0.0, 2.0], [5.0, 1.0]]]])
    assert content_loss(features, target).item() == 3.5


def test_gram_matrix_by_hand() -> None:
    # Rows (1, 2) and (3, -1): products 5, 1 and 10 over two positions.
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, -1.0]]]])
    assert gram_matrix(features).tolist() == [[2.5, 0.5], [0.5, 5.0]]


def test_gram_matrix_equals_its_definition_in_loops(features: Tensor) -> None:
    gram = gram_matrix(features)
    for i in range(3):
        for j in range(3):
            sum_over_positions = sum(
                features[0, i, y, x].item() * features[0, j, y, x].item() for y in range(4) for x in range(5)
            )
            assert gram[i, j].item() == pytest.approx(sum_over_positions / 20)


def test_gram_matrix_forgets_where_things_are(features: Tensor) -> None:
    order = torch.randperm(20, generator=torch.Generator().manual_seed(2))
    shuffled = features.flatten(2)[..., order].reshape(features.shape)
    torch.testing.assert_close(gram_matrix(shuffled), gram_matrix(features))


def test_style_loss_by_hand() -> None:
    # The Gram matrix of (1, 2) is (1 + 4) / 2; against 1.5 the difference is 1.
    assert style_loss(torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[1.5]])).item() == 1.0


def test_style_loss_does_not_depend_on_the_size_of_the_picture(features: Tensor, target: Tensor) -> None:
    twice = torch.cat([features, features], dim=-1)
    style = gram_matrix(target)
    torch.testing.assert_close(style_loss(twice, style), style_loss(features, style))


def test_total_variation_by_hand() -> None:
    # Down: 2, 3 -> (4 + 9) / 2. Right: 1, 2 -> (1 + 4) / 2.
    assert total_variation(torch.tensor([[[[0.0, 1.0], [2.0, 4.0]]]])).item() == 9.0


def test_total_variation_equals_its_definition_in_loops(features: Tensor) -> None:
    values = features[0].tolist()
    down = [(v[y + 1][x] - v[y][x]) ** 2 for v in values for y in range(3) for x in range(5)]
    right = [(v[y][x + 1] - v[y][x]) ** 2 for v in values for y in range(4) for x in range(4)]
    expected = sum(down) / len(down) + sum(right) / len(right)
    assert total_variation(features).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    "loss",
    [
        lambda x, target: content_loss(x, target),
        lambda x, target: style_loss(x, gram_matrix(target)),
        lambda x, _: total_variation(x),
    ],
    ids=["content", "style", "total variation"],
)
def test_gradients_are_the_numerical_ones(
    loss: Callable[[Tensor, Tensor], Tensor], features: Tensor, target: Tensor
) -> None:
    assert torch.autograd.gradcheck(loss, (features.requires_grad_(), target))
