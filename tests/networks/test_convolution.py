"""Accelerated convolutions and networks, compared with the original ones: features, gradients, names."""

from __future__ import annotations

import copy
import math
import random
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from backend.compat.torchvision_import import torchvision
from backend.networks.cpu import convolution, winograd
from backend.networks.cpu.convolution import Convolution, accelerate, steps
from backend.networks.feature_network import FeatureNetwork
from backend.networks.registry import load_network

CPU = torch.device("cpu")
SAMPLES = Path(__file__).parents[2] / "samples"
Padding = Literal["zeros", "reflect"]


@pytest.fixture(scope="module")
def cat() -> Tensor:
    with Image.open(SAMPLES / "chelsea.jpg") as picture:
        pixels = torchvision.transforms.functional.pil_to_tensor(picture.resize((150, 101)))
    return torch.as_tensor(pixels[None] / 255)


@pytest.fixture(scope="module")
def vgg19(models: Path) -> FeatureNetwork:
    return load_network("vgg19", models, CPU, accelerated=False)


def always(_channels: int, _filters: int, _pixels: int) -> bool:
    return True


def output_and_gradient(layer: Any, image: Tensor, output_gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Return a layer's output, and the image's gradient for the output's gradient `output_gradient`."""
    image = image.detach().requires_grad_()
    output = layer(image)
    (gradient,) = torch.autograd.grad(output, image, output_gradient.to(output.dtype))
    return output.detach(), gradient


def relative(found: Tensor, exact: Tensor) -> float:
    return float((found.double() - exact).norm() / exact.norm())


@pytest.fixture
def winograd_paddings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The paddings of the convolutions computed by `winograd`."""
    paddings: list[int] = []
    convolve = winograd.convolve

    def recorded(*arguments: Any, **options: Any) -> Tensor:
        paddings.append(options.get("padding", 1))
        return convolve(*arguments, **options)

    monkeypatch.setattr(winograd, "convolve", recorded)
    return paddings


@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize(("padding", "mode"), [(0, "zeros"), (1, "zeros"), (1, "reflect")])
@pytest.mark.parametrize("size", [(32, 32), (33, 47), (70, 130)])
@pytest.mark.parametrize("channels", [(128, 128), (128, 160)])
def test_a_wide_convolution_and_its_gradient_equal_torchs(
    channels: tuple[int, int],
    size: tuple[int, int],
    padding: int,
    mode: Padding,
    rectify: bool,
    winograd_paddings: list[int],
) -> None:
    torch.manual_seed(1)
    layer = nn.Conv2d(*channels, kernel_size=3, padding=padding, padding_mode=mode).requires_grad_(False)
    image = torch.randn(1, channels[0], *size)
    output_gradient = torch.randn(layer(image).shape)
    fast = Convolution(layer, always)
    output, gradient = output_and_gradient(fast.rectified if rectify else fast, image, output_gradient)
    assert len(winograd_paddings) == 2

    exact = copy.deepcopy(layer).double()
    # Use the fast ReLU's mask for both, because values close to zero may differ in sign.
    output_gradient = torch.where(output > 0, output_gradient, 0) if rectify else output_gradient
    expected, expected_gradient = output_and_gradient(exact, image.double(), output_gradient)
    assert relative(output, expected.relu() if rectify else expected) < 1e-5
    assert relative(gradient, expected_gradient) < 1e-5


CHANNELS = (1, 3, 64, *(convolution.MIN_CHANNELS + step for step in (-1, 0, 1)), 160)
SIDES = (1, 2, 3, 5, 17, 31, 32, 33, 47, 70)
LONG_SIDES = (convolution.MIN_PIXELS - 1, convolution.MIN_PIXELS, 1031)


class Case(NamedTuple):
    """A random 3×3 convolution and the size of its image."""

    channels: tuple[int, int]
    size: tuple[int, int]
    padding: int
    mode: Padding
    rectify: bool


def draw(seed: int) -> Case:
    """Draw odd and short sides, and channels and pixels around the limits; every fourth image is a line."""
    chance = random.Random(seed)
    sides = [chance.choice(LONG_SIDES), 1] if seed % 4 == 0 else [chance.choice(SIDES) for _ in range(2)]
    chance.shuffle(sides)
    channels = chance.choices(CHANNELS[-3:] if seed % 2 == 0 else CHANNELS, k=2)
    paddings: list[tuple[int, Padding]] = [(1, "zeros")]
    if min(sides) >= 3:
        paddings += [(0, "zeros"), (1, "reflect")]
    padding, mode = chance.choice(paddings)
    return Case((channels[0], channels[1]), (sides[0], sides[1]), padding, mode, chance.random() < 0.5)


@pytest.mark.parametrize("shape", [draw(seed) for seed in range(20)], ids=str)
def test_a_convolution_of_any_shape_and_its_gradient_equal_torchs(
    shape: Case, winograd_paddings: list[int]
) -> None:
    """Both the chosen kernel and Winograd's are tested."""
    torch.manual_seed(1)
    layer = nn.Conv2d(*shape.channels, kernel_size=3, padding=shape.padding, padding_mode=shape.mode)
    fast, exact = Convolution(layer.requires_grad_(False), always), copy.deepcopy(layer).double()
    image = torch.randn(1, shape.channels[0], *shape.size)
    output_gradient = torch.randn(layer(image).shape)

    def by_winograd(image: Tensor) -> Tensor:
        image = image.contiguous(memory_format=torch.channels_last)
        result: Tensor = convolution._Winograd.apply(image, fast, shape.rectify)  # type: ignore[no-untyped-call]
        return result

    for way in (fast.rectified if shape.rectify else fast, by_winograd):
        output, gradient = output_and_gradient(way, image, output_gradient)
        # Use the fast ReLU's mask for both, because values close to zero may differ in sign.
        masked = torch.where(output > 0, output_gradient, 0) if shape.rectify else output_gradient
        expected, expected_gradient = output_and_gradient(exact, image.double(), masked)
        assert_near(output, expected.relu() if shape.rectify else expected)
        assert_near(gradient, expected_gradient)
    is_wide = (
        min(shape.channels) >= convolution.MIN_CHANNELS and math.prod(shape.size) >= convolution.MIN_PIXELS
    )
    assert len(winograd_paddings) == (4 if is_wide else 2)


def assert_near(found: Tensor, exact: Tensor) -> None:
    assert (found.double() - exact).norm() <= 1e-5 * exact.norm()


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 1},
        {"kernel_size": 3, "padding": 1, "stride": 2},
        {"kernel_size": 3, "padding": 2, "dilation": 2},
        {"kernel_size": 3, "padding": 1, "groups": 2},
        {"kernel_size": 3, "padding": 1, "padding_mode": "replicate"},
        {"kernel_size": 3, "padding": "same"},
        {"kernel_size": (1, 7), "padding": (0, 3)},
        {"kernel_size": 5, "padding": 2, "bias": False},
    ],
    ids=str,
)
def test_other_convolutions_use_torch(options: dict[str, Any], winograd_paddings: list[int]) -> None:
    torch.manual_seed(1)
    layer = nn.Conv2d(128, 128, **options).requires_grad_(False)
    image = torch.randn(1, 128, 40, 36)
    output_gradient = torch.randn(layer(image).shape)
    expected = output_and_gradient(copy.deepcopy(layer), image, output_gradient)
    found = output_and_gradient(Convolution(layer, always), image, output_gradient)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert not winograd_paddings


