"""Optimizers of an image: bounded L-BFGS and Adam. All values stay in [0, 1].

An optimizer takes an objective function and a first image (1, 3, H, W), and yields the best image so far
after each evaluation. Scalars stay on the image's device as tensors (), because the processor would have to
wait for each. It reads the loss once per evaluation, and the curvature with it.

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

ObjectiveFunction = Callable[[Tensor], tuple[Tensor, Tensor]]
"""From an image (1, 3, H, W) to its loss () and the gradient with respect to the image, (1, 3, H, W)."""

HISTORY, LEAST_HISTORY = 10, 1
"""Number of steps in the memory of L-BFGS; 100 converge no faster here and take ten times the memory."""
HISTORY_BYTES = 1 << 29
"""Where all ten steps do not fit in, L-BFGS keeps as many as fit, in bfloat16."""
FIRST_CHANGE = 0.005
"""Mean change of a value in the first step, before the curvature is known."""
TINY = 1e-30
"""Lower bound of divisors, for gradients of 0."""
MOST_CHANGE = 0.1
"""Largest change of a value in one step; without it a few pixels take it all and become gaudy specks."""
DIVERGED = 2.0
"""L-BFGS, here without line search, restarts when the loss reaches this multiple of the least one."""
ADAM_RATE, ADAM_BETAS = 0.02, (0.9, 0.99)


class BestSoFar(NamedTuple):
    """The image (1, 3, H, W) in [0, 1] of the least loss so far, and this loss."""

    image: Tensor
    loss: float


def lbfgs(objective: ObjectiveFunction, image: Tensor) -> Iterator[BestSoFar]:
    """Minimise `objective` by L-BFGS: one evaluation a step, without line search.

    Differs from Nocedal and Wright 2006: values are clamped to [0, 1], and a value at a bound takes no
    part in a step while the gradient points beyond the bound. No value changes by more than MOST_CHANGE
    in a step. Where the loss diverges, L-BFGS restarts from the best image with half the first step.
    """
    best, change = BestSoFar(image.clamp(0, 1), math.inf), FIRST_CHANGE
    while True:
        image, pairs = best.image, deque[_CurvaturePair](maxlen=history_length(image))
        device_loss, gradient = objective(image)
        loss = device_loss.item()
        while loss < DIVERGED * best.loss:
            if loss < best.loss:
                best = BestSoFar(image, loss)
            yield best
            step = _direction(image, gradient, pairs, change).clamp_(-MOST_CHANGE, MOST_CHANGE)
            old_image, old_gradient = image, gradient
            image = step.add_(image).clamp_(0, 1)
            device_loss, gradient = objective(image)
            pair = _pair(image - old_image, torch.sub(gradient, old_gradient, out=old_gradient))
            loss, curvature = torch.stack([device_loss, pair.curvature]).tolist()
            if curvature > 0:
                pairs.append(pair)
            del step, pair, old_image, old_gradient  # frees their memory before the next evaluation
        yield best
        change /= 2


class _CurvaturePair(NamedTuple):
    """A step s and the change y of the gradient over it, with s·y and the Hessian scale (s·y)/(y·y), ()."""

    step: Tensor
    change: Tensor
    curvature: Tensor
    scale: Tensor


def _pair(step: Tensor, change: Tensor) -> _CurvaturePair:
    curvature = _dot(step, change)
    scale = curvature / _dot(change, change).clamp_min(TINY)
    if history_length(step) < HISTORY:
        step, change = step.bfloat16(), change.bfloat16()
    return _CurvaturePair(step, change, curvature, scale)


def _direction(image: Tensor, gradient: Tensor, pairs: Sequence[_CurvaturePair], change: float) -> Tensor:
    """Compute the direction of descent (1, 3, H, W): Nocedal and Wright 2006, algorithm 7.4.

    Without pairs it is the steepest descent, with `change` as its mean absolute value.
    """
    at_bound = ((image <= 0) & (gradient > 0)) | ((image >= 1) & (gradient < 0))
    direction = gradient.masked_fill(at_bound, 0)
    if not pairs:
        return direction.mul_(-change / direction.abs().mean().clamp_min(TINY))
    alphas = []
    for pair in reversed(pairs):
        alphas.append(_dot(pair.step, direction) / pair.curvature)
        direction.addcmul_(pair.change, alphas[-1], value=-1)
    direction.mul_(pairs[-1].scale)
    for pair, alpha in zip(pairs, reversed(alphas), strict=True):
        beta = _dot(pair.change, direction) / pair.curvature
        direction.addcmul_(pair.step, alpha - beta)
    return direction.neg_().masked_fill_(at_bound, 0)


def _dot(first: Tensor, second: Tensor) -> Tensor:
    """Return the dot product of two tensors of equal shape in float32, ()."""
    return torch.dot(first.flatten().to(second.dtype), second.flatten()).float()


def history_length(image: Tensor) -> int:
    """Return the number of steps in the memory of L-BFGS for an image of this size."""
    fitting = HISTORY_BYTES // image.nbytes
    return max(LEAST_HISTORY, min(HISTORY, fitting))


def adam(objective: ObjectiveFunction, image: Tensor) -> Iterator[BestSoFar]:
    """Minimise `objective` by Adam, with all values clamped to [0, 1].

    The learning rate falls with the square root of the step number, as in Kingma and Ba 2015, section 4:
    a constant rate leaves grain in every colour.
    """
    image = image.clamp(0, 1)
    optimizer = torch.optim.Adam([image], lr=ADAM_RATE, betas=ADAM_BETAS)
    best = BestSoFar(image.clone(), math.inf)
    for step in itertools.count(1):
        device_loss, image.grad = objective(image)
        loss = device_loss.item()
        if loss < best.loss:
            best = BestSoFar(image.clone(), loss)
        yield best
        optimizer.param_groups[0]["lr"] = ADAM_RATE / math.sqrt(step)
        optimizer.step()
        image.clamp_(0, 1)


OPTIMIZERS = {"l-bfgs": lbfgs, "adam": adam}
