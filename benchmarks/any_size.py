"""One step of the fine method at full resolution: seconds, peak memory, and seams between tiles.

The picture is a sample enlarged to 24 megapixels. Time and memory (of the whole process) are measured for
the evaluation of the loss and gradient and for the step of L-BFGS. Seams are measured at a size that can
also be processed in one tile.
"""

from __future__ import annotations

import argparse
import resource
import time
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from atelier_shared.networks import NETWORKS
from backend.command.picture_files import Canvas
from backend.imaging.resize import resize
from backend.imaging.style_image import Style
from backend.imaging.tiles import tiles
from backend.jobs.picture_tensors import read
from backend.networks.registry import load_network
from backend.style import fine_loss
from backend.style.fine_loss import TILE_PX, LossWeights, StyleObjective
from backend.style.optimizers import lbfgs

CELL_PX = 16
"""Pixels per position of relu5_1, along each axis: four poolings by 2 come before it in VGG19."""
SAMPLES = Path(__file__).resolve().parent.parent / "samples"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--models", type=Path, default=Path.home() / ".atelier" / "models")
    arguments.add_argument("--width", type=int, default=6000)
    arguments.add_argument("--height", type=int, default=4000)
    arguments.add_argument(
        "--evaluations", type=int, default=2, help="evaluations, each followed by a step of L-BFGS"
    )
    given = arguments.parse_args()
    content = photograph("chelsea.jpg", given.height, given.width)
    objective = objective_of(content, given.models)
    image_gib = content.nbytes / 2**30
    print(f"before the first step {peak_gib():.2f} GiB, the image {image_gib:.2f} GiB", flush=True)
    started = time.perf_counter()

    def watched(image: Tensor) -> tuple[Tensor, Tensor]:
        loss, gradient = objective(image)
        seconds = time.perf_counter() - started
        print(f"loss {loss:.4f} after {seconds:.0f} s, peak {peak_gib():.2f} GiB", flush=True)
        return loss, gradient

    for _ in islice(lbfgs(watched, content), given.evaluations):
        pass
    times = seams(1440, 960, given.models)
    print(f"1440×960: tiles' borders have {times:.4f} times the whole picture's energy there")


def objective_of(content: Tensor, models: Path) -> StyleObjective:
    layers = NETWORKS["vgg19"].defaults
    return StyleObjective(
        content,
        [Style(photograph("starry_night.jpg", 1024, 1280))],
        network=load_network("vgg19", models, torch.device("cpu")),
        visible=None,
        strength=1.0,
        weights=LossWeights(1.0, 1.0, 1.0, layers.content, layers.style),
    )


def seams(width: int, height: int, models: Path) -> float:
    """Compute the energy of the gradient's changes across borders of tiles ÷ the energy without tiles.

    Other columns of the same picture are no reference: their energy varies from half to twice as much.
    """
    content = photograph("chelsea.jpg", height, width)
    borders = sorted({tile.inner.left for tile in tiles(height, width, TILE_PX, 0, CELL_PX)} - {0})

    def energy() -> float:
        gradient = objective_of(content, models)(content)[1]
        return gradient.diff(dim=-1)[..., [border - 1 for border in borders]].square().sum().item()

    in_tiles = energy()
    fine_loss.WHOLE_PIXELS = width * height
    return in_tiles / energy()


def peak_gib() -> float:
    """Return the peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def photograph(name: str, height: int, width: int) -> Tensor:
    return resize(read(Canvas.load(SAMPLES / name).picture).image, (height, width)).clamp(0, 1)


if __name__ == "__main__":
    main()
