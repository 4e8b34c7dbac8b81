"""Every claim about a graphics card in one run: speed against stock PyTorch, memory, errors against the CPU.

    python benchmarks/gpu.py [--models ~/.atelier/models] [--device auto] [--sizes 512 1024 2048]
    python benchmarks/gpu.py --pack FOLDER       # 53 MiB of half-precision weights, to carry to a machine
    python benchmarks/gpu.py --models FOLDER     # … and the run with them there

It needs torch, torchvision, numpy, pillow and safetensors. The first line of output names the card; each
other line is one measurement. Steps and gradients are the shortest of several; pictures are made once, after
a first one, because that one loads the networks. A picture's difference to the CPU's is the mean over all
values, from 0 to 255. *Fine* and dreams amplify rounding, so their gradients are compared instead.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from atelier_shared.deepdream import DeepDream
from atelier_shared.networks import NETWORKS
from atelier_shared.request import PaintingRequest
from atelier_shared.sizes import fit
from atelier_shared.style_transfer import StyleTransfer
from backend.compat import devices
from backend.imaging.resize import resize
from backend.imaging.style_image import Style
from backend.jobs import dispatch
from backend.jobs.algorithm import Pictures
from backend.networks.feature_network import FeatureNetwork
from backend.networks.registry import load_network
from backend.style.fine_loss import LossWeights, StyleObjective
from backend.weights import convert, store
from benchmarks import gatys_step

PACKED = ("vgg19", "adain-decoder", "gallery", "light-painter", "light-predictor", "squeezenet")
DREAM_NETWORK, DREAM_LAYER = "squeezenet", "fire8"
ROUNDS = 5
LARGE, HUGE = (3000, 4000), (4000, 6000)
"""12 and 24 megapixels."""
SAME_PX = 512
"""Longest side of the pictures that are compared with the CPU's."""
CPU = torch.device("cpu")


def main(words: Sequence[str] | None = None) -> None:
    options = parser().parse_args(words)
    if options.pack:
        pack(options.models, options.pack)
        return
    device = devices.choose(options.device)
    print(f"{devices.identity(device) if device.type != 'cpu' else 'cpu, torch ' + torch.__version__}")
    with tempfile.TemporaryDirectory() as home, weights_of(options.models, Path(home)) as models:
        for size in options.sizes:
            compare_steps(size, models, device)
            compare_dreams(size, models, device)
        compare_gradients(min(options.sizes), models, device)
        make_pictures(options, models, device)
        if options.huge:
            measure_huge_step(options.huge, models, device)


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description="Every claim about a graphics card.")
    result.add_argument("--models", type=Path, default=Path.home() / ".atelier" / "models")
    result.add_argument("--pack", type=Path, metavar="FOLDER", help="only write half-precision weights")
    result.add_argument("--device", default="auto")
    result.add_argument("--sizes", type=int, nargs="+", default=[512, 1024, 2048])
    result.add_argument("--good", type=int, default=1024, help="size of the whole fine picture; 0: none")
    result.add_argument("--large", type=int, nargs=2, default=LARGE, help="of the one-pass methods")
    result.add_argument("--huge", type=int, nargs="*", default=HUGE, help="of a step of fine; none: left out")
    return result


# ── Weights ──────────────────────────────────────────────────────────────────────────────────────


def pack(models: Path, folder: Path) -> None:
    """Write the weights of PACKED in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PACKED:
        halves = {part: tensor.half() for part, tensor in store.load(name, models).items()}
        safetensors.torch.save_file(halves, folder / f"{name}.half")


@contextmanager
def weights_of(models: Path, home: Path) -> Iterator[Path]:
    """Yield a folder of models from which networks are loaded, in half precision if they are packed."""
    linked = home / "models"
    linked.symlink_to(models.absolute())
    if not (models / f"{PACKED[0]}.half").exists():
        yield linked
        return
    usual = store.load
    store.load = load_packed
    try:
        yield linked
    finally:
        store.load = usual


def load_packed(name: str, models: Path) -> convert.Tensors:
    tensors = safetensors.torch.load_file(models / f"{name}.half")
    return {part: tensor.float() for part, tensor in tensors.items()}


# ── Steps, against stock PyTorch ─────────────────────────────────────────────────────────────────


def compare_steps(size: int, models: Path, device: torch.device) -> None:
    """Print the times of one evaluation of fine's loss and gradient."""
    times = {}
    for way in ("stock", "ours"):
        evaluate, image = gatys_step.prepare(way, size, models, device)
        times[way] = shortest(lambda evaluate=evaluate, image=image: evaluate(image)[1])  # type: ignore[misc]
    print_ratio(f"{size} px fine step", times)


def compare_dreams(size: int, models: Path, device: torch.device) -> None:
    """Print the times of one gradient of a dream."""
    image = gatys_step.photograph("chelsea", size).to(device)
    times = {}
    for way in ("stock", "ours"):
        network = load_network(DREAM_NETWORK, models, device, accelerated=way == "ours")
        times[way] = shortest(functools.partial(dream_gradient, network, image))
    print_ratio(f"{size} px dream step", times)


