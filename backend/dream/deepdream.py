"""DeepDream: gradient ascent on what a network sees in a picture, octave by octave.

Knows image tensors, a network and an objective; nothing of devices, files or who asked.

Source: Mordvintsev, Olah and Tyka 2015, *Inceptionism: Going Deeper into Neural Networks*, and the
notebook that its authors published with it (google/deepdream).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from atelier_shared.sizes import Size, fit, octave_sizes
from ..imaging.resize import resize, size_of
from ..imaging.step import Step, Steps
from ..networks.registry import Network
from ..networks.tiled_features import Piece, TiledFeatures
from . import gradient_smoothing as smoothings
from .objectives import Objective

TILE_PX = 1040
"""Side of a tile with its halo (1024 px without that of Mixed_5d): what decides how much memory it takes."""

NARROWEST_TILE_PX = 512
"""Side of a tile without its halo, where the halo alone would be almost all of it."""

Smoothing = Literal["none", "gaussian", "laplacian"]

SMOOTHINGS: Mapping[Smoothing, Callable[[Tensor], Tensor]] = {
    "none": lambda gradient: gradient,
    "gaussian": smoothings.gaussian,
    "laplacian": smoothings.laplacian,
}


def dream(
    image: Tensor,
    *,
    network: Network,
    objective: Objective,
    visible: Tensor | None = None,
    strength: float,
    iterations: int,
    step_size: float,
    octaves: int,
    octave_scale: float,
    jitter: int,
    size: int,
    smoothing: Smoothing = "none",
    seed: int,
    tile_scale: float = 1.0,
) -> Steps:
    """Strengthen in `image` whatever the objective asks for; a step for every iteration of every octave.

    Each octave begins with its size of the picture and the detail that the coarser ones dreamt.

    Args:
        image: image tensor.
        network: the network that dreams.
        objective: what of its features rises.
        visible: (1, 1, H, W) in [0, 1], how much each pixel counts and may change; None is all of
            them, fully. Where it is 0 the network still sees the image's colours, but they neither
            count nor change.
        strength: how much of the dream is laid over the picture, in [0, 1].
        iterations: steps of gradient ascent at each octave.
        step_size: mean change of a value in one step, where 1 is from black to white.
        octaves: sizes dreamt at; those smaller than the network takes are left out. A picture that
            is too small itself is dreamt upon enlarged.
        octave_scale: ratio between one octave's size and the next.
        jitter: largest shift in pixels, drawn anew for every step.
        size: longest side dreamt at, in pixels; the dream is enlarged to a larger picture, which
            so keeps its own fine detail.
        smoothing: of the gradient, against high-frequency noise.
        seed: of the jitter.
        tile_scale: factor for the tiles' usual sides, below 1 where memory is short.

    Raises:
        ValueError: the network lacks a layer, or a layer the channels, that the objective looks at.
    """
    random = torch.Generator().manual_seed(seed)
    finest = fit(size_of(image), size, network.minimum_px)
    sizes = octave_sizes(finest, octaves, octave_scale, network.minimum_px)
    total = len(sizes) * iterations
    if visible is None:
        visible = image.new_ones(1, 1, 1, 1).expand(1, 1, *size_of(image))
    detail = image.new_zeros(1, 3, 1, 1)
    for octave, octave_size in enumerate(sizes):
        base, counted = resize(image, octave_size), resize(visible, octave_size).clamp(0, 1)
        dreamt = (base + resize(detail, octave_size)).clamp_(0, 1)
        for index in range(octave * iterations + 1, (octave + 1) * iterations + 1):
            shift = torch.randint(-jitter, jitter + 1, (2,), generator=random).tolist()
            direction = SMOOTHINGS[smoothing](ascent(dreamt, network, objective, shift, counted, tile_scale))
            dreamt = step(dreamt, direction, step_size, counted)
            finish_early = index == total or (
                yield Step(index, total, laid_over(base, dreamt - base, strength))
            )
            if finish_early:
                break
        detail = dreamt - base
        if finish_early:
            break
    made = laid_over(image, detail, strength)
    yield Step(total, total, torch.where(visible > 0, made, image))


def noise(size: Size, seed: int, device: torch.device) -> Tensor:
    """A grey image tensor with a little noise in it, with which feature visualisation begins."""
    random = torch.Generator().manual_seed(seed)
    return (0.5 + 0.05 * torch.randn(1, 3, *size, generator=random)).clamp_(0, 1).to(device)


def zoomed(image: Tensor, zoom: float) -> Tensor:
    """The centre of an image tensor, enlarged by `zoom` (1 and more), at the same size; bicubic.

    Always on the processor, for MPS has no bicubic grid_sample.
    """
    to_source = torch.tensor([[[1 / zoom, 0, 0], [0, 1 / zoom, 0]]])
    grid = affine_grid(to_source, list(image.shape), align_corners=False)
    centre = grid_sample(image.cpu(), grid, mode="bicubic", padding_mode="border", align_corners=False)
    return centre.clamp_(0, 1).to(image.device)


def ascent(
    image: Tensor,
    network: Network,
    objective: Objective,
    shift: list[int],
    visible: Tensor,
    tile_scale: float = 1.0,
) -> Tensor:
    """The way up on the image rolled by `shift` rows and columns, rolled back.

    The rolled image is let go of before: at 24 megapixels it takes 0.3 GB.
    """
    rolled = weighed_gradient(
        image.roll(shift, (-2, -1)), visible.roll(shift, (-2, -1)), network, objective, tile_scale
    )
    return rolled.roll([-pixels for pixels in shift], (-2, -1))


def weighed_gradient(
    image: Tensor, visible: Tensor, network: Network, objective: Objective, tile_scale: float
) -> Tensor:
    """Each layer's gradient with, whatever the scale of its features, its weight as mean absolute value."""
    gradients = (
        normalised(tiled_gradient(image, network, objective, layer, visible, tile_scale)).mul_(weight)
        for layer, weight in objective.weights.items()
    )
    return functools.reduce(Tensor.add_, gradients)


