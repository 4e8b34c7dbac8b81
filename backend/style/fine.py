"""Style transfer by optimisation: the picture itself is what is changed until it fits.

Knows image tensors and a feature network; nothing of files, sockets or who asked.

Source: Gatys, Ecker and Bethge 2016, *Image Style Transfer Using Convolutional Neural Networks*, CVPR.
Coarse to fine as in Gatys et al. 2017, *Controlling Perceptual Factors in Neural Style Transfer*,
CVPR, section 6: the coarse sizes find the large strokes, the fine ones draw them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import torch
from torch import Tensor

from atelier_shared.schedule import COARSEST_PX, shared_out

from ..imaging.resize import Size, fit, octave_sizes, resize, restore_detail, size_of
from ..imaging.step import Step, Steps
from ..imaging.style_image import Style, fitted
from ..networks.registry import Network
from .fine_loss import Objective, Weights
from .optimizers import OPTIMIZERS, Descended

FLAT_STEPS = 10
"""Steps over which `tolerance` looks back."""


def stylize(
    content: Tensor,
    styles: Sequence[Style],
    *,
    network: Network,
    visible: Tensor | None,
    strength: float,
    size: int,
    iterations: int,
    content_weight: float,
    style_weight: float,
    smoothness: float,
    content_layers: Mapping[str, float],
    style_layers: Mapping[str, float],
    style_size: float,
    stretch: bool,
    optimizer: str,
    init: Tensor | None,
    noise: float,
    tolerance: float,
    seed: int,
) -> Steps:
    """Paint `content` in the manner of `styles`, one step for every evaluation of the loss.

    Differs from Gatys et al. 2016: starts at a coarse size from `init`, and at each finer size from
    the pastiche so far with the content's own detail put back.

    Args:
        content: image tensor.
        styles: of several, the mean of their Gram matrices by weight is taken.
        network: whose features are compared.
        visible: (1, 1, H, W) in [0, 1], how much each pixel of the content counts; None for all in full.
        strength: from 0, the content itself, to 1; the Gram matrices aimed at lie between the
            content's and the styles'.
        size: longest side in pixels at which the picture is painted. A larger content keeps its
            own fine detail.
        iterations: steps over all sizes.
        content_weight: multiple of CONTENT_WEIGHT.
        style_weight: multiple of STYLE_WEIGHT.
        smoothness: multiple of SMOOTHNESS, the weight of the total variation.
        content_layers: the layers that hold the shapes, with their shares.
        style_layers: the layers that seek the style, with their shares; at least one.
        style_size: size of the styles beside that of the content.
        stretch: whether the styles take on the content's proportions.
        optimizer: "l-bfgs" or "adam".
        init: image tensor of any size to start from, such as the fast method's pastiche; the
            content when None.
        noise: share of noise in what the first size starts with. A little of it helps where the
            picture is flat, for a flat place gives the gradient no direction.
        tolerance: a size ends when the loss fell by less than this fraction over ten steps; 0: never.
        seed: of the noise.

    Raises:
        ValueError: the network has no such layer, or nothing of a style is visible or weighs anything.
    """
    if strength == 0 or (visible is not None and not visible.any()):
        yield Step(1, 1, content)
        return
    weights = Weights(content_weight, style_weight, smoothness, content_layers, style_layers)
    fit_style = functools.partial(
        fitted, style_size=style_size, stretch=stretch, minimum_px=network.minimum_px
    )
    sizes = _sizes(size_of(content), size, network)[-iterations:]
    pastiche = _begun(resize(content if init is None else init, sizes[0]), noise, seed)
    done = 0
    for level_size, share in zip(sizes, shared_out(iterations, len(sizes)), strict=True):
        target = resize(content, level_size)
        objective = Objective(
            target,
            [fit_style(style, level_size) for style in styles],
            network=network,
            visible=None if visible is None else resize(visible, level_size).clamp(0, 1),
            strength=strength,
            weights=weights,
        )
        descent = OPTIMIZERS[optimizer](objective, restore_detail(pastiche, target))
        for index, descended in enumerate(_until_flat(islice(descent, share), tolerance), done + 1):
            pastiche = descended.image
            finish_early = index == iterations or (yield Step(index, iterations, pastiche))
            if finish_early:
                break
        done += share
        if finish_early:
            break
    yield Step(iterations, iterations, restore_detail(pastiche, content).clamp(0, 1))


def _until_flat(descent: Iterator[Descended], tolerance: float) -> Iterator[Descended]:
    losses: list[float] = []
    for descended in descent:
        yield descended
        losses.append(descended.loss)
        if len(losses) > FLAT_STEPS and losses[-1] > (1 - tolerance) * losses[-1 - FLAT_STEPS]:
            return


def _sizes(content: Size, longest_px: int, network: Network) -> list[Size]:
    shortest_px = max(COARSEST_PX, network.minimum_px)
    largest = fit(content, longest_px, network.minimum_px)
    return octave_sizes(largest, 1 + int(math.log2(max(largest) / shortest_px)), 2.0, shortest_px)


def _begun(image: Tensor, noise: float, seed: int) -> Tensor:
    grain = torch.rand(image.shape, generator=torch.Generator().manual_seed(seed))
    return torch.lerp(image, grain.to(image.device), noise)
