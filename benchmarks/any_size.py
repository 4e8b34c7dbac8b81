"""One step of the fine method at full resolution: seconds, peak memory, and whether tiles show.

The picture is a sample enlarged to 24 megapixels. What is measured is the evaluation of the loss with
its gradient and the step of L-BFGS, in the memory of the whole process.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from backend.descent import lbfgs
from backend.images import read
from backend.networks import DEFAULTS, load_network
from backend.picture_files import Canvas
from backend.pyramid import resize
from backend.style_objective import TILE_PX, Objective, Weights
from backend.styles import Style
from backend.tiles import tiles

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
MODELS = Path(os.environ.get("ATELIER_TEST_MODELS", Path.home() / ".cache/atelier-tests/models"))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--width", type=int, default=6000)
    arguments.add_argument("--height", type=int, default=4000)
    arguments.add_argument("--evaluations", type=int, default=2, help="with a step of L-BFGS after each")
    given = arguments.parse_args()
    network, layers = load_network("vgg19", MODELS, torch.device("cpu")), DEFAULTS["vgg19"]
    content = photograph("chelsea.jpg", given.height, given.width)
    objective = Objective(
        content,
        [Style(photograph("starry_night.jpg", 1024, 1280))],
        network=network,
        visible=None,
        strength=1.0,
        weights=Weights(1.0, 1.0, 1.0, layers.content, layers.style),
    )
    print(f"before the first step {peak_gib():.2f} GiB, the image {content.nbytes / 2**30:.2f} GiB")
    started = time.perf_counter()

    def watched(image: Tensor) -> tuple[float, Tensor]:
        loss, gradient = objective(image)
        print(f"loss {loss:.4f} after {time.perf_counter() - started:.0f} s, peak {peak_gib():.2f} GiB,")
        print(
            f"gradient energy along the tiles' borders / elsewhere {border_energy(gradient):.3f}", flush=True
        )
        return loss, gradient

    for _ in islice(lbfgs(watched, content), given.evaluations):
        pass


def peak_gib() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def border_energy(gradient: Tensor) -> float:
    """Of the gradient's changes from column to column, those across borders beside their neighbours'."""
    height, width = gradient.shape[-2:]
    borders = sorted({tile.inner.left for tile in tiles(height, width, TILE_PX, 0, 16)} - {0})
    energy = gradient.diff(dim=-1).square().mean(dim=(0, 1, 2))
    across = energy[[border - 1 for border in borders]].mean()
    beside = torch.stack([energy[border - 65 : border + 63] for border in borders]).mean()
    return (across / beside).item()


def photograph(name: str, height: int, width: int) -> Tensor:
    return resize(read(Canvas.load(SAMPLES / name).picture).image, (height, width)).clamp(0, 1)


if __name__ == "__main__":
    main()
