"""Time and error of one gradient of a dream, compared with torchvision's stock modules.

    python benchmarks/dream_step.py [--models ~/.atelier/models] [--sizes 512 1024] [--rounds 5]

Both compute the gradient of half the sum of squared features of Inception v3's Mixed_5d, with respect to
the image and with the same weights. Stock is torchvision's modules in NCHW, batch norms included. Ours has
the batch norms folded into the convolutions, and fast kernels. Finally each gradient is compared with the
stock one in float64. So is the gradient of the stock modules in NHWC, because where two values of a pool
are almost equal, rounding decides which one receives the gradient.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from backend.compat import allocator
from backend.compat.torchvision_import import torchvision
from backend.networks.feature_network import FeatureNetwork
from backend.networks.registry import load_network
from backend.weights import store
from benchmarks.side_by_side import answer, compare, compare_errors, parser_of

PHOTO = Path(__file__).parents[1] / "samples" / "chelsea.jpg"
LAYER = "Mixed_5d"


def main() -> None:
    options = parser_of("One gradient of a dream.").parse_args()
    torch.set_num_threads(options.threads)
    if options.one:
        way, size = options.one[0], int(options.one[1])
        if way == "ours":
            allocator.keep_for(size**2)
        work(way, size, options.models, torch.device(options.device))
        return
    for size in options.sizes:
        compare(__file__, size, options)
        ways = ("stock", "stock in NHWC", "ours")
        compare_errors(__file__, size, options, at_most=1e-3, ways=ways)


def work(way: str, size: int, models: Path, device: torch.device) -> None:
    """Run one of the two processes."""
    network, dtype = prepare(way, models), torch.float64 if way == "float64" else torch.float32
    network, image = network.to(device, dtype), photograph(size).to(device, dtype)
    if way == "stock in NHWC":
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        image = image.to(memory_format=torch.channels_last)
    answer(lambda: gradient(network, image))


def prepare(way: str, models: Path) -> FeatureNetwork:
    network = load_network("inception-v3", models, torch.device("cpu"), accelerated=way == "ours")
    if way == "ours":
        return network
    return FeatureNetwork(network.normalise, stock_body(network.body, models), network.minimum_px)


def stock_body(body: nn.Sequential, models: Path) -> nn.Sequential:
    """Build torchvision's own modules up to the layer, padded like `body`."""
    whole = torchvision.models.inception_v3(weights=None, aux_logits=False, init_weights=False)
    whole.load_state_dict(store.load("inception-v3", models), strict=False)
    layers = OrderedDict(whole.named_children())
    stock: OrderedDict[str, nn.Module] = OrderedDict()
    for name, ours in body.named_children():
        padding = [ours[0]] if isinstance(ours, nn.Sequential) else []
        stock[name] = nn.Sequential(*padding, layers[name])
        if name == LAYER:
            break
    return nn.Sequential(stock).eval()


def photograph(size: int) -> Tensor:
    with Image.open(PHOTO) as picture:
        pixels: Tensor = torchvision.transforms.functional.pil_to_tensor(picture.resize((size, size)))
    return pixels[None] / 255


def gradient(network: FeatureNetwork, image: Tensor) -> Tensor:
    image = image.detach().requires_grad_()
    return torch.autograd.grad(network.features(image, [LAYER])[LAYER].square().sum() / 2, image)[0]


if __name__ == "__main__":
    main()
