"""How soon the fine method reaches the loss that the plain recipe reaches.

The plain recipe is what others do: L-BFGS from the content at one size, with stock modules of torch.
Ours is `stylize` after the fast method's pastiche. Both minimise the same loss; what is judged is the
pictures as they would be saved, in 8 bits, by the same stock network at three sizes.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from backend import fast_style, style_transfer
from backend.images import read
from backend.losses import content_loss, gram_matrix, style_loss, total_variation
from backend.networks import DEFAULTS, Network, load_decoder, load_network
from backend.picture_files import Canvas
from backend.pyramid import fit, resize, size_of
from backend.step import Step
from backend.style_objective import CONTENT_WEIGHT, SMOOTHNESS, STYLE_WEIGHT
from backend.styles import Style

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
MODELS = Path(os.environ.get("ATELIER_TEST_MODELS", Path.home() / ".cache/atelier-tests/models"))
CPU = torch.device("cpu")
LAYERS = DEFAULTS["vgg19"]
AT_MOST = {60: 0.30, 300: 0.40}
"""Share of the plain recipe's time, by its evaluations."""


class Loss:
    """Gatys et al. 2016, eq. 7, by autograd, relative to the targets as in `backend.style_objective`."""

    def __init__(self, content: Tensor, style: Tensor, network: Network) -> None:
        self._network = network
        self._layers = [*LAYERS.content, *LAYERS.style]
        shapes, aim = (network.features(image, self._layers) for image in (content, style))
        self._shapes = {layer: shapes[layer] for layer in LAYERS.content}
        self._grams = {layer: gram_matrix(aim[layer]) for layer in LAYERS.style}

    def __call__(self, image: Tensor) -> Tensor:
        """The loss of an image tensor, differentiable."""
        found = self._network.features(image, self._layers)
        shapes = [
            content_loss(found[layer], shape) / shape.square().mean()
            for layer, shape in self._shapes.items()
        ]
        grams = [
            style_loss(gram_matrix(found[layer]), gram) / gram.square().mean()
            for layer, gram in self._grams.items()
        ]
        return (
            CONTENT_WEIGHT * torch.stack(shapes).mean()
            + STYLE_WEIGHT * torch.stack(grams).mean()
            + SMOOTHNESS * total_variation(image)
        )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--size", type=int, default=512, help="longest side in pixels")
    arguments.add_argument("--evaluations", type=int, nargs="+", default=[60, 300], help="plainly")
    arguments.add_argument("--iterations", type=int, nargs="+", default=[100, 480], help="ours, one for each")
    given = arguments.parse_args()
    content, style = photograph("chelsea.jpg", given.size), photograph("starry_night.jpg", given.size)
    network = load_network("vgg19", MODELS, CPU)
    judge = [Loss(shrunk(content, by), shrunk(style, by), network) for by in (1, 2, 4)]

    plain = dict(plainly(content, judge[0], given.evaluations))
    for evaluations, iterations in zip(given.evaluations, given.iterations, strict=True):
        started = time.perf_counter()
        image = ours(content, style, iterations)
        seconds = time.perf_counter() - started
        plain_seconds, plain_image = plain[evaluations]
        print(f"plain, {evaluations} evaluations  {plain_seconds:7.1f} s  {judged(plain_image, judge)}")
        print(f"ours, {iterations} iterations    {seconds:7.1f} s  {judged(image, judge)}")
        print(f"ratio {seconds / plain_seconds:.2f} (at most {AT_MOST.get(evaluations, 1.0):.2f})")


def plainly(
    content: Tensor, loss: Loss, evaluations: list[int]
) -> Iterator[tuple[int, tuple[float, Tensor]]]:
    """After each number of evaluations: seconds, and the picture."""
    image = content.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([image], max_iter=1, tolerance_grad=0, tolerance_change=0)

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(image)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    started = time.perf_counter()
    for done in range(1, max(evaluations) + 1):
        optimizer.step(closure)  # type: ignore[no-untyped-call]
        if done in evaluations:
            yield done, (time.perf_counter() - started, image.detach().clone())


def ours(content: Tensor, style: Tensor, iterations: int) -> Tensor:
    network = load_network("vgg19", MODELS, CPU)
    begun = last(
        fast_style.stylize(
            content,
            [Style(style)],
            network=network,
            decoder=load_decoder(MODELS, CPU),
            visible=None,
            strength=1.0,
            size=max(size_of(content)),
            style_size=1.0,
            stretch=False,
        )
    )
    return last(
        style_transfer.stylize(
            content,
            [Style(style)],
            network=network,
            visible=None,
            strength=1.0,
            size=max(size_of(content)),
            iterations=iterations,
            content_weight=1.0,
            style_weight=1.0,
            smoothness=1.0,
            content_layers=LAYERS.content,
            style_layers=LAYERS.style,
            style_size=1.0,
            stretch=False,
            optimizer="l-bfgs",
            init=begun,
            noise=0.05,
            tolerance=0.0,
            seed=0,
        )
    )


def last(steps: Iterator[Step]) -> Tensor:
    image: Tensor
    for step in steps:
        image = step.image
    return image


@torch.no_grad()
def judged(image: Tensor, judge: list[Loss]) -> str:
    saved = (image.clamp(0, 1) * 255).round() / 255
    losses = [loss(shrunk(saved, by)).item() for by, loss in zip((1, 2, 4), judge, strict=True)]
    return "loss at 1, 1/2, 1/4: " + "  ".join(f"{loss:8.4f}" for loss in losses)


def shrunk(image: Tensor, by: int) -> Tensor:
    height, width = size_of(image)
    return resize(image, (height // by, width // by)).clamp(0, 1)


def photograph(name: str, longest_px: int) -> Tensor:
    image = read(Canvas.load(SAMPLES / name).picture).image
    return resize(image, fit(size_of(image), longest_px)).clamp(0, 1)


if __name__ == "__main__":
    main()