def dream_gradient(network: FeatureNetwork, image: Tensor) -> Tensor:
    image = image.detach().requires_grad_()
    loss = network.features(image, [DREAM_LAYER])[DREAM_LAYER].square().sum() / 2
    with network.path.arithmetic(image.device):
        return torch.autograd.grad(loss, image)[0]


def shortest(evaluate: Callable[[], Tensor]) -> float:
    """Return the shortest time of several evaluations, after one that warms up."""
    times = []
    for _ in range(1 + ROUNDS):
        started = time.perf_counter()
        evaluate().sum().item()  # waits for the device
        times.append(time.perf_counter() - started)
    return min(times[1:])


def print_ratio(what: str, times: dict[str, float]) -> None:
    stock, ours = times["stock"], times["ours"]
    print(f"{what:24} stock {stock:8.4f} s, ours {ours:8.4f} s, ratio {ours / stock:.2f}", flush=True)


def compare_gradients(size: int, models: Path, device: torch.device) -> None:
    """Print the errors of the gradients on the device, relative to stock PyTorch's on the CPU."""
    for what, gradient in {"fine": fine_gradient, "dream": whole_dream_gradient}.items():
        theirs = gradient("stock", size, models, CPU)
        error = (gradient("ours", size, models, device).cpu() - theirs).norm() / theirs.norm()
        print(f"{size} px {what} gradient: error {error:.1e}", flush=True)


def fine_gradient(way: str, size: int, models: Path, device: torch.device) -> Tensor:
    evaluate, image = gatys_step.prepare(way, size, models, device)
    return evaluate(image)[1]


def whole_dream_gradient(way: str, size: int, models: Path, device: torch.device) -> Tensor:
    network = load_network(DREAM_NETWORK, models, device, accelerated=way == "ours")
    return dream_gradient(network, gatys_step.photograph("chelsea", size).to(device))


# ── Whole pictures ───────────────────────────────────────────────────────────────────────────────


def make_pictures(options: argparse.Namespace, models: Path, device: torch.device) -> None:
    """Print the seconds of whole pictures, and the difference of one-pass methods to the CPU's."""
    for method in ("fast", "light", "gallery"):
        request = StyleTransfer(method=method, size=SAME_PX)
        small = fit((3, 4), min(SAME_PX, *options.large))
        picture, seconds = made(request, small, models, device)
        theirs, _ = made(request, small, models, CPU)
        difference = 255 * (picture - theirs).abs().mean()
        print(f"{method:8} {small[1]:5} px {seconds:8.3f} s, difference to the CPU's {difference:.3f}")
        _, seconds = made(request, options.large, models, device)
        print(f"{method:8} {options.large[1]:5} px {seconds:8.3f} s{peak(device)}", flush=True)
    if options.good:
        size = fit((3, 4), options.good)
        _, seconds = made(StyleTransfer(size=options.good), size, models, device)
        print(f"fine, good {size[1]} px {seconds:8.2f} s{peak(device)}", flush=True)
        _, seconds = made(DeepDream(size=options.good, network=DREAM_NETWORK), size, models, device)
        print(f"dream      {size[1]} px {seconds:8.2f} s{peak(device)}", flush=True)


def made(
    request: PaintingRequest, size: Sequence[int], models: Path, device: torch.device
) -> tuple[Tensor, float]:
    """Make a picture twice; return it, on the CPU, and the seconds of the second time."""
    content, style = (photograph(name, size).to(device) for name in ("chelsea", "starry_night"))
    pictures = Pictures(content, None, [Style(style)])
    for _ in range(2):
        forget_peak(device)
        started = time.perf_counter()
        *_, last = dispatch.steps(request, pictures, models)
        picture = last.image.cpu()
        seconds = time.perf_counter() - started
    return picture, seconds


def photograph(name: str, size: Sequence[int]) -> Tensor:
    """Return a sample, (1, 3, *size)."""
    height, width = size
    return resize(gatys_step.photograph(name, min(1024, width)), (height, width)).clamp(0, 1)


def measure_huge_step(size: Sequence[int], models: Path, device: torch.device) -> None:
    """Print the seconds of a step of fine on a huge picture, and the peak memory."""
    content, style = (photograph(name, size).to(device) for name in ("chelsea", "starry_night"))
    layers = NETWORKS["vgg19"].defaults
    objective = StyleObjective(
        content,
        [Style(resize(style, fit(tuple(size), 1024)))],  # type: ignore[arg-type]
        network=load_network("vgg19", models, device),
        visible=None,
        strength=1.0,
        weights=LossWeights(1.0, 1.0, 1.0, layers.content, layers.style),
    )
    forget_peak(device)
    started = time.perf_counter()
    objective(content)[1].sum().item()
    seconds = time.perf_counter() - started
    print(f"fine step {size[1]} × {size[0]} px {seconds:8.2f} s{peak(device)}", flush=True)


def forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak(device: torch.device) -> str:
    """Return the peak memory in words, where the device counts it."""
    return f", {torch.cuda.max_memory_allocated(device) / 1e9:.1f} GB" if device.type == "cuda" else ""


if __name__ == "__main__":
    main()
