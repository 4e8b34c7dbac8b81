"""DeepDream: its gradient, its octaves, its tiles, and what it promises about pixels and sizes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from atelier_protocol import Picture
from atelier_requests import DeepDream
from backend import deepdream
from backend.deepdream import activation, ascend, dream, tiled_gradient
from backend.images import read
from backend.networks import load_network

SAMPLES = Path(__file__).parents[1] / "samples"
SETTINGS: dict[str, Any] = {
    "layer": "second",
    "strength": 1.0,
    "iterations": 3,
    "step_size": 0.02,
    "octaves": 2,
    "octave_scale": 1.5,
    "jitter": 5,
    "size": 64,
    "seed": 7,
}


class TinyNetwork(nn.Module):
    """Two seeded convolutions, smooth throughout, that shrink by 4; receptive field 11 px."""

    minimum_px = 12

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Sequential(nn.Conv2d(3, 4, kernel_size=3, stride=2, padding=1), nn.Tanh())
        self.second = nn.Sequential(nn.Conv2d(4, 5, kernel_size=5, stride=2, padding=2), nn.Tanh())
        self.requires_grad_(False)

    def features(self, image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        assert min(image.shape[-2:]) >= self.minimum_px
        first = self.first(image)
        found = {"first": first, "second": self.second(first)}
        return {layer: found[layer] for layer in layers}


class Brightness:
    """A network whose one feature is the image itself: every expected value can be worked out."""

    minimum_px = 1

    def features(self, image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        return {layer: image for layer in layers}


@pytest.fixture
def network() -> TinyNetwork:
    return TinyNetwork()


def noise(height: int, width: int, seed: int = 1) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def final(image: Tensor, network: Any, **changed: Any) -> Tensor:
    *_, last = dream(image, network=network, **SETTINGS | changed)
    return last.image


def test_activation_is_half_the_sum_of_squares() -> None:
    image = torch.tensor([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1)
    assert activation(image, Brightness(), "it").item() == 7.0


def test_the_gradient_is_the_derivative_of_the_activation(network: TinyNetwork) -> None:
    network.double()
    image = noise(12, 14).double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda values: activation(values, network, "second"), image, fast_mode=True
    )
    (expected,) = torch.autograd.grad(activation(image, network, "second"), image)
    torch.testing.assert_close(tiled_gradient(image, network, "second"), expected)


def test_a_step_is_the_gradient_over_its_mean_absolute_value() -> None:
    image = torch.tensor([0.1, 0.2, 0.6]).reshape(1, 3, 1, 1)  # its own gradient, 0.3 in the mean
    stepped = ascend(image, Brightness(), "it", step_size=0.03, shift=[0, 0])
    assert stepped.flatten().tolist() == pytest.approx([0.11, 0.22, 0.66])


def test_a_step_stays_between_black_and_white() -> None:
    image = torch.tensor([0.0, 0.5, 1.0]).reshape(1, 3, 1, 1)
    assert ascend(image, Brightness(), "it", step_size=9.0, shift=[0, 0]).flatten().tolist() == [0, 1, 1]


def test_the_picture_is_rolled_for_the_network_and_back() -> None:
    class Corner(Brightness):
        def features(self, image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
            return {layer: image[..., :1, :1] for layer in layers}

    image = torch.full((1, 3, 4, 5), 0.5)
    changed = ascend(image, Corner(), "it", step_size=0.01, shift=[1, 2]) != image
    assert changed[0, 0].nonzero().tolist() == [[3, 3]]  # rolled by 1, 2 it comes to the corner


def test_a_picture_that_excites_nothing_stays_as_it_is() -> None:
    black = torch.zeros(1, 3, 16, 16)
    assert final(black, Brightness()).equal(black)


def test_the_activation_rises_with_every_step_of_an_octave(network: TinyNetwork) -> None:
    image = noise(32, 40)
    steps = dream(image, network=network, **SETTINGS | {"octaves": 1, "iterations": 8, "jitter": 0})
    values = [activation(step.image, network, "second").item() for step in steps]
    assert values == sorted(values)
    assert values[-1] > 1.2 * activation(image, network, "second").item()


@pytest.mark.parametrize("tile_px", [32, 64])
def test_tiles_give_the_gradient_of_the_whole(
    network: TinyNetwork, tile_px: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = noise(100, 170)
    whole = tiled_gradient(image, network, "second")
    monkeypatch.setattr(deepdream, "TILE_PX", tile_px)
    monkeypatch.setattr(deepdream, "HALO_PX", 32)
    torch.testing.assert_close(tiled_gradient(image, network, "second"), whole, rtol=1e-4, atol=1e-7)


def test_a_halo_that_is_too_small_shows(network: TinyNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    image = noise(100, 170)
    whole = tiled_gradient(image, network, "second")
    monkeypatch.setattr(deepdream, "TILE_PX", 64)
    monkeypatch.setattr(deepdream, "HALO_PX", 0)
    assert (tiled_gradient(image, network, "second") - whole).norm() > 1e-2 * whole.norm()


def test_steps_count_every_iteration_of_every_octave(network: TinyNetwork) -> None:
    steps = list(dream(noise(30, 48), network=network, **SETTINGS))
    assert [(step.index, step.total) for step in steps] == [(i, 6) for i in range(1, 7)]
    assert [step.image.shape[-2:] for step in steps] == [(20, 32)] * 3 + [(30, 48)] * 3
    assert not any(step.image.requires_grad for step in steps)


def test_octaves_too_small_for_the_network_are_left_out(network: TinyNetwork) -> None:
    steps = list(dream(noise(20, 40), network=network, **SETTINGS | {"octaves": 6}))
    assert {step.total for step in steps} == {2 * 3}  # 20 px and 13 px; 9 px is less than 12


@pytest.mark.parametrize(("height", "width"), [(3, 50), (50, 1), (1, 1), (200, 90)])
def test_every_size_comes_back_in_its_own_size(network: TinyNetwork, height: int, width: int) -> None:
    image = noise(height, width)
    made = final(image, network)
    assert made.shape == image.shape
    assert not made.equal(image)


def test_a_picture_beyond_the_working_size_keeps_its_fine_detail(network: TinyNetwork) -> None:
    stripes = torch.zeros(1, 3, 128, 128)
    stripes[..., ::2] = 0.2
    stripes += 0.4
    made = final(stripes, network, size=32)
    difference = (made[..., ::2] - made[..., 1::2]).mean()
    assert difference.item() == pytest.approx(0.2, abs=0.01)
    assert not made.allclose(stripes, atol=0.01)


def test_strength_is_the_share_of_the_dream(network: TinyNetwork) -> None:
    image = 0.3 + 0.4 * noise(30, 30)
    nothing, half, full = (final(image, network, strength=s, octaves=1) for s in (0.0, 0.5, 1.0))
    assert nothing.equal(image)
    torch.testing.assert_close(half, (image + full) / 2)


def test_the_values_stay_in_range(network: TinyNetwork) -> None:
    made = final(noise(40, 40), network, step_size=0.5)
    assert made.min() >= 0
    assert made.max() <= 1


def test_the_seed_decides_the_picture(network: TinyNetwork) -> None:
    image = noise(40, 40)
    first = final(image, network, seed=3)
    torch.rand(5)  # the global generator has no part in it
    assert final(image, network, seed=3).equal(first)
    assert not final(image, network, seed=4).equal(first)


def test_the_picture_given_is_left_alone(network: TinyNetwork) -> None:
    image = noise(40, 40)
    before = image.clone()
    final(image, network)
    assert image.equal(before)


def test_cancelling_leaves_nothing_at_the_network(network: TinyNetwork) -> None:
    steps = dream(noise(40, 40), network=network, **SETTINGS)
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert not any(module._forward_hooks or module._backward_hooks for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.fixture
def cat() -> Tensor:
    with Image.open(SAMPLES / "chelsea.jpg") as photograph:
        return read(Picture(*photograph.size, "RGB", "u8", photograph.tobytes()))


def test_inception_dreams_more_of_what_it_sees(models: Path, cat: Tensor) -> None:
    face = cat[..., 60:220, 100:300]
    inception = load_network("inception-v3", models, torch.device("cpu"))
    settings = dataclasses.asdict(DeepDream(iterations=3, octaves=2, size=200))
    for name in ("network", "device"):
        del settings[name]
    *_, last = dream(face, network=inception, **settings)
    before, after = (activation(image, inception, "Mixed_5d").item() for image in (face, last.image))
    assert after > 1.2 * before


def test_inceptions_tiles_have_no_seams(models: Path, cat: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    inception = load_network("inception-v3", models, torch.device("cpu"))
    strip = cat[..., :160, :]
    whole = tiled_gradient(strip, inception, "Mixed_5d")
    monkeypatch.setattr(deepdream, "TILE_PX", 160)
    assert (tiled_gradient(strip, inception, "Mixed_5d") - whole).norm() < 1e-5 * whole.norm()
