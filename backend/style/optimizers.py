"""Ways down: from an image to one of less loss, step by step, its values staying in [0, 1].

Knows an objective as a function from an image to its loss and gradient; nothing of what it means.

Sources:
    Nocedal and Wright 2006, *Numerical Optimization*, algorithms 7.4 and 7.5 (L-BFGS)
    Kingma and Ba 2015, *Adam: A Method for Stochastic Optimization*, ICLR, algorithm 1
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

Objective = Callable[[Tensor], tuple[float, Tensor]]

HISTORY, LEAST_HISTORY = 10, 1
"""Steps that L-BFGS remembers; 100 of them converge no faster here and hold ten times the memory."""
HISTORY_BYTES = 1 << 29
"""Where this does not hold all ten, L-BFGS remembers as many as it holds, in half as many bits."""
FIRST_CHANGE = 0.005
"""Mean change of a value in the first step, when nothing is known of the curvature yet."""
TINY = 1e-30
"""Keeps a gradient of 0 from being divided by its mean."""
MOST_CHANGE = 0.1
"""No value changes by more in a step, or a few pixels would take all of it and end as gaudy specks."""
DIVERGED = 2.0
"""Ratio to the least loss so far at which L-BFGS, which has no line search, starts anew."""
ADAM_RATE, ADAM_BETAS = 0.02, (0.9, 0.99)


class Descended(NamedTuple):
    """The best image so far, in [0, 1], and its loss."""

    image: Tensor
    loss: float


def lbfgs(objective: Objective, image: Tensor) -> Iterator[Descended]:
    """Minimise `objective` from `image` on by L-BFGS, one evaluation a step and no line search.

    Differs from Nocedal and Wright 2006: values end at the bounds of [0, 1], where a picture would be
    clipped anyway, and those that the gradient presses against a bound take no part in the step.
    No value changes by more than MOST_CHANGE at once. Where it diverges it starts anew from the best
    image, with a smaller first step.
    """
    best, change = Descended(image.clamp(0, 1), math.inf), FIRST_CHANGE
    while True:
        image, pairs = best.image, deque[_Pair](maxlen=history(image))
        loss, gradient = objective(image)
        while loss < DIVERGED * best.loss:
            if loss < best.loss:
                best = Descended(image, loss)
            yield best
            step = _direction(image, gradient, pairs, change).clamp_(-MOST_CHANGE, MOST_CHANGE)
            old_image, old_gradient = image, gradient
            image = step.add_(image).clamp_(0, 1)
            loss, gradient = objective(image)
            pair = _pair(image - old_image, torch.sub(gradient, old_gradient, out=old_gradient))
            if pair.curvature > 0:
                pairs.append(pair)
            del step, pair, old_image, old_gradient  # for an evaluation's memory is what is scarce
        yield best
        change /= 2


class _Pair(NamedTuple):
    """A step, the change of the gradient over it, their dot product, and what that is of the change's own."""

    step: Tensor
    change: Tensor
    curvature: float
    scale: float


def _pair(step: Tensor, change: Tensor) -> _Pair:
    curvature = _dot(step, change)
    scale = curvature / max(_dot(change, change), TINY)
    if history(step) < HISTORY:
        step, change = step.bfloat16(), change.bfloat16()
    return _Pair(step, change, curvature, scale)


def _direction(image: Tensor, gradient: Tensor, pairs: Sequence[_Pair], change: float) -> Tensor:
    """Nocedal and Wright 2006, algorithm 7.4; without pairs, downhill by `change` in the mean."""
    pressed = ((image <= 0) & (gradient > 0)) | ((image >= 1) & (gradient < 0))
    direction = gradient.masked_fill(pressed, 0)
    if not pairs:
        return direction.mul_(-change / direction.abs().mean().clamp_min(TINY))
    alphas = []
    for pair in reversed(pairs):
        alphas.append(_dot(pair.step, direction) / pair.curvature)
        direction.sub_(pair.change, alpha=alphas[-1])
    direction.mul_(pairs[-1].scale)
    for pair, alpha in zip(pairs, reversed(alphas), strict=True):
        beta = _dot(pair.change, direction) / pair.curvature
        direction.add_(pair.step, alpha=alpha - beta)
    return direction.neg_().masked_fill_(pressed, 0)


def _dot(first: Tensor, second: Tensor) -> float:
    return torch.dot(first.flatten().to(second.dtype), second.flatten()).item()


def history(image: Tensor) -> int:
    """How many steps L-BFGS remembers of an image of this size."""
    fitting = HISTORY_BYTES // image.nbytes
    return max(LEAST_HISTORY, min(HISTORY, fitting))


def adam(objective: Objective, image: Tensor) -> Iterator[Descended]:
    """Minimise `objective` from `image` on by Adam, its values kept in [0, 1].

    The rate falls with the root of the step's number, as in Kingma and Ba 2015, section 4: as many
    steps of the same size leave grain in every colour.
    """
    image = image.clamp(0, 1)
    optimizer = torch.optim.Adam([image], lr=ADAM_RATE, betas=ADAM_BETAS)
    best = Descended(image.clone(), math.inf)
    for step in itertools.count(1):
        loss, image.grad = objective(image)
        if loss < best.loss:
            best = Descended(image.clone(), loss)
        yield best
        optimizer.param_groups[0]["lr"] = ADAM_RATE / math.sqrt(step)
        optimizer.step()
        image.clamp_(0, 1)


OPTIMIZERS = {"l-bfgs": lbfgs, "adam": adam}
