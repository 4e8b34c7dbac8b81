"""Optimised style transfer: it descends, recovers, repeats itself, and keeps sizes."""

from __future__ import annotations

import gc
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from backend.losses import content_loss, gram_matrix
from backend.networks import Network, load_network
from backend.pyramid import size_of
from backend.step import Step
from backend.style_transfer import COARSEST_PX, STYLE_LAYERS, descend, stylize

SETTINGS: dict[str, Any] = {
    "strength": 1.0,
    "size": 512,
    "iterations": 12,
    "content_weight": 1.0,
    "style_weight": 1.0,
    "smoothness": 1.0,
    "seed": 7,
}


@pytest.fixture(scope="module")
def network() -> Network:
    """A seeded network with the layers of VGG19 that style transfer asks for, few channels in each."""
    torch.manual_seed(0)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels = 3
    for block in range(1, 6):
        layers[f"conv{block}_1"] = nn.Conv2d(channels, 8, 3, padding=1, padding_mode="reflect")
        layers[f"relu{block}_1"] = nn.ReLU()
        if block == 4:
            layers["conv4_2"] = nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect")
            layers["relu4_2"] = nn.ReLU()
        layers[f"pool{block}"] = nn.MaxPool2d(2, ceil_mode=True)
        channels = 8
    return Network(nn.Identity(), nn.Sequential(layers), minimum_px=17)


