"""The fine method: style transfer by optimising the pixels of the picture itself.

Sources:
    Gatys, Ecker and Bethge 2016, *Image Style Transfer Using Convolutional Neural Networks*, CVPR
    Gatys et al. 2017, *Controlling Perceptual Factors in Neural Style Transfer*, CVPR, section 6: coarse
    to fine. Coarse sizes find the large strokes, fine sizes draw them.
    Ruder, Dosovitskiy and Brox 2016, *Artistic Style Transfer for Videos*, GCPR: frames of an animation
The loss is in `fine_loss`, the formulas of one layer are in `losses`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from atelier_shared.schedule import coarse_to_fine
from atelier_shared.sizes import Size, fit

from ..imaging import colours
from ..imaging.resize import resize, restore_detail, size_of
from ..imaging.step import Step, Steps
from ..imaging.style_image import Style
from ..networks import cuda_graphs
from ..networks.feature_network import FeatureNetwork
from .fine_loss import LossWeights, StyleObjective
from .optimizers import OPTIMIZERS, BestSoFar, ObjectiveFunction
from .tile_loss import TileWorkers

TEMPORAL_WEIGHT = 60.0
"""Weight of the mean square of the distance to a prediction, beside the loss of content and style."""
FLAT_STEPS = 10
"""Number of steps over which `tolerance` compares the loss."""


@dataclass(frozen=True)
class FineSettings:
    """The settings of the fine method.

    Attributes:
        strength: from 0, the content itself, to 1; interpolates the target Gram matrices from the
            content's to the styles'.
        size: longest side of the painting, in pixels; a larger content is reduced.
        iterations: evaluations of the loss over all sizes; at least 1.
        weights: weights of the terms and the layers in the loss.
        optimizer: a key of OPTIMIZERS, "l-bfgs" or "adam".
        noise: share of noise in the first image, in [0, 1]. A little helps in flat areas, where the
            gradient has no direction.
        tolerance: a size ends early when the loss has fallen by less than this fraction over FLAT_STEPS
            steps, in [0, 1]; 0 for never.
        seed: seed of the noise.
    """

    strength: float
    size: int
    iterations: int
    weights: LossWeights
    optimizer: str
    noise: float
    tolerance: float
    seed: int


class Predicted(NamedTuple):
    """The pastiche that the previous frame of an animation predicts for this one.

    Attributes:
        image: (1, 3, H, W) in [0, 1].
        weight: (1, 1, H, W) in [0, 1]; 0 where nothing is predicted.
    """

    image: Tensor
    weight: Tensor

    def at(self, size: Size) -> Predicted:
        """Return the same at another size."""
        return Predicted(resize(self.image, size).clamp(0, 1), resize(self.weight, size).clamp(0, 1))


def stylize(
    content: Tensor,
    styles: Sequence[Style],
    settings: FineSettings,
    *,
    network: FeatureNetwork,
    visible: Tensor | None,
    init: Tensor | None = None,
    predicted: Predicted | None = None,
    tile_scale: float = 1.0,
    workers: TileWorkers | None = None,
) -> Steps:
    """Paint `content` in the style of `styles`; yield a step for each evaluation of the loss.

    Differs from Gatys et al. 2016: starts at a coarse size from `init`. Each finer size starts from the
    previous pastiche, with the detail of the content restored. Colours that the styles lack are taken away.

    Args:
        content: image tensor (1, 3, H, W).
        styles: their Gram matrices are averaged by weight.
        settings: settings of the method.
        network: the network whose features are compared.
        visible: visibility of the content (1, 1, H, W) in [0, 1]; None for 1 everywhere.
        init: first image (1, 3, h, w) of any size, such as a pastiche of the fast method; None for the
            content.
        predicted: the start instead of `init` where it has a weight. The loss keeps the pastiche near it.
            All iterations are at the finest size, because its coarse strokes are in place.
        tile_scale: factor for the side of tiles, in (0, 1].
        workers: compute the tiles of a large picture; None for this process.

    Raises:
        ValueError: the network lacks a layer, a style is fully transparent, or all weights are 0.
    """
    if settings.strength == 0 or (visible is not None and not visible.any()):
        yield Step(1, 1, content)
        return
    total = settings.iterations
    ladder = coarse_to_fine(size_of(content), settings.size, total, network.minimum_px)
    if predicted:
        ladder = [(ladder[-1][0], total)]
        predicted = predicted.at(ladder[0][0])
    pastiche = _first_image(resize(content if init is None else init, ladder[0][0]), settings, predicted)
    done = 0
    for size, steps in ladder:
        target = colours.subdued(resize(content, size), visible, styles, settings.strength)
        coloured = [*styles, Style(target, visible=visible)]
        pastiche = colours.subdued(restore_detail(pastiche, target), visible, coloured)
        objective = StyleObjective(
            target,
            [style.fitted(size, network.minimum_px) for style in styles],
            network=network,
            visible=None if visible is None else resize(visible, size).clamp(0, 1),
            strength=settings.strength,
            weights=settings.weights,
            init=pastiche,
            tile_scale=tile_scale,
            workers=workers,
        )
        is_recorded = network.path.recorded and not objective.is_tiled
        evaluate = cuda_graphs.for_size(objective, pastiche, is_recorded=is_recorded)
        if predicted:
            evaluate = _near(predicted, evaluate)
        descent = OPTIMIZERS[settings.optimizer](evaluate, pastiche)
        for index, best in enumerate(_until_flat(islice(descent, steps), settings.tolerance), done + 1):
            pastiche = best.image
            finish_early = index == total or (yield Step(index, total, pastiche))
            if finish_early:
                break
        done += steps
        if finish_early:
            break
    painting = resize(pastiche, fit(size_of(content), max(size_of(pastiche))))
    yield Step(total, total, colours.subdued(painting.clamp(0, 1), visible, coloured))


def _until_flat(descent: Iterator[BestSoFar], tolerance: float) -> Iterator[BestSoFar]:
    """Yield from `descent` until the loss improves by less than `tolerance` over FLAT_STEPS steps."""
    losses: list[float] = []
    for best in descent:
        yield best
        losses.append(best.loss)
        if len(losses) > FLAT_STEPS and losses[-1] > (1 - tolerance) * losses[-1 - FLAT_STEPS]:
            return


def _near(predicted: Predicted, objective: ObjectiveFunction) -> ObjectiveFunction:
    """Add to an objective the temporal loss, the weighted mean square of the distance to the prediction.

    Ruder et al. 2016, eq. 7, with a weight for each pixel.
    """

    def evaluate(image: Tensor) -> tuple[Tensor, Tensor]:
        loss, gradient = objective(image)
        distance = image - predicted.image
        pull = distance * predicted.weight * (TEMPORAL_WEIGHT / distance.numel())
        return loss + (pull * distance).sum(), gradient + 2 * pull

    return evaluate


def _first_image(image: Tensor, settings: FineSettings, predicted: Predicted | None) -> Tensor:
    """Blend `image` (1, 3, h, w) with uniform noise; the noise is drawn on the CPU for every device.

    Where there is a prediction, it takes the place of both.
    """
    noise = torch.rand(image.shape, generator=torch.Generator().manual_seed(settings.seed))
    first = torch.lerp(image, noise.to(image.device), settings.noise)
    return torch.lerp(first, *predicted) if predicted else first
