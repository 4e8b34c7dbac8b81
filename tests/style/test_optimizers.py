"""Optimizers find the minimum, stay within [0, 1] and recover from divergence."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor

from backend.style import optimizers
from backend.style.optimizers import OPTIMIZERS, BestSoFar, ObjectiveFunction, lbfgs

Optimizer = Callable[[ObjectiveFunction, Tensor], Iterator[BestSoFar]]


class Bowl:
    """A quadratic with its minimum at `target`, steeper in some columns, and a count of its evaluations."""

    def __init__(self, target: Tensor) -> None:
        self.target = target
        self.scale = torch.linspace(1, 30, target.shape[-1])
        self.evaluations = 0

    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor]:
        self.evaluations += 1
        difference = image - self.target
        return (self.scale * difference.square()).sum(), 2 * self.scale * difference


@pytest.fixture
def bowl() -> Bowl:
    return Bowl(torch.rand(1, 3, 6, 7, generator=torch.Generator().manual_seed(1)) * 0.8 + 0.1)


@pytest.mark.parametrize(("name", "steps"), [("l-bfgs", 60), ("adam", 1500)])
def test_an_optimizer_finds_the_minimum_and_the_loss_never_rises(name: str, steps: int, bowl: Bowl) -> None:
    optimizer: Optimizer = OPTIMIZERS[name]
    found = list(islice(optimizer(bowl, torch.zeros_like(bowl.target)), steps))
    assert bowl.evaluations == steps
    losses = [best.loss for best in found]
    assert losses == sorted(losses, reverse=True)
    assert bowl(found[-1].image)[0] == losses[-1]
    torch.testing.assert_close(found[-1].image, bowl.target, atol=2e-3, rtol=0)


@pytest.mark.parametrize(("name", "steps"), [("l-bfgs", 60), ("adam", 1500)])
def test_a_minimum_out_of_bounds_is_clamped_to_the_bound(name: str, steps: int, bowl: Bowl) -> None:
    bowl.target[..., 0] += 1
    bowl.target[..., 5] -= 1
    *_, (image, _) = islice(OPTIMIZERS[name](bowl, bowl.target + 0.1), steps)
    assert image.min() >= 0 and image.max() <= 1
    torch.testing.assert_close(image, bowl.target.clamp(0, 1), atol=2e-3, rtol=0)


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_yielded_images_are_not_changed_later(optimizer: Optimizer, bowl: Bowl) -> None:
    images = (best.image for best in islice(optimizer(bowl, bowl.target * 0), 9))
    found = [(image, image.clone()) for image in images]
    assert all(torch.equal(image, then) for image, then in found)


def test_adam_keeps_the_first_image_when_every_loss_is_nan(bowl: Bowl) -> None:
    start = bowl.target.clone()
    nowhere = islice(
        OPTIMIZERS["adam"](lambda image: (torch.tensor(float("nan")), torch.ones_like(image)), start), 5
    )
    assert all(torch.equal(image, bowl.target) for image, _ in nowhere)


def test_lbfgs_restarts_from_the_best_image_when_it_diverges(bowl: Bowl) -> None:
    """The loss is NaN wherever a pixel exceeds 0.5; some of the first steps lead there."""
    bowl.target.fill_(0.45)

    def objective(image: Tensor) -> tuple[Tensor, Tensor]:
        loss, gradient = bowl(image)
        return (loss if image.max() < 0.5 else torch.tensor(float("nan"))), gradient

    first, *_, last = islice(lbfgs(objective, torch.zeros_like(bowl.target)), 60)
    assert last.image.isfinite().all()
    assert last.loss < first.loss / 100


def test_the_history_of_lbfgs_is_limited_by_memory(bowl: Bowl, monkeypatch: pytest.MonkeyPatch) -> None:
    nbytes = bowl.target.nbytes
    histories = []
    for budget in (0, 4 * nbytes, 1000 * nbytes):
        monkeypatch.setattr(optimizers, "HISTORY_BYTES", budget)
        histories.append(optimizers.history_length(bowl.target))
    assert histories == [1, 4, 10]


def test_the_history_of_a_large_picture_takes_half_the_memory_and_converges(
    bowl: Bowl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimizers, "HISTORY_BYTES", 4 * bowl.target.nbytes)
    pairs = list[int]()
    monkeypatch.setattr(optimizers, "_pair", noting(optimizers._pair, pairs))
    *_, (image, _) = islice(lbfgs(bowl, torch.zeros_like(bowl.target)), 60)
    assert set(pairs) == {bowl.target.nbytes}
    torch.testing.assert_close(image, bowl.target, atol=2e-3, rtol=0)


def noting(pair: Callable[[Tensor, Tensor], optimizers._CurvaturePair], nbytes: list[int]) -> Any:
    def noted(step: Tensor, change: Tensor) -> optimizers._CurvaturePair:
        made = pair(step, change)
        nbytes.append(made.step.nbytes + made.change.nbytes)
        return made

    return noted


def test_lbfgs_limits_the_change_of_each_value_per_step(bowl: Bowl) -> None:
    asked = []

    def objective(image: Tensor) -> tuple[Tensor, Tensor]:
        asked.append(image.clone())
        return bowl(image)

    list(islice(lbfgs(objective, torch.zeros_like(bowl.target)), 40))
    changes = [(after - before).abs().max().item() for before, after in itertools.pairwise(asked)]
    assert max(changes) == pytest.approx(optimizers.MOST_CHANGE)


def test_the_steps_of_adam_become_smaller() -> None:
    """With a gradient of constant size and alternating sign."""
    asked = [torch.full((1, 3, 4, 4), 0.5)]

    def objective(image: Tensor) -> tuple[Tensor, Tensor]:
        asked.append(image.clone())
        return torch.tensor(1.0), torch.full_like(image, (-1) ** len(asked))

    list(islice(OPTIMIZERS["adam"](objective, asked[0]), 100))
    changes = [(after - before).abs().max().item() for before, after in itertools.pairwise(asked[1:])]
    assert sum(changes[-10:]) < 0.3 * sum(changes[:10])
