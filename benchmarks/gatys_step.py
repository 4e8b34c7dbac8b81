"""How long one evaluation of Gatys' loss and its gradient takes, beside the stock modules of torch.

    python benchmarks/gatys_step.py [--models ~/.atelier/models] [--sizes 512 1024] [--rounds 5]

Both: VGG19 up to relu5_1 with the same weights, Gram matrices of five layers, content relu4_2, the
gradient of the image. Stock is plain modules in NCHW and autograd through the losses. Ours has the
accelerated network and the gradients of the losses as explicit products. The two, each in a process of
its own, take turns. Seconds of both cores' work are given too, since they change less with what else
the machine is at. At last each gradient is compared with the stock one in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from backend import losses, memory
from backend.losses import gram_matrix
from backend.networks import Network, load_network
from backend.vision import torchvision
from benchmarks.side_by_side import answer, compare, compare_errors, parser_of

SAMPLES = Path(__file__).parents[1] / "samples"
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
CONTENT_LAYER = "relu4_2"
LAYERS = (*STYLE_LAYERS, CONTENT_LAYER)
STYLE_WEIGHT, NOISE = 49.0, 0.05

Targets = dict[str, Tensor]
Gradient = Callable[[Network, Tensor, Targets], Tensor]


def main() -> None:
    parser = parser_of("One evaluation of Gatys' loss and its gradient.")
    parser.add_argument("--exact-size", type=int, default=384, help="size of the comparison with float64")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.one:
        way, size = options.one[0], int(options.one[1])
        with memory.kept(size**2) if way == "ours" else nullcontext():
            work(way, size, options.models)
        return
    for size in options.sizes:
        compare(__file__, size, options.rounds, options.models, options.threads)
    compare_errors(__file__, options.exact_size, options.models, options.threads, at_most=2e-3)


# ── One process ──────────────────────────────────────────────────────────────────────────────────


def work(way: str, size: int, models: Path) -> None:
    """Be one of the two processes."""
    network, gradient = prepare(way, models)
    image, targets = problem(network, size)
    dtype = torch.float64 if way == "float64" else torch.float32
    network, image = network.to(dtype), image.to(dtype)
    targets = {layer: target.to(dtype) for layer, target in targets.items()}
    answer(lambda: gradient(network, image, targets))


def prepare(way: str, models: Path) -> tuple[Network, Gradient]:
    network = load_network("vgg19", models, torch.device("cpu"), accelerated=way == "ours")
    return network, our_gradient if way == "ours" else stock_gradient


def problem(network: Network, size: int) -> tuple[Tensor, Targets]:
    """The image to evaluate, and what its features aim at."""
    content, style = photograph("chelsea", size), photograph("starry_night", size)
    with torch.no_grad():
        of_style = network.features(style, STYLE_LAYERS)
        targets = {layer: gram_matrix(found) for layer, found in of_style.items()}
        targets[CONTENT_LAYER] = network.features(content, [CONTENT_LAYER])[CONTENT_LAYER]
    return content + NOISE * torch.randn(content.shape, generator=torch.Generator().manual_seed(1)), targets


def photograph(name: str, size: int) -> Tensor:
    with Image.open(SAMPLES / f"{name}.jpg") as picture:
        pixels: Tensor = torchvision.transforms.functional.pil_to_tensor(picture.resize((size, size)))
    return pixels[None] / 255


def stock_gradient(network: Network, image: Tensor, targets: Targets) -> Tensor:
    """As it is usually written."""
    image = image.detach().requires_grad_()
    found = network.features(image, LAYERS)
    loss = (found[CONTENT_LAYER] - targets[CONTENT_LAYER]).square().mean()
    for layer in STYLE_LAYERS:
        loss = loss + STYLE_WEIGHT / 5 * (stock_gram(found[layer]) - targets[layer]).square().mean()
    return torch.autograd.grad(loss, image)[0]


def stock_gram(features: Tensor) -> Tensor:
    rows = features.flatten(start_dim=2)[0]
    return rows @ rows.T / rows.shape[1]


def our_gradient(network: Network, image: Tensor, targets: Targets) -> Tensor:
    """The same with the gradients of the losses written out."""
    image = image.detach().requires_grad_()
    found = network.features(image, LAYERS)
    with torch.no_grad():
        gradients = [style_pull(found[layer], targets[layer]) for layer in STYLE_LAYERS]
        gradients.append(losses.content_gradient(found[CONTENT_LAYER], targets[CONTENT_LAYER]))
    return torch.autograd.grad([found[layer] for layer in LAYERS], image, gradients)[0]


def style_pull(features: Tensor, target: Tensor) -> Tensor:
    """The gradient of a layer's weighed style loss."""
    difference = (gram_matrix(features) - target) * (STYLE_WEIGHT / 5)
    return losses.style_gradient(features, difference)


if __name__ == "__main__":
    main()
