"""DeepDream: gradient ascent on a network's features with respect to the image, octave by octave.

Source: Mordvintsev, Olah and Tyka 2015, *Inceptionism: Going Deeper into Neural Networks*, and the
notebook that its authors published with it (google/deepdream).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from atelier_shared.schedule import dream_octaves
from atelier_shared.sizes import Size

from ..imaging.resize import resize, size_of
from ..imaging.step import Step, Steps
from ..networks.feature_network import FeatureNetwork
from ..networks.tiled_features import Piece, TiledFeatures
from . import gradient_smoothing
from .objectives import DreamObjective

TILE_PX = 1040
"""Side of a tile including its halo; this side limits the memory. 1024 px plus the halo of Mixed_5d."""

MIN_INNER_TILE_PX = 512
"""Least side of a tile without its halo. It matters for deep layers, whose halo alone exceeds TILE_PX."""

LARGEST_STEP = 2.0
"""An octave with fewer iterations has larger steps, at most this many times as large."""
SMOOTHINGS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "none": lambda gradient: gradient,
    "gaussian": gradient_smoothing.gaussian,
    "laplacian": gradient_smoothing.laplacian,
}


@dataclass(frozen=True)
class DreamSettings:
    """The settings of a dream, independent of the picture, the network and the objective.

    Attributes:
        size: longest side, in pixels, of the last octave with all iterations, at least 1.
        octaves: number of sizes up to `size`, at least 1. Octaves smaller than the network's smallest
            image are left out.
        to_full_size: whether more octaves with fewer iterations follow, up to the picture's own size.
            Without them a larger picture keeps its own fine detail, and the dream is enlarged to it.
        octave_scale: ratio of each octave's size to the one before, above 1.
        iterations: steps of gradient ascent in each octave, at least 1.
        step_size: mean change of a value in one step, above 0, where 1 is from black to white.
        jitter: largest random shift in pixels before each step, at least 0; hides the network's grid.
        smoothing: filter against high-frequency noise in the gradient, a key of SMOOTHINGS.
        strength: share of the dream in the result, from 0 (the picture) to 1 (the dream).
        seed: of the random shifts.
    """

    size: int
    octaves: int
    octave_scale: float
    to_full_size: bool
    iterations: int
    step_size: float
    jitter: int
    smoothing: str
    strength: float
    seed: int


def dream(
    image: Tensor,
    objective: DreamObjective,
    settings: DreamSettings,
    *,
    network: FeatureNetwork,
    visible: Tensor | None = None,
    tile_scale: float = 1.0,
) -> Steps:
    """Change `image` so that `objective` increases; yield a step for every iteration of every octave.

    Each octave starts from the picture at its size plus the detail that the octaves before have added.
    A picture below the network's smallest image is enlarged for the work.

    Args:
        image: image tensor (1, 3, H, W).
        objective: function of the network's features.
        settings: sizes, steps and strength.
        network: computes the features.
        visible: visibility (1, 1, H, W) in [0, 1], the weight of each pixel and the share of its change;
            None for 1 everywhere. The network sees hidden pixels, but they have no weight and stay the
            same.
        tile_scale: factor for the usual side of tiles, below 1 if memory is short.

    Raises:
        ValueError: the network has no such layer, or the layer no such channels.
    """
    random = torch.Generator().manual_seed(settings.seed)
    ladder = dream_octaves(
        size_of(image),
        settings.size,
        settings.octaves,
        settings.octave_scale,
        settings.iterations,
        settings.to_full_size,
        network.minimum_px,
    )
    total, index = sum(iterations for _, iterations in ladder), 0
    if visible is None:
        visible = image.new_ones(1, 1, 1, 1).expand(1, 1, *size_of(image))
    detail = image.new_zeros(1, 3, 1, 1)
    finish_early = None
    for size, iterations in ladder:
        original, weights = resize(image, size), resize(visible, size).clamp(0, 1)  # (1, 3 and 1, h, w)
        current = (original + resize(detail, size)).clamp_(0, 1)
        step_size = settings.step_size * min(LARGEST_STEP, settings.iterations / iterations)
        for _ in range(iterations):
            index += 1
            shift = torch.randint(-settings.jitter, settings.jitter + 1, (2,), generator=random).tolist()
            gradient = shifted_gradient(current, weights, network, objective, shift, tile_scale)
            gradient = SMOOTHINGS[settings.smoothing](gradient)  # frees the one before smoothing
            current = step(current, gradient, step_size, weights)
            if index < total:
                finish_early = yield Step(
                    index, total, add_detail(original, current - original, settings.strength)
                )
            if finish_early:
                break
        detail = current - original
        if finish_early:
            break
    result = add_detail(image, detail, settings.strength)
    yield Step(total, total, torch.where(visible > 0, result, image))


def noise(size: Size, seed: int, device: torch.device) -> Tensor:
    """Return a grey image tensor with a little noise, the start of a feature visualisation."""
    random = torch.Generator().manual_seed(seed)
    return (0.5 + 0.05 * torch.randn(1, 3, *size, generator=random)).clamp_(0, 1).to(device)


def zoomed(image: Tensor, zoom: float) -> Tensor:
    """Enlarge the centre of an image (1, C, H, W) by the factor `zoom`, at least 1, to (1, C, H, W).

    The interpolation is bicubic. It runs on the processor, because MPS has no bicubic grid_sample.
    """
    to_source = torch.tensor([[[1 / zoom, 0, 0], [0, 1 / zoom, 0]]])
    grid = affine_grid(to_source, list(image.shape), align_corners=False)
    centre = grid_sample(image.cpu(), grid, mode="bicubic", padding_mode="border", align_corners=False)
    return centre.clamp_(0, 1).to(image.device)


def shifted_gradient(
    image: Tensor,
    visible: Tensor,
    network: FeatureNetwork,
    objective: DreamObjective,
    shift: list[int],
    tile_scale: float = 1.0,
) -> Tensor:
    """Compute `weighted_gradient` of the image rolled by `shift` rows and columns, rolled back.

    The rolled image is an argument without a name here, so that it is freed before the second roll: at
    24 megapixels it takes 0.3 GB.
    """
    gradient = weighted_gradient(
        image.roll(shift, (-2, -1)), visible.roll(shift, (-2, -1)), network, objective, tile_scale
    )
    return gradient.roll([-pixels for pixels in shift], (-2, -1))


def weighted_gradient(
    image: Tensor, visible: Tensor, network: FeatureNetwork, objective: DreamObjective, tile_scale: float
) -> Tensor:
    """Add up the layers' gradients, each scaled to its weight as mean absolute value.

    So the weights are independent of the scale of a layer's features.
    """
    gradients = (
        normalised(layer_gradient(image, visible, network, objective, layer, tile_scale)).mul_(weight)
        for layer, weight in objective.weights.items()
    )
    return functools.reduce(Tensor.add_, gradients)


def layer_gradient(
    image: Tensor,
    visible: Tensor,
    network: FeatureNetwork,
    objective: DreamObjective,
    layer: str,
    tile_scale: float = 1.0,
) -> Tensor:
    """Compute the gradient of the objective at one layer with respect to the image, (1, 3, H, W).

    It is computed tile by tile and equals the gradient of the picture as a whole.
    """
    inner_px = max(MIN_INNER_TILE_PX, TILE_PX - 2 * network.halo_px([layer]))
    fits_one_tile = max(size_of(image)) <= TILE_PX
    tiled = TiledFeatures(network, [layer], TILE_PX if fits_one_tile else inner_px, tile_scale)
    gradient = torch.zeros_like(image)
    for tile in tiled.compute(image, visible, differentiable=True):
        tile.add_gradient({layer: _feature_gradient(objective, layer, tile.pieces[layer])}, gradient)
        del tile  # frees the tile's features before the next tile is computed
    return gradient


def _feature_gradient(objective: DreamObjective, layer: str, piece: Piece) -> Tensor:
    """Compute the gradient of the objective with respect to a tile's own features, (1, C, h, w)."""
    features, visible = piece
    scores = objective.scores(layer, features.requires_grad_())  # (1, h, w)
    weights = torch.ones_like(scores) if visible is None else visible[0]
    (gradient,) = torch.autograd.grad(scores, features, weights)
    return gradient


def step(image: Tensor, gradient: Tensor, step_size: float, visible: Tensor) -> Tensor:
    """Move the image along `gradient`, by `step_size` in the mean over the visible pixels.

    The memory of `gradient` is reused for the result.
    """
    change = normalised(gradient.mul_(visible)).mul_(step_size * visible.mean())
    return change.add_(image).clamp_(0, 1)


def normalised(gradient: Tensor) -> Tensor:
    """Divide the gradient, in place, by its mean absolute value."""
    mean = torch.linalg.vector_norm(gradient, ord=1) / gradient.numel()
    return gradient.div_(mean.clamp_min(torch.finfo(gradient.dtype).tiny))


def add_detail(image: Tensor, detail: Tensor, strength: float) -> Tensor:
    """Enlarge `detail` (1, 3, h, w) to the image's size, and add the share `strength` of it to the image."""
    return resize(detail, size_of(image)).mul(strength).add_(image).clamp_(0, 1)
