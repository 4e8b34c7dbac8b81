"""Time and memory of a whole dream, compared with the usual implementation.

    python benchmarks/dream.py FOLDER [--models ~/.atelier/models] [--size 1024] [--megapixels 12 24]

Both dream of Inception v3's Mixed_5d, ten iterations at each of three octaves, with the same shifts.
The usual way is the loop of the DeepDream notebook with torchvision's stock modules up to this layer,
batch norms included, in NCHW; its parameters need no gradient either. The two pictures are saved side by
side as FOLDER/dream.png. The memory is the peak of a separate process: one iteration at each octave of a
picture of the given number of megapixels, at its full size.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from atelier_shared.sizes import octave_sizes
from backend.compat import allocator
from backend.compat.torchvision_import import torchvision
from backend.dream.deepdream import DreamSettings, dream
from backend.dream.objectives import activation
from backend.imaging.resize import resize, size_of
from backend.networks.registry import load_network
from backend.weights import store

PHOTO = Path(__file__).parents[1] / "samples" / "coffee.jpg"
LAYER, ITERATIONS, STEP_SIZE, OCTAVES, OCTAVE_SCALE, JITTER, SEED = "Mixed_5d", 10, 0.01, 3, 1.4, 32, 1


def main() -> None:
    parser = argparse.ArgumentParser(description="Time and memory of a whole dream.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", type=Path, default=Path.home() / ".atelier" / "models")
    parser.add_argument("--size", type=int, default=1024, help="longest side of the timed dream")
    parser.add_argument("--rounds", type=int, default=3, help="timed dreams of each kind")
    parser.add_argument("--megapixels", type=float, nargs="*", default=[], help="sizes of the memory test")
    options = parser.parse_args()
    if options.rounds:
        compare(options.models, photograph(options.size), options.rounds, options.folder)
    for megapixels in options.megapixels:
        print(
            f"{megapixels:g} megapixels {' ' * 12} {peak_gb(options.models, megapixels):.2f} GB (at most 4)"
        )


# ── Time ─────────────────────────────────────────────────────────────────────────────────────────


def compare(models: Path, image: Tensor, rounds: int, folder: Path) -> None:
    """Alternate both ways; print the best times and their ratio, and save the pictures."""
    dreamers = usual_dream(models), our_dream(models, ITERATIONS)
    timed = [[seconds(dreamer, image) for dreamer in dreamers] for _ in range(rounds)]
    (usual, theirs), (ours, mine) = (
        min(column, key=lambda run: run[0]) for column in zip(*timed, strict=True)
    )
    print(f"the usual way            {usual:.1f} s")
    print(f"Atelier                  {ours:.1f} s")
    print(f"ratio                    {ours / usual:.2f}")
    print(f"difference of the two    {(theirs - mine).abs().mean():.4f} in the mean, where 1 is white")
    folder.mkdir(parents=True, exist_ok=True)
    beside = torch.cat([theirs, mine], dim=3)[0].permute(1, 2, 0).mul(255).round().byte()
    Image.fromarray(beside.numpy()).save(folder / "dream.png")


def seconds(dreamer: Callable[[Tensor], Tensor], image: Tensor) -> tuple[float, Tensor]:
    start = time.perf_counter()
    made = dreamer(image)
    return time.perf_counter() - start, made


def our_dream(models: Path, iterations: int) -> Callable[[Tensor], Tensor]:
    network = load_network("inception-v3", models, torch.device("cpu"))

    def dreamer(image: Tensor) -> Tensor:
        settings = DreamSettings(
            size=max(size_of(image)),
            octaves=OCTAVES,
            octave_scale=OCTAVE_SCALE,
            to_full_size=False,
            iterations=iterations,
            step_size=STEP_SIZE,
            jitter=JITTER,
            smoothing="none",
            strength=1.0,
            seed=SEED,
        )
        steps = dream(image, activation({LAYER: 1.0}), settings, network=network)
        allocator.keep_for(image[0, 0].numel())
        for step in steps:
            last = step.image  # keeps one image at a time, like a job
        return last

    return dreamer


def usual_dream(models: Path) -> Callable[[Tensor], Tensor]:
    """Return the DeepDream notebook's loop with torchvision's own modules."""
    whole = torchvision.models.inception_v3(weights=None, aux_logits=False, init_weights=False)
    layers = list(whole.named_children())
    last = [name for name, _ in layers].index(LAYER)
    network = nn.Sequential(OrderedDict(layers[: last + 1])).eval().requires_grad_(False)
    network.load_state_dict(
        {
            name: values
            for name, values in store.load("inception-v3", models).items()
            if name in network.state_dict()
        }
    )

    def dreamer(image: Tensor) -> Tensor:
        random = torch.Generator().manual_seed(SEED)
        detail = torch.zeros_like(image)
        for size in octave_sizes(size_of(image), OCTAVES, OCTAVE_SCALE):
            base = resize(image, size)
            dreamt = (base + resize(detail, size)).clamp(0, 1)
            for _ in range(ITERATIONS):
                down, right = torch.randint(-JITTER, JITTER + 1, (2,), generator=random).tolist()
                rolled = torch.roll(dreamt, (down, right), (2, 3)).requires_grad_()
                loss = network((rolled * 255 - 128) / 128).square().sum() / 2
                (gradient,) = torch.autograd.grad(loss, rolled)
                stepped = rolled.detach() + STEP_SIZE * gradient / gradient.abs().mean()
                dreamt = torch.roll(stepped.clamp(0, 1), (-down, -right), (2, 3))
            detail = dreamt - base
        return dreamt

    return dreamer


# ── Memory ───────────────────────────────────────────────────────────────────────────────────────


def peak_gb(models: Path, megapixels: float) -> float:
    """Return the peak memory of a separate process that dreams."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(_peak_gb, models, megapixels).result()


def _peak_gb(models: Path, megapixels: float) -> float:
    our_dream(models, iterations=1)(photograph(round((megapixels * 1e6 * 3 / 2) ** 0.5)))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def photograph(longest_px: int) -> Tensor:
    """Return the sample, with proportions of 3 to 2, as an image tensor with this longest side."""
    with Image.open(PHOTO) as opened:
        scaled = opened.resize(
            (longest_px, longest_px * opened.height // opened.width), Image.Resampling.LANCZOS
        )
    return torch.from_numpy(np.array(scaled)).permute(2, 0, 1)[None] / 255


if __name__ == "__main__":
    main()
