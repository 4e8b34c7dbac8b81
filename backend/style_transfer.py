"""Style transfer by optimisation: the picture itself is what L-BFGS changes.

Knows image tensors and a feature network; nothing of files, sockets or who asked.

Source: Gatys, Ecker and Bethge 2016, *Image Style Transfer Using Convolutional Neural Networks*, CVPR.
Coarse to fine as in Gatys et al. 2017, *Controlling Perceptual Factors in Neural Style Transfer*,
CVPR, section 6: the coarse sizes find the large strokes, the fine ones draw them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from .losses import content_loss, gram_matrix, style_loss, total_variation
from .networks import Network
from .pyramid import Size, fit, octave_sizes, resize, restore_detail, size_of
from .step import Step

CONTENT_LAYER = "relu4_2"
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")

CONTENT_WEIGHT, STYLE_WEIGHT, SMOOTHNESS = 1.0, 10.0, 10.0
"""What the three settings' value of 1 stands for; chosen by eye."""

OCTAVES = 4
COARSEST_PX = 64
NOISE = 0.05
HISTORY = 10
"""Steps that L-BFGS remembers; 100 of them converge no faster here and hold ten times the memory."""
DIVERGED = 10.0
"""Ratio to the least loss so far at which L-BFGS, which has no line search, starts anew."""

Objective = Callable[[Tensor], Tensor]


def stylize(
    content: Tensor,
    styles: Sequence[Tensor],
    *,
    network: Network,
    strength: float,
    size: int,
    iterations: int,
    content_weight: float,
    style_weight: float,
    smoothness: float,
    seed: int,
    init: Tensor | None = None,
) -> Iterator[Step]:
    """Paint `content` in the manner of `styles`, one step for every evaluation of the loss.

    Differs from Gatys et al. 2016: starts at a coarse size from `init`, and at each finer size from
    the pastiche so far with the content's own detail put back; the iterations are shared out evenly.

    Args:
        content: image tensor.
        styles: image tensors; of several, the mean of their Gram matrices is taken.
        network: a VGG19.
        strength: from 0, the content itself, to 1; the Gram matrices aimed at lie between the
            content's and the style's.
        size: longest side in pixels at which the picture is painted. A larger content keeps its
            own fine detail.
        iterations: steps of L-BFGS over all sizes.
        content_weight: multiple of CONTENT_WEIGHT.
        style_weight: multiple of STYLE_WEIGHT.
        smoothness: multiple of SMOOTHNESS, the weight of the total variation.
        seed: of the noise that the first size starts with.
        init: image tensor of any size to start from, such as the fast method's pastiche; the
            content when None.
    """
    if strength == 0:
        yield Step(1, 1, content)
        return
    sizes = _sizes(size_of(content), size, network)[-iterations:]
    pastiche = _with_noise(resize(content if init is None else init, sizes[0]), seed)
    done = 0
    for level, level_size in enumerate(sizes, start=1):
        target = resize(content, level_size)
        start = restore_detail(pastiche, target).clamp(0, 1)
        objective = _objective(
            target,
            [_fit_style(style, level_size, network) for style in styles],
            network=network,
            strength=strength,
            weights=(content_weight, style_weight, smoothness),
        )
        until = iterations * level // len(sizes)
        for image in itertools.islice(descend(objective, start), until - done):
            done += 1
            pastiche = image.clamp(0, 1)
            if done < iterations:
                yield Step(done, iterations, pastiche)
    yield Step(iterations, iterations, restore_detail(pastiche, content).clamp(0, 1))


def descend(objective: Objective, image: Tensor) -> Iterator[Tensor]:
    """Minimise `objective` from `image` on; yields the best image so far after every evaluation.

    L-BFGS with one evaluation a step. Where it diverges it starts anew from the best image, with
    half the step.
    """
    best, least, rate = image, math.inf, 1.0
    image, optimizer = _lbfgs(best, rate)
    while True:
        evaluated = image.detach().clone()
        loss = _step(objective, image, optimizer)
        if loss < least:
            best, least = evaluated, loss
        elif not loss < DIVERGED * least:
            rate /= 2
            image, optimizer = _lbfgs(best, rate)
        yield best


def _lbfgs(start: Tensor, rate: float) -> tuple[Tensor, torch.optim.LBFGS]:
    image = start.detach().clone(memory_format=torch.contiguous_format).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [image], lr=rate, max_iter=1, history_size=HISTORY, tolerance_grad=0, tolerance_change=0
    )
    return image, optimizer


def _step(objective: Objective, image: Tensor, optimizer: torch.optim.LBFGS) -> float:
    """Move `image` a step; the loss is that of before."""

    def closure() -> float:
        optimizer.zero_grad()
        with torch.enable_grad():
            loss = objective(image)
            loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    loss: float = optimizer.step(closure)  # type: ignore[no-untyped-call]
    return loss


def _objective(
    content: Tensor,
    styles: Sequence[Tensor],
    *,
    network: Network,
    strength: float,
    weights: tuple[float, float, float],
) -> Objective:
    """Gatys et al. 2016, eq. 7, with total variation.

    Differs from Gatys et al. 2016: each layer's loss is relative to the mean square of its target,
    so that the layers and the terms keep their balance for every picture and every network.
    """
    content_weight, style_weight, smoothness = weights
    layers = (*STYLE_LAYERS, CONTENT_LAYER)
    with torch.no_grad():
        features = network.features(content, layers)
        target = _target_grams(_grams(features), styles, network, strength)
    shapes = features[CONTENT_LAYER]

    def objective(image: Tensor) -> Tensor:
        found = network.features(image, layers)
        content_term = content_loss(found[CONTENT_LAYER], shapes) / _power(shapes)
        style_terms = [style_loss(found[layer], gram) / _power(gram) for layer, gram in target.items()]
        return (
            content_weight * CONTENT_WEIGHT * content_term
            + style_weight * STYLE_WEIGHT * torch.stack(style_terms).mean()
            + smoothness * SMOOTHNESS * total_variation(image)
        )

    return objective


def _target_grams(
    own: dict[str, Tensor], styles: Sequence[Tensor], network: Network, strength: float
) -> dict[str, Tensor]:
    """What each style layer aims at: between the content's own Gram matrix and the mean of the styles'."""
    grams = [_grams(network.features(style, STYLE_LAYERS)) for style in styles]
    means = {layer: torch.stack([gram[layer] for gram in grams]).mean(dim=0) for layer in STYLE_LAYERS}
    return {layer: torch.lerp(own[layer], means[layer], strength) for layer in STYLE_LAYERS}


def _grams(features: dict[str, Tensor]) -> dict[str, Tensor]:
    return {layer: gram_matrix(features[layer]) for layer in STYLE_LAYERS}


def _power(target: Tensor) -> Tensor:
    return target.square().mean().clamp_min(torch.finfo(target.dtype).tiny)


def _sizes(content: Size, longest_px: int, network: Network) -> list[Size]:
    shortest_px = max(COARSEST_PX, network.minimum_px)
    return octave_sizes(fit(content, longest_px, network.minimum_px), OCTAVES, 2.0, shortest_px)


def _fit_style(style: Tensor, content: Size, network: Network) -> Tensor:
    return resize(style, fit(size_of(style), max(content), network.minimum_px))


def _with_noise(image: Tensor, seed: int) -> Tensor:
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
    return image + NOISE * noise.to(image.device)