def smooth(height: int, width: int, seed: int) -> Tensor:
    coarse = torch.rand(1, 3, 5, 6, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(coarse, (height, width), mode="bilinear")


def noise(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(2))


def steps(content: Tensor, *styles: Tensor, network: Network, **changed: Any) -> Iterator[Step]:
    return stylize(content, styles, network=network, **(SETTINGS | changed))


def result(content: Tensor, *styles: Tensor, network: Network, **changed: Any) -> Tensor:
    *_, last = steps(content, *styles, network=network, **changed)
    assert last.index == last.total
    return last.image


def style_distance(image: Tensor, style: Tensor, network: Network) -> float:
    """Gatys et al. 2016, eq. 5, written out."""
    found, aim = (network.features(x, STYLE_LAYERS) for x in (image, style))
    return sum(
        ((gram_matrix(found[layer]) - gram_matrix(aim[layer])) ** 2).mean().item()
        / (gram_matrix(aim[layer]) ** 2).mean().item()
        for layer in STYLE_LAYERS
    )


# ── The descent ──────────────────────────────────────────────────────────────────────────────────


def test_descent_finds_the_minimum_and_never_goes_back() -> None:
    target = smooth(6, 7, seed=1)
    scale = torch.linspace(1, 30, 7)
    evaluations: list[float] = []

    def objective(image: Tensor) -> Tensor:
        loss = (scale * (image - target)).square().sum()
        evaluations.append(loss.item())
        return loss

    images = descend(objective, torch.zeros_like(target))
    losses = []
    for _ in range(60):
        losses.append((scale * (next(images) - target)).square().sum().item())
    assert len(evaluations) == 60
    assert losses == sorted(losses, reverse=True)
    torch.testing.assert_close(next(images), target, atol=1e-3, rtol=0)


def test_descent_starts_anew_from_the_best_where_it_diverges() -> None:
    """The loss is no number wherever a pixel is beyond 0.5, where the first steps lead."""
    target = torch.full((1, 3, 4, 4), 0.45)

    def objective(image: Tensor) -> Tensor:
        loss = 1e3 * (image - target).square().sum()
        return loss if image.max() < 0.5 else loss * float("nan")

    images = descend(objective, torch.zeros_like(target))
    first, *_, last = (next(images) for _ in range(40))
    assert last.isfinite().all()
    assert (last - target).abs().max() < (first - target).abs().max()


# ── What is painted ──────────────────────────────────────────────────────────────────────────────


def test_the_pastiche_has_more_of_the_style_the_longer_it_is_painted(network: Network) -> None:
    content, style = smooth(96, 80, seed=1), noise(96, 80)
    pastiches = [result(content, style, network=network, iterations=n) for n in (1, 8, 25)]
    distances = [style_distance(pastiche, style, network) for pastiche in pastiches]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < style_distance(content, style, network) / 4


def test_a_heavier_style_comes_closer_and_a_heavier_content_stays_nearer(network: Network) -> None:
    content, style = smooth(64, 64, seed=1), smooth(64, 64, seed=2)
    plain = result(content, style, network=network)
    stylish = result(content, style, network=network, style_weight=20.0)
    faithful = result(content, style, network=network, content_weight=20.0, style_weight=0.1)
    distances = [style_distance(image, style, network) for image in (stylish, plain, faithful)]
    assert distances == sorted(distances)
    shapes = [network.features(image, ["relu4_2"])["relu4_2"] for image in (content, faithful, plain)]
    assert content_loss(shapes[1], shapes[0]) < content_loss(shapes[2], shapes[0])


def test_smoothness_leaves_less_grain(network: Network) -> None:
    content, style = smooth(64, 64, seed=1), noise(64, 64)
    pastiches = [result(content, style, network=network, smoothness=value) for value in (0, 1, 50)]
    grain = [pastiche.diff(dim=-1).abs().mean() for pastiche in pastiches]
    assert grain[0] > grain[1] > grain[2]


def test_no_strength_is_the_content_itself_and_more_goes_further(network: Network) -> None:
    content, style = smooth(64, 64, seed=1), smooth(64, 64, seed=2)
    pastiches = [result(content, style, network=network, strength=s) for s in (0.0, 0.3, 1.0)]
    assert torch.equal(pastiches[0], content)
    distances = [style_distance(pastiche, style, network) for pastiche in pastiches]
    assert distances == sorted(distances, reverse=True)


def test_of_several_styles_each_has_its_part(network: Network) -> None:
    content, style = smooth(64, 64, seed=1), smooth(64, 64, seed=2)
    dark, bright = style * 0.2, style * 0.2 + 0.8
    both = result(content, dark, bright, network=network)
    only_dark = result(content, dark, network=network)
    assert style_distance(both, bright, network) < style_distance(only_dark, bright, network)
    assert style_distance(both, dark, network) < style_distance(content, dark, network)


# ── What is promised ─────────────────────────────────────────────────────────────────────────────


def test_sizes_go_from_coarse_to_fine_and_steps_are_all_counted(network: Network) -> None:
    content, style = smooth(300, 150, seed=1), smooth(50, 50, seed=2)
    taken = list(steps(content, style, network=network, size=256, iterations=5))
    assert [(step.index, step.total) for step in taken] == [(i, 5) for i in range(1, 6)]
    assert [size_of(step.image) for step in taken] == [(128, 64)] * 2 + [(256, 128)] * 2 + [(300, 150)]
    assert COARSEST_PX == 64


@pytest.mark.parametrize("iterations", [1, 2])
def test_few_iterations_are_spent_on_the_finest_sizes(network: Network, iterations: int) -> None:
    content, style = smooth(256, 256, seed=1), smooth(9, 9, seed=2)
    taken = list(steps(content, style, network=network, iterations=iterations))
    assert [size_of(step.image)[0] for step in taken] == [128, 256][-iterations:]


@pytest.mark.parametrize("size", [(20, 20), (1, 1), (1, 60), (75, 64), (300, 200)])
def test_every_size_comes_back_as_it_went_in(network: Network, size: tuple[int, int]) -> None:
    content = smooth(*size, seed=1)
    made = result(content, smooth(1, 1, seed=2), network=network, size=64, iterations=4)
    assert made.shape == content.shape
    assert made.isfinite().all() and made.min() >= 0 and made.max() <= 1
    assert not torch.equal(made, content)


def test_the_same_seed_gives_the_same_picture_and_another_seed_another(network: Network) -> None:
    content, style = smooth(64, 64, seed=1), smooth(64, 64, seed=2)
    first, again, other = (result(content, style, network=network, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_it_starts_from_the_picture_it_is_given(network: Network) -> None:
    content, style, init = (smooth(64, 64, seed=seed) for seed in (1, 2, 3))
    begun = result(content, style, network=network, iterations=1, init=init)
    assert (begun - init).abs().mean() < (begun - content).abs().mean()


def test_a_large_content_keeps_its_own_fine_detail(network: Network) -> None:
    """Stripes too fine for the working size are in the result as they were in the content."""
    content, style = smooth(256, 256, seed=1) * 0.5 + 0.25, smooth(64, 64, seed=2) * 0.5 + 0.25
    stripes = 0.05 * torch.tensor([1.0, -1.0]).repeat(128)
    plain = result(content, style, network=network, size=64, iterations=3)
    striped = result(content + stripes, style, network=network, size=64, iterations=3)
    inside = (plain > 0.06) & (plain < 0.94)
    torch.testing.assert_close((striped - plain)[inside], stripes.expand_as(plain)[inside], atol=0.02, rtol=0)


def test_steps_are_detached_and_closing_frees_what_was_held(network: Network) -> None:
    content, style = smooth(64, 64, seed=1), smooth(64, 64, seed=2)
    painting = steps(content, style, network=network)
    image = next(painting).image
    assert not image.requires_grad
    held = weakref.ref(image)
    painting.close()  # type: ignore[attr-defined]
    del image
    gc.collect()
    assert held() is None


def test_the_real_vgg19_comes_closer_to_the_style(models: Path) -> None:
    network = load_network("vgg19", models, torch.device("cpu"))
    content, style = smooth(48, 48, seed=1), smooth(48, 48, seed=2)
    made = result(content, style, network=network, iterations=6)
    assert style_distance(made, style, network) < style_distance(content, style, network) / 2
