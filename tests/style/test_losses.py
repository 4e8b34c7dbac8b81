"""Losses compared with values computed by hand, naive loops and numerical gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from backend.style.losses import (
    content_gradient,
    content_loss,
    gram_matrix,
    position_count,
    style_gradient,
    style_loss,
    total_variation,
    total_variation_gradient,
)

Loss = Callable[[Tensor], Tensor]


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


def test_gram_matrix_is_independent_of_the_order_of_positions(features: Tensor) -> None:
    order = torch.randperm(20, generator=torch.Generator().manual_seed(2))
    shuffled = features.flatten(2)[..., order].reshape(features.shape)
    torch.testing.assert_close(gram_matrix(shuffled), gram_matrix(features))


def test_style_loss_by_hand() -> None:
    # Differences of 1, 2, 2 and 3: (1 + 4 + 4 + 9) / 4.
    gram, target = torch.tensor([[2.0, 1.0], [1.0, 4.0]]), torch.tensor([[1.0, 3.0], [3.0, 1.0]])
    assert style_loss(gram, target).item() == 4.5


def test_gram_matrix_is_independent_of_the_size_of_the_picture(features: Tensor) -> None:
    twice = torch.cat([features, features], dim=-1)
    torch.testing.assert_close(gram_matrix(twice), gram_matrix(features))


def test_total_variation_by_hand() -> None:
    # Down: 2, 3 -> (4 + 9) / 2. Right: 1, 2 -> (1 + 4) / 2.
    assert total_variation(torch.tensor([[[[0.0, 1.0], [2.0, 4.0]]]])).item() == 9.0


def test_total_variation_equals_its_definition_in_loops(features: Tensor) -> None:
    values = features[0].tolist()
    down = [(v[y + 1][x] - v[y][x]) ** 2 for v in values for y in range(3) for x in range(5)]
    right = [(v[y][x + 1] - v[y][x]) ** 2 for v in values for y in range(4) for x in range(4)]
    expected = sum(down) / len(down) + sum(right) / len(right)
    assert total_variation(features).item() == pytest.approx(expected)


# ── Hidden pixels have no effect ───────────────────────────────────────────────────────────────────


def test_half_visible_positions_have_half_the_weight() -> None:
    # Squares 1 and 4 with weights 1 and 0.5: (1 + 2) / 1.5.
    features, visible = torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[1.0, 0.5]]]])
    assert position_count(features, visible) == 1.5
    assert gram_matrix(features, visible).item() == 2.0
    assert content_loss(features, torch.zeros_like(features), visible).item() == 2.0


def test_hidden_columns_have_no_effect(features: Tensor, target: Tensor) -> None:
    visible = torch.ones(1, 1, 4, 5, dtype=torch.float64)
    visible[..., 3:] = 0
    cut = features[..., :3]
    torch.testing.assert_close(gram_matrix(features, visible), gram_matrix(cut))
    torch.testing.assert_close(content_loss(features, target, visible), content_loss(cut, target[..., :3]))
    torch.testing.assert_close(total_variation(features, visible), total_variation(cut))


def test_a_fully_hidden_picture_has_no_loss(features: Tensor, target: Tensor) -> None:
    nothing = torch.zeros(1, 1, 4, 5, dtype=torch.float64)
    assert content_loss(features, target, nothing) == 0
    assert total_variation(features, nothing) == 0
    assert not gram_matrix(features, nothing).any()


# ── Gradients ──────────────────────────────────────────────────────────────────────────────────────


def gradients(features: Tensor, target: Tensor, visible: Tensor | None) -> dict[str, tuple[Loss, Tensor]]:
    """Return each loss as a function of the features, and its explicit gradient."""
    style = gram_matrix(target)
    difference = gram_matrix(features.detach(), visible) - style
    return {
        "content": (
            lambda x: content_loss(x, target, visible),
            content_gradient(features.detach(), target, visible),
        ),
        "style": (
            lambda x: style_loss(gram_matrix(x, visible), style),
            style_gradient(features.detach(), difference, visible),
        ),
        "total variation": (
            lambda x: total_variation(x, visible),
            total_variation_gradient(features.detach(), visible),
        ),
    }


@pytest.mark.parametrize("masked", [False, True], ids=["all visible", "masked"])
@pytest.mark.parametrize("name", ["content", "style", "total variation"])
def test_gradients_equal_numerical_ones(name: str, masked: bool, features: Tensor, target: Tensor) -> None:
    visible = torch.linspace(0, 1, 20, dtype=torch.float64).reshape(1, 1, 4, 5) if masked else None
    loss, gradient = gradients(features, target, visible)[name]
    features.requires_grad_()
    assert torch.autograd.gradcheck(loss, (features,))
    (expected,) = torch.autograd.grad(loss(features), features)
    torch.testing.assert_close(gradient, expected)


def test_the_style_gradient_keeps_the_memory_layout_of_the_features(features: Tensor) -> None:
    """A network in channels-last layout needs no conversions."""
    channels_last = features.contiguous(memory_format=torch.channels_last)
    gradient = style_gradient(channels_last, gram_matrix(channels_last))
    assert gradient.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(gradient, style_gradient(features, gram_matrix(features)))
