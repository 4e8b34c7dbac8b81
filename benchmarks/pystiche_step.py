"""Time of one evaluation of Gatys' loss and its gradient, compared with pystiche.

    python benchmarks/pystiche_step.py [--models ~/.atelier/models] [--sizes 512] [--rounds 5]

Fetches pystiche 1.0.1, the newest version, with pip into a temporary folder. Both have VGG19 with the same
weights, Gram matrices of five layers, and relu4_2 as content; the gradient is with respect to the image.
Each runs in its own process. Ours is the one of `gatys_step.py`.
"""

from __future__ import annotations

import importlib
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from backend.compat import allocator
from backend.compat.torchvision_import import torchvision
from backend.weights import store
from benchmarks import gatys_step
from benchmarks.side_by_side import answer, compare, install_peers, parser_of


def main() -> None:
    options = parser_of("One evaluation of Gatys' loss, compared with pystiche.").parse_args()
    torch.set_num_threads(options.threads)
    if options.one:
        way, size = options.one[0], int(options.one[1])
        answer(WAYS[way](size, options.models, torch.device(options.device)))
        return
    with tempfile.TemporaryDirectory() as folder:
        install_peers(Path(folder), "pystiche==1.0.1", "tqdm")
        for size in options.sizes:
            compare(__file__, size, options, peer="pystiche")


def ours(size: int, models: Path, device: torch.device) -> Callable[[], Tensor]:
    allocator.keep_for(size**2)
    evaluate, image = gatys_step.prepare("ours", size, models, device)
    return lambda: evaluate(image)[1]


def theirs(size: int, models: Path, device: torch.device) -> Callable[[], Tensor]:
    enc, loss = import_pystiche()
    encoder = enc.vgg19_multi_layer_encoder(pretrained=False)
    encoder.load_state_dict(store.load("vgg19", models), strict=False)
    content = loss.FeatureReconstructionLoss(encoder.extract_encoder(gatys_step.CONTENT_LAYER))
    style = loss.MultiLayerEncodingLoss(
        encoder, gatys_step.STYLE_LAYERS, lambda layer, weight: loss.GramLoss(layer, score_weight=weight)
    )
    objective = loss.PerceptualLoss(content, style).to(device)
    objective.set_content_image(gatys_step.photograph("chelsea", size).to(device))
    objective.set_style_image(gatys_step.photograph("starry_night", size).to(device))
    image = gatys_step.photograph("chelsea", size).to(device).requires_grad_()

    def evaluate() -> Tensor:
        return torch.autograd.grad(objective(image).total(), image)[0]

    return evaluate


def import_pystiche() -> tuple[Any, Any]:
    """Import pystiche's networks and losses, and define the addresses that newer torchvisions lack."""
    models = (importlib.import_module(f"{torchvision.__name__}.models.{name}") for name in ("alexnet", "vgg"))
    for module, name in zip(models, ("alexnet", "vgg19"), strict=True):
        module.model_urls = {name: ""}  # type: ignore[attr-defined]
    warnings.simplefilter("ignore")
    return importlib.import_module("pystiche.enc"), importlib.import_module("pystiche.loss")


WAYS = {"pystiche": theirs, "ours": ours}


if __name__ == "__main__":
    main()