def test_batches_small_images_and_float64_use_torch(winograd_paddings: list[int]) -> None:
    layer = nn.Conv2d(128, 128, kernel_size=3, padding=1).requires_grad_(False)
    Convolution(layer, always)(torch.rand(2, 128, 40, 40))
    Convolution(layer, always)(torch.rand(1, 128, 8, 8))
    Convolution(layer, always).double()(torch.rand(1, 128, 40, 40, dtype=torch.float64))
    assert not winograd_paddings


@pytest.mark.parametrize("mode", ["zeros", "reflect"])
@pytest.mark.parametrize("rectify", [False, True])
def test_the_gradient_equals_the_numerical_one(mode: Padding, rectify: bool) -> None:
    torch.manual_seed(1)
    layer = nn.Conv2d(2, 3, kernel_size=3, padding=1, padding_mode=mode).double().requires_grad_(False)
    fast = Convolution(layer, always)
    image = torch.randn(1, 2, 6, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda seen: convolution._Winograd.apply(seen, fast, rectify), image)  # type: ignore[no-untyped-call]


def test_accelerated_vgg19_has_the_same_layers_and_features(vgg19: FeatureNetwork, cat: Tensor) -> None:
    layers = [name for name in vgg19.layers if name <= "relu5_1" or name.startswith(("conv", "pool"))]
    expected = vgg19.features(cat, layers)
    fast = copy.deepcopy(vgg19)
    accelerate(fast.body, always)
    assert fast.layers == vgg19.layers
    assert fast.state_dict().keys() == vgg19.state_dict().keys()
    with torch.no_grad():
        found = fast.features(cat, layers)
    for layer in layers:
        assert relative(found[layer], expected[layer].double()) < 1e-4, layer


def test_a_relu_is_merged_into_its_convolution_unless_the_convolution_is_kept(
    vgg19: FeatureNetwork, cat: Tensor
) -> None:
    fast = copy.deepcopy(vgg19)
    assert isinstance(fast.body, nn.Sequential)
    accelerate(fast.body, always)
    joined = list(steps(fast.body, ["conv1_1", "relu1_2"]))
    assert [name for name, _ in joined][:5] == ["conv1_1", "relu1_1", "relu1_2", "pool1", "relu2_1"]
    assert sorted({name for name, _ in joined} - {"conv1_1"}) == sorted(
        name for name in vgg19.layers if not name.startswith("conv")
    )
    values = fast.normalise(cat)
    for name, layer in joined:
        values = layer(values)
        if name == "relu4_2":
            break
    assert relative(values, vgg19.features(cat, ["relu4_2"])["relu4_2"].double()) < 1e-4


@pytest.mark.parametrize(("name", "layer"), [("vgg19", "relu5_1"), ("inception-v3", "Mixed_5d")])
def test_the_gradient_on_a_photograph_equals_that_in_float64(
    models: Path, cat: Tensor, name: str, layer: str
) -> None:
    network = load_network(name, models, CPU, accelerated=False)
    exact = copy.deepcopy(network).double()
    accelerate(network.body, always)

    def gradient(network: FeatureNetwork, image: Tensor) -> Tensor:
        image = image.detach().requires_grad_()
        return torch.autograd.grad(network.features(image, [layer])[layer].square().sum() / 2, image)[0]

    expected = gradient(exact, cat.double())
    first, again = gradient(network, cat), gradient(network, cat)
    assert relative(first, expected) < 1e-3
    assert torch.equal(first, again)
