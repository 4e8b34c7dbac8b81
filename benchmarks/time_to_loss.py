"""Time in which the fine method reaches the loss of the plain recipe.

    python benchmarks/time_to_loss.py [--size 512] [--evaluations 60 300] [--iterations 60 300]

The plain recipe is the usual one: L-BFGS from the content at one size, with stock torch modules, in its
own process. Ours is `stylize`, starting from the fast method's pastiche. Both minimise the same loss. A
stock network computes the losses of the pictures, rounded to 8 bits, at three sizes. The loss of the plain
recipe is reached when all three are at least as low. Their computation is not timed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from atelier_shared.networks import NETWORKS
from atelier_shared.sizes import fit
from backend.command.picture_files import Canvas
from backend.compat import allocator
from backend.imaging.resize import resize, size_of
from backend.imaging.step import Step
from backend.imaging.style_image import Style
from backend.jobs.picture_tensors import read
from backend.networks.feature_network import FeatureNetwork
from backend.networks.registry import load_decoder, load_network
from backend.style import fast, fine
from backend.style.fine_loss import CONTENT_WEIGHT, SMOOTHNESS, STYLE_WEIGHT, LossWeights
from backend.style.losses import content_loss, gram_matrix, style_loss, total_variation

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
CPU = torch.device("cpu")
EVERY = 2
"""Number of steps from one of our judged pictures to the next."""
LAYERS = NETWORKS["vgg19"].defaults
AT_MOST = {60: 0.30, 300: 0.40}
"""Target: fraction of the plain recipe's time, by the number of its evaluations."""