def tiled_gradient(
    image: Tensor,
    network: Network,
    objective: Objective,
    layer: str,
    visible: Tensor,
    tile_scale: float = 1.0,
) -> Tensor:
    """The gradient of the objective at one layer, computed a tile at a time as if for the whole picture."""
    narrower = max(NARROWEST_TILE_PX, TILE_PX - 2 * network.halo_px([layer]))
    side = TILE_PX if max(size_of(image)) <= TILE_PX else narrower
    gradient = torch.zeros_like(image)
    for visit in TiledFeatures(network, [layer], side, tile_scale).visits(
        image, visible, differentiable=True
    ):
        visit.pull({layer: _upwards(objective, layer, visit.pieces[layer])}, gradient)
        del visit
    return gradient


def _upwards(objective: Objective, layer: str, piece: Piece) -> Tensor:
    """The gradient of the objective with respect to a tile's own features."""
    features, counted = piece
    excitement = objective.excitement(layer, features.requires_grad_())
    weights = torch.ones_like(excitement) if counted is None else counted[0]
    (gradient,) = torch.autograd.grad(excitement, features, weights)
    return gradient


def step(image: Tensor, direction: Tensor, step_size: float, visible: Tensor) -> Tensor:
    """The image moved in a direction that it takes over, by `step_size` in the mean of what is visible."""
    change = normalised(direction.mul_(visible)).mul_(step_size * visible.mean())
    return change.add_(image).clamp_(0, 1)


def normalised(gradient: Tensor) -> Tensor:
    """The gradient divided, in its own memory, by its mean absolute value."""
    mean = torch.linalg.vector_norm(gradient, ord=1) / gradient.numel()
    return gradient.div_(mean.clamp_min(torch.finfo(gradient.dtype).tiny))


def laid_over(image: Tensor, detail: Tensor, strength: float) -> Tensor:
    """The image with `strength` of the detail, which is enlarged to its size."""
    return resize(detail, size_of(image)).mul(strength).add_(image).clamp_(0, 1)
