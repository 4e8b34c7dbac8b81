"""Time and error of one evaluation of Gatys' loss and its gradient, compared with stock torch modules.

    python benchmarks/gatys_step.py [--models ~/.atelier/models] [--sizes 512 1024] [--rounds 5]
        [--device cpu]

Both have VGG19 up to relu5_1 with the same weights, Gram matrices of five layers, and relu4_2 as content;
the gradient is with respect to the image. Stock is plain modules in NCHW and autograd through the losses.
Ours has the accelerated network and explicit formulas for the gradients of the losses. The two run
alternately, each in its own process. The processor time of both cores is printed, too, because it depends
less on other load. Then each gradient is compared with the stock one in float64. Finally L-BFGS minimises
the loss with each gradient, and the losses of the two pictures are computed by the stock way in float64.
L-BFGS magnifies rounding, so this is repeated from several starts.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from backend.compat import allocator
from backend.compat.torchvision_import import torchvision
from backend.networks import cuda_graphs
from backend.networks.feature_network import FeatureNetwork
from backend.networks.registry import load_network
from backend.style import losses
from backend.style.losses import gram_matrix
from backend.style.optimizers import lbfgs
from benchmarks.side_by_side import answer, compare, compare_errors, parser_of

SAMPLES = Path(__file__).parents[1] / "samples"
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
CONTENT_LAYER = "relu4_2"
LAYERS = (*STYLE_LAYERS, CONTENT_LAYER)
STYLE_WEIGHT, NOISE = 49.0, 0.05
EVALUATIONS, STARTS = 100, 6

Targets = dict[str, Tensor]
Evaluation = tuple[Tensor, Tensor]
"""The loss, and its gradient with respect to the image."""
Evaluate = Callable[[FeatureNetwork, Tensor, Targets], Evaluation]


def main() -> None:
    parser = parser_of("One evaluation of Gatys' loss and its gradient.")
    parser.add_argument("--exact-size", type=int, default=384, help="size of the comparison with float64")
    parser.add_argument("--descent-size", type=int, default=256, help="size of the comparison of losses")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.one:
        way, size = options.one[0], int(options.one[1])
        if way == "ours":
            allocator.keep_for(size**2)
        work(way, size, options.models, torch.device(options.device))
        return
    for size in options.sizes:
        compare(__file__, size, options)
    compare_errors(__file__, options.exact_size, options, at_most=2e-3)
    compare_losses(options.descent_size, options.models, torch.device(options.device))


# ── One process ──────────────────────────────────────────────────────────────────────────────────


def work(way: str, size: int, models: Path, device: torch.device) -> None:
    """Run one of the two processes."""
    evaluate, image = prepare(way, size, models, device)
    answer(lambda: evaluate(image)[1])


def prepare(
    way: str, size: int, models: Path, device: torch.device
) -> tuple[Callable[[Tensor], Evaluation], Tensor]:
    """Return the evaluation of one way ("ours", "stock" or "float64"), and the first image."""
    network = load_network("vgg19", models, device, accelerated=way == "ours")
    image, targets = problem(network, size, device)
    dtype = torch.float64 if way == "float64" else torch.float32
    network, image = network.to(dtype), image.to(dtype)
    targets = {layer: target.to(dtype) for layer, target in targets.items()}

    def evaluate(image: Tensor) -> Evaluation:
        return (ours if way == "ours" else stock)(network, image, targets)

    return cuda_graphs.for_size(evaluate, image, is_recorded=network.path.recorded), image


def problem(network: FeatureNetwork, size: int, device: torch.device) -> tuple[Tensor, Targets]:
    """Return the image to evaluate and the targets by layer."""
    content, style = (photograph(name, size).to(device) for name in ("chelsea", "starry_night"))
    with torch.no_grad():
        of_style = network.features(style, STYLE_LAYERS)
        targets = {layer: gram_matrix(found) for layer, found in of_style.items()}
        targets[CONTENT_LAYER] = network.features(content, [CONTENT_LAYER])[CONTENT_LAYER]
    noise = torch.randn(content.shape, generator=torch.Generator().manual_seed(1))
    return content + NOISE * noise.to(device), targets


def photograph(name: str, size: int) -> Tensor:
    with Image.open(SAMPLES / f"{name}.jpg") as picture:
        pixels: Tensor = torchvision.transforms.functional.pil_to_tensor(picture.resize((size, size)))
    return pixels[None] / 255


def stock(network: FeatureNetwork, image: Tensor, targets: Targets) -> Evaluation:
    """Evaluate the loss by autograd, as usual implementations do."""
    image = image.detach().requires_grad_()
    found = network.features(image, LAYERS)
    loss = (found[CONTENT_LAYER] - targets[CONTENT_LAYER]).square().mean()
    for layer in STYLE_LAYERS:
        loss = loss + STYLE_WEIGHT / 5 * (stock_gram(found[layer]) - targets[layer]).square().mean()
    return loss.detach(), torch.autograd.grad(loss, image)[0]


def stock_gram(features: Tensor) -> Tensor:
    rows = features.flatten(start_dim=2)[0]
    return rows @ rows.T / rows.shape[1]


def ours(network: FeatureNetwork, image: Tensor, targets: Targets) -> Evaluation:
    """Evaluate the loss with explicit gradients of its terms."""
    image = image.detach().requires_grad_()
    found = network.features(image, LAYERS)
    with torch.no_grad():
        of_content = found[CONTENT_LAYER], targets[CONTENT_LAYER]
        pulls = [style_pull(found[layer], targets[layer]) for layer in STYLE_LAYERS]
        pulls.append((losses.content_loss(*of_content), losses.content_gradient(*of_content)))
    values, gradients = zip(*pulls, strict=True)
    (gradient,) = torch.autograd.grad([found[layer] for layer in LAYERS], image, gradients)
    return torch.stack(values).sum(), gradient


def style_pull(features: Tensor, target: Tensor) -> Evaluation:
    """Compute a layer's weighted style loss and its gradient with respect to the features."""
    gram, weight = gram_matrix(features), STYLE_WEIGHT / 5
    pull = losses.style_gradient(features, (gram - target) * weight)
    return weight * losses.style_loss(gram, target), pull


# ── The losses after L-BFGS ───────────────────────────────────────────────────────────────────────


def compare_losses(size: int, models: Path, device: torch.device) -> None:
    """Print the losses of the pictures from L-BFGS with each way's gradient, and their ratio."""
    judge, _ = prepare("float64", size, models, device)
    ratios = []
    for start in range(STARTS):
        stock, ours = (
            judge(descended(way, size, models, device, start).double())[0].item() for way in ("stock", "ours")
        )
        ratios.append(ours / stock)
        print(f"{size} px loss after {EVALUATIONS} evaluations: stock {stock:.4f}, ours {ours:.4f}")
    mean, spread = statistics.mean(ratios), statistics.stdev(ratios)
    print(f"{size} px ratio of the losses {mean:.4f} (wanted: from 0.99 to 1.01), of one start ±{spread:.4f}")


def descended(way: str, size: int, models: Path, device: torch.device, start: int) -> Tensor:
    """Return the result of L-BFGS from one of several first images, which differ by a little noise."""
    evaluate, image = prepare(way, size, models, device)
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(2 + start))
    image = image + NOISE / 10 * noise.to(image)

    *_, best = islice(lbfgs(evaluate, image), EVALUATIONS)
    return best.image


if __name__ == "__main__":
    main()