class Loss:
    """Gatys et al. 2016, eq. 7, by autograd, normalised as in `backend.style.fine_loss`."""

    def __init__(self, content: Tensor, style: Tensor, network: FeatureNetwork) -> None:
        self._network = network
        self._layers = [*LAYERS.content, *LAYERS.style]
        shapes, aim = (network.features(image, self._layers) for image in (content, style))
        self._shapes = {layer: shapes[layer] for layer in LAYERS.content}
        self._grams = {layer: gram_matrix(aim[layer]) for layer in LAYERS.style}

    def __call__(self, image: Tensor) -> Tensor:
        """Compute the loss of an image tensor, differentiable."""
        found = self._network.features(image, self._layers)
        shapes = [
            content_loss(found[layer], shape) / shape.square().mean() for layer, shape in self._shapes.items()
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


Snapshot = tuple[float, Tensor]
"""Seconds since the start, and the picture."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--models", type=Path, default=Path.home() / ".atelier" / "models")
    arguments.add_argument("--size", type=int, default=512, help="longest side in pixels")
    arguments.add_argument(
        "--evaluations", type=int, nargs="+", default=[60, 300], help="of the plain recipe"
    )
    arguments.add_argument(
        "--iterations",
        type=int,
        nargs="+",
        default=[60, 300],
        help="of ours, one number for each number of evaluations",
    )
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    content, style = photograph("chelsea.jpg", given.size), photograph("starry_night.jpg", given.size)
    if given.one:
        way, counts, file = given.one
        numbers = [int(count) for count in counts.split(",")]
        torch.save(list(WAYS[way](content, style, numbers, given.models)), file)
        return
    judge = Judge(content, style, given.models)
    plain = run("plain", given.evaluations, given)
    for (seconds, image), evaluations, iterations in zip(
        plain, given.evaluations, given.iterations, strict=True
    ):
        losses = judge(image)
        print(f"plain, {evaluations} evaluations: {seconds:.1f} s, {in_words(losses)}")
        report(run("ours", [iterations], given), judge, seconds, losses, evaluations)


def report(
    ours: list[Snapshot], judge: Judge, plain_seconds: float, losses: list[float], evaluations: int
) -> None:
    """Print the time of our first picture as good as the plain one, or the last losses if there is none."""
    for seconds, image in ours:
        own = judge(image)
        if all(loss <= plain for loss, plain in zip(own, losses, strict=True)):
            ratio, most = seconds / plain_seconds, AT_MOST.get(evaluations, 1.0)
            print(
                f"ours as good after {seconds:.1f} s, {in_words(own)}; ratio {ratio:.2f} (at most {most:.2f})"
            )
            return
    print(f"ours not as good after {seconds:.1f} s, {in_words(own)}")


def run(way: str, counts: list[int], given: argparse.Namespace) -> list[Snapshot]:
    """Return the pictures of one way, made in a separate process."""
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "snapshots")
        command = [sys.executable, __file__, "--models", str(given.models), "--size", str(given.size)]
        command += ["--threads", str(given.threads), "--one", way, ",".join(map(str, counts)), file]
        subprocess.run(command, check=True)
        snapshots: list[Snapshot] = torch.load(file, weights_only=True)
        return snapshots


def plainly(content: Tensor, style: Tensor, evaluations: list[int], models: Path) -> Iterator[Snapshot]:
    """Yield the picture after each number of evaluations."""
    loss = Loss(content, style, stock_network(models))
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
            yield time.perf_counter() - started, image.detach().clone()


def ours(content: Tensor, style: Tensor, iterations: list[int], models: Path) -> Iterator[Snapshot]:
    """Yield every EVERY-th picture at the finest size, up to the last one."""
    network, decoder = load_network("vgg19", models, CPU), load_decoder(models, CPU)
    allocator.keep_for(content[0, 0].numel())
    started = time.perf_counter()
    for step in painted(content, style, network, decoder, iterations[0]):
        seconds = time.perf_counter() - started
        if size_of(step.image) == size_of(content) and (step.total - step.index) % EVERY == 0:
            yield seconds, step.image


WAYS = {"plain": plainly, "ours": ours}


def painted(
    content: Tensor, style: Tensor, network: FeatureNetwork, decoder: nn.Module, iterations: int
) -> Iterator[Step]:
    styles, size = [Style(style)], max(size_of(content))
    draft = fast.stylize(
        content,
        styles,
        fast.FastSettings(strength=1.0, size=size),
        network=network,
        decoder=decoder,
        visible=None,
    )
    settings = fine.FineSettings(
        strength=1.0,
        size=size,
        iterations=iterations,
        weights=LossWeights(1.0, 1.0, 1.0, LAYERS.content, LAYERS.style),
        optimizer="l-bfgs",
        noise=0.05,
        tolerance=0.0,
        seed=0,
    )
    yield from fine.stylize(content, styles, settings, network=network, visible=None, init=last(draft))


def last(steps: Iterator[Step]) -> Tensor:
    image: Tensor
    for step in steps:
        image = step.image
    return image


class Judge:
    """The losses of a picture, rounded to 8 bits, at 1, 1/2 and 1/4 of its size."""

    def __init__(self, content: Tensor, style: Tensor, models: Path) -> None:
        network = stock_network(models)
        self._losses = {by: Loss(shrunk(content, by), shrunk(style, by), network) for by in (1, 2, 4)}

    @torch.no_grad()
    def __call__(self, image: Tensor) -> list[float]:
        """Return the losses at the three sizes, the whole first."""
        saved = (image.clamp(0, 1) * 255).round() / 255
        return [loss(shrunk(saved, by)).item() for by, loss in self._losses.items()]


def stock_network(models: Path) -> FeatureNetwork:
    return load_network("vgg19", models, CPU, accelerated=False)


def in_words(losses: list[float]) -> str:
    return "loss at 1, 1/2, 1/4: " + "  ".join(f"{loss:.4f}" for loss in losses)


def shrunk(image: Tensor, by: int) -> Tensor:
    height, width = size_of(image)
    return resize(image, (height // by, width // by)).clamp(0, 1)


def photograph(name: str, longest_px: int) -> Tensor:
    image = read(Canvas.load(SAMPLES / name).picture).image
    return resize(image, fit(size_of(image), longest_px)).clamp(0, 1)


if __name__ == "__main__":
    main()
