"""The fine method: effect of every setting, order of sizes and steps, determinism, memory."""

from __future__ import annotations

import gc
import weakref
from collections import OrderedDict
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from atelier_shared.networks import NETWORKS
from atelier_shared.sizes import fit
from backend.compat.torchvision_import import torchvision
from backend.imaging.resize import resize, size_of
from backend.imaging.step import Steps
from backend.imaging.style_image import Style
from backend.networks.feature_network import FeatureNetwork
from backend.networks.registry import load_network
from backend.style.fine import FineSettings, Predicted, stylize
from backend.style.fine_loss import LossWeights
from backend.style.losses import content_loss, gram_matrix

SAMPLES = Path(__file__).parents[2] / "samples"
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")

WEIGHTS = LossWeights(1.0, 1.0, 1.0, {"relu4_2": 1.0}, dict.fromkeys(STYLE_LAYERS, 1.0))
SETTINGS = FineSettings(
    strength=1.0,
    size=512,
    iterations=12,
    weights=WEIGHTS,
    optimizer="l-bfgs",
    noise=0.05,
    tolerance=0.0,
    seed=7,
)


@pytest.fixture(scope="module")
def network() -> FeatureNetwork:
    """Return a random network with the names of VGG19's layers for style transfer and 8 channels each."""
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
    return FeatureNetwork(nn.Identity(), nn.Sequential(layers), minimum_px=17)


def smooth(height: int, width: int, seed: int) -> Tensor:
    coarse = torch.rand(1, 3, 5, 6, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(coarse, (height, width), mode="bilinear")


def noise(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(2))


def steps(
    content: Tensor,
    *styles: Tensor | Style,
    network: FeatureNetwork,
    visible: Tensor | None = None,
    init: Tensor | None = None,
    **changed: Any,
) -> Steps:
    given = [style if isinstance(style, Style) else Style(style) for style in styles]
    settings = replace(SETTINGS, **changed)
    return stylize(content, given, settings, network=network, visible=visible, init=init)


def result(content: Tensor, *styles: Tensor | Style, network: FeatureNetwork, **changed: Any) -> Tensor:
    *_, last = steps(content, *styles, network=network, **changed)
    assert last.index == last.total
    return last.image


def style_distance(image: Tensor, style: Tensor, network: FeatureNetwork) -> float:
    """Compute the style loss relative to the target: Gatys et al. 2016, eq. 5."""
    found, aim = (network.features(x, STYLE_LAYERS) for x in (image, style))
    return sum(
        ((gram_matrix(found[layer]) - gram_matrix(aim[layer])) ** 2).mean().item()
        / (gram_matrix(aim[layer]) ** 2).mean().item()
        for layer in STYLE_LAYERS
    )


# ── The painting ───────────────────────────────────────────────────────────────────────────────────


def test_more_iterations_come_closer_to_the_style(network: FeatureNetwork) -> None:
    content, style = smooth(96, 80, seed=1), noise(96, 80)
    pastiches = [result(content, style, network=network, iterations=n) for n in (1, 8, 25)]
    distances = [style_distance(pastiche, style, network) for pastiche in pastiches]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < style_distance(content, style, network) / 4


def test_style_and_content_weights_pull_towards_style_and_content(network: FeatureNetwork) -> None:
    content, style = smooth(64, 64, seed=1), smooth(64, 64, seed=2)
    plain = result(content, style, network=network, iterations=40)
    stylish = result(content, style, network=network, iterations=40, weights=replace(WEIGHTS, style=20.0))
    faithful = result(
        content, style, network=network, iterations=40, weights=replace(WEIGHTS, content=20.0, style=0.1)
    )
    distances = [style_distance(image, style, network) for image in (stylish, plain, faithful)]
    assert distances == sorted(distances)
    shapes = [network.features(image, ["relu4_2"])["relu4_2"] for image in (content, faithful, plain)]
    assert content_loss(shapes[1], shapes[0]) < content_loss(shapes[2], shapes[0])


def test_smoothness_leaves_less_grain(network: FeatureNetwork) -> None:
    content, style = smooth(64, 64, seed=1), noise(64, 64)
    pastiches = [
        result(content, style, network=network, weights=replace(WEIGHTS, smoothness=value))
        for value in (0, 1, 50)
    ]
    grain = [pastiche.diff(dim=-1).abs().mean() for pastiche in pastiches]
    assert grain[0] > grain[1] > grain[2]


def test_strength_0_returns_the_content_and_more_comes_closer_to_the_style(network: FeatureNetwork) -> None:
    content, style = smooth(64, 64, seed=1), smooth(64, 64, seed=2)
    pastiches = [result(content, style, network=network, strength=s) for s in (0.0, 0.3, 1.0)]
    assert torch.equal(pastiches[0], content)
    distances = [style_distance(pastiche, style, network) for pastiche in pastiches]
    assert distances == sorted(distances, reverse=True)


def test_two_styles_are_mixed(network: FeatureNetwork) -> None:
    content, style = smooth(64, 64, seed=1), smooth(64, 64, seed=2)
    dark, bright = style * 0.2, style * 0.2 + 0.8
    both = result(content, dark, bright, network=network)
    only_dark = result(content, dark, network=network)
    assert style_distance(both, bright, network) < style_distance(only_dark, bright, network)
    assert style_distance(both, dark, network) < style_distance(content, dark, network)


def test_a_style_with_more_weight_has_more_effect(network: FeatureNetwork) -> None:
    content, style = smooth(64, 64, seed=1), smooth(64, 64, seed=2)
    dark, bright = style * 0.2, style * 0.2 + 0.8
    distances = [
        style_distance(result(content, Style(dark, weight), Style(bright), network=network), dark, network)
        for weight in (0.0, 1.0, 9.0)
    ]
    assert distances == sorted(distances, reverse=True)


def test_styles_with_a_total_weight_of_0_are_refused(network: FeatureNetwork) -> None:
    picture = smooth(64, 64, seed=1)
    with pytest.raises(ValueError, match="Give at least one style a weight"):
        result(picture, Style(picture, 0.0), network=network)


def test_the_style_layers_determine_the_scale_of_the_strokes(network: FeatureNetwork) -> None:
    content, style = smooth(64, 64, seed=1), noise(64, 64)
    layers = ("relu1_1", "relu4_1")
    shallow, deep = (
        result(content, style, network=network, weights=replace(WEIGHTS, style_layers={name: 1.0}))
        for name in layers
    )
    distances = [layer_distance(image, style, "relu1_1", network) for image in (shallow, deep)]
    assert distances[0] < distances[1]
    with pytest.raises(ValueError, match="This network has no layer relu9_9"):
        result(content, style, network=network, weights=replace(WEIGHTS, style_layers={"relu9_9": 1.0}))


def layer_distance(image: Tensor, style: Tensor, layer: str, network: FeatureNetwork) -> float:
    found, aim = (gram_matrix(network.features(x, [layer])[layer]) for x in (image, style))
    return (found - aim).square().mean().item()


def test_adam_comes_closer_to_the_style(network: FeatureNetwork) -> None:
    content, style = smooth(64, 64, seed=1), smooth(64, 64, seed=2)
    made = result(content, style, network=network, optimizer="adam", iterations=40)
    assert style_distance(made, style, network) < style_distance(content, style, network) / 4


def test_hidden_pixels_have_no_effect_on_the_visible_part(network: FeatureNetwork) -> None:
    """The colours of hidden pixels do not matter."""
    content, style = smooth(64, 256, seed=1), smooth(64, 64, seed=2)
    visible = torch.zeros(1, 1, 64, 256)
    visible[..., :64] = 1
    made = []
    for hidden in (0.0, 1.0):
        changed = content.clone()
        changed[..., 192:] = hidden
        made.append(result(changed, style, network=network, visible=visible, noise=0.0, size=256))
    torch.testing.assert_close(made[0][..., :48], made[1][..., :48], atol=0.02, rtol=0)
    nothing = torch.zeros_like(visible)
    assert torch.equal(result(content, style, network=network, visible=nothing), content)


def test_a_grey_style_makes_a_grey_painting_at_full_strength(network: FeatureNetwork) -> None:
    content, style = smooth(64, 64, seed=1), noise(64, 64).mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    spread = []
    for strength in (1.0, 0.5):
        made = result(content, style, network=network, strength=strength)
        spread.append((made.amax(dim=1) - made.amin(dim=1)).mean())
    assert spread[0] < 0.01 < spread[1]


# ── Sizes, steps and memory ────────────────────────────────────────────────────────────────────────


def test_sizes_go_from_coarse_to_fine_and_every_step_is_counted(network: FeatureNetwork) -> None:
    content, style = smooth(300, 150, seed=1), smooth(50, 50, seed=2)
    taken = list(steps(content, style, network=network, size=256, iterations=6))
    assert [(step.index, step.total) for step in taken] == [(i, 6) for i in range(1, 7)]
    assert [size_of(step.image) for step in taken] == [(128, 64)] * 3 + [(256, 128)] * 3


def test_a_size_ends_early_when_the_loss_is_flat(network: FeatureNetwork) -> None:
    content, style = smooth(64, 64, seed=1), smooth(64, 64, seed=2)
    taken = list(steps(content, style, network=network, iterations=400, tolerance=0.1))
    assert 11 < len(taken) < 200
    assert (taken[-1].index, taken[-1].total) == (400, 400)


@pytest.mark.slow
def test_most_steps_are_at_the_finest_size(network: FeatureNetwork) -> None:
    content, style = smooth(64, 128, seed=1), smooth(17, 17, seed=2)
    sizes = [size_of(step.image) for step in steps(content, style, network=network, iterations=100)]
    assert sizes == [(64, 128)] * 100
    content = smooth(128, 128, seed=1)
    sizes = [size_of(step.image) for step in steps(content, style, network=network, iterations=100)]
    assert sizes == [(64, 64)] * 30 + [(128, 128)] * 70


@pytest.mark.parametrize("iterations", [1, 2])
def test_few_iterations_are_used_at_the_finest_sizes(network: FeatureNetwork, iterations: int) -> None:
    content, style = smooth(256, 256, seed=1), smooth(9, 9, seed=2)
    taken = list(steps(content, style, network=network, iterations=iterations))
    assert [size_of(step.image)[0] for step in taken] == [128, 256][-iterations:]


@pytest.mark.parametrize("size", [(20, 20), (1, 1), (1, 60), (75, 64), (300, 200)])
def test_the_painting_has_the_working_size(network: FeatureNetwork, size: tuple[int, int]) -> None:
    content = smooth(*size, seed=1)
    made = result(content, smooth(1, 1, seed=2), network=network, size=64, iterations=4)
    assert size_of(made) == fit(size, 64)
    assert made.isfinite().all() and made.min() >= 0 and made.max() <= 1
    assert not torch.equal(made, resize(content, size_of(made)))


def test_the_seed_determines_the_picture(network: FeatureNetwork) -> None:
    content, style = smooth(64, 64, seed=1), smooth(64, 64, seed=2)
    first, again, other = (result(content, style, network=network, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_noise_is_blended_into_the_first_image(network: FeatureNetwork) -> None:
    content, style = smooth(64, 64, seed=1), smooth(64, 64, seed=2)
    begun = [next(steps(content, style, network=network, noise=share)).image for share in (0.0, 0.5, 1.0)]
    assert torch.equal(begun[0], content)
    grain = [image.diff(dim=-1).abs().mean() for image in begun]
    assert grain[0] < grain[1] < grain[2]


def test_a_smaller_style_has_smaller_strokes(network: FeatureNetwork) -> None:
    content, style = smooth(64, 64, seed=1), noise(64, 64)
    whole, half = (result(content, Style(style, scale=scale), network=network) for scale in (1.0, 0.5))
    looked_at = resize(style, (32, 32)).clamp(0, 1)
    assert style_distance(half, looked_at, network) < style_distance(whole, looked_at, network)


def test_init_is_the_first_image(network: FeatureNetwork) -> None:
    content, style, init = (smooth(64, 64, seed=seed) for seed in (1, 2, 3))
    begun = result(content, style, network=network, iterations=1, init=init)
    assert (begun - init).abs().mean() < (begun - content).abs().mean()


def test_a_predicted_pastiche_is_the_start_where_it_has_a_weight(network: FeatureNetwork) -> None:
    content, style, image = smooth(64, 64, seed=1), smooth(64, 64, seed=2), smooth(64, 64, seed=3)
    weight = torch.zeros(1, 1, 64, 64)
    weight[..., :32] = 1
    painting = stylize(
        content, [Style(style)], SETTINGS, network=network, visible=None, predicted=Predicted(image, weight)
    )
    begun = next(painting).image
    assert torch.equal(begun[..., :32], image[..., :32])
    assert not torch.equal(begun[..., 32:], image[..., 32:])


def test_the_loss_keeps_the_pastiche_near_the_predicted_one(network: FeatureNetwork) -> None:
    """All steps are at the finest size, and the half with a weight moves less from its start."""
    content, style = smooth(150, 150, seed=1), noise(64, 64)
    image, weight = smooth(128, 128, seed=3), torch.zeros(1, 1, 128, 128)
    weight[..., :64] = 1
    settings = replace(SETTINGS, size=128, iterations=12, noise=0.0)
    begun, made = (
        [*stylize(content, [Style(style)], settings, network=network, visible=None, init=image, predicted=p)]
        for p in (Predicted(image, torch.zeros_like(weight)), Predicted(image, weight))
    )
    assert [size_of(step.image) for step in made] == [(128, 128)] * 12
    free, held = ((steps[-1].image - image).abs().mean(dim=(0, 1, 2)) for steps in (begun, made))
    assert held[:60].mean() < 0.8 * free[:60].mean()
    assert held[70:].mean() > 0.9 * free[70:].mean()


def test_steps_are_detached_and_closing_frees_memory(network: FeatureNetwork) -> None:
    content, style = smooth(64, 64, seed=1), smooth(64, 64, seed=2)
    painting = steps(content, style, network=network)
    image = next(painting).image
    assert not image.requires_grad
    held = weakref.ref(image)
    painting.close()
    del image
    gc.collect()
    assert held() is None


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["l-bfgs", "adam"])
@pytest.mark.parametrize(
    ("after", "closed"),
    [(1, {"size": 64}), (30, {"size": 64}), (63, {})],
)
def test_finished_early_it_equals_a_run_of_as_many_steps(
    network: FeatureNetwork, optimizer: str, after: int, closed: dict[str, int]
) -> None:
    """Steps 1 to 30 are at 64 px, the rest at 128 px; a run with the size 64 has only steps at 64 px."""
    content, style = smooth(150, 150, seed=1), smooth(64, 64, seed=2)
    changed: dict[str, Any] = {"size": 128, "iterations": 66, "optimizer": optimizer}
    painting = steps(content, style, network=network, **changed)
    *_, latest = islice(painting, after)
    last = painting.send(True)
    assert not list(painting)
    assert (latest.index, last.index, last.total) == (after, 66, 66)
    changed |= {"iterations": after} | closed
    assert torch.equal(last.image, result(content, style, network=network, **changed))


def test_the_real_vgg19_comes_closer_to_the_style(models: Path) -> None:
    network = load_network("vgg19", models, torch.device("cpu"))
    content, style = smooth(48, 48, seed=1), smooth(48, 48, seed=2)
    made = result(content, style, network=network, iterations=6)
    assert style_distance(made, style, network) < style_distance(content, style, network) / 2


def test_squeezenet_s_default_layers_leave_little_colour_noise(models: Path) -> None:
    """Deeper layers leave coloured specks on faces and in the sky."""
    network, usual = load_network("squeezenet", models, torch.device("cpu")), NETWORKS["squeezenet"].defaults
    weights = LossWeights(1.0, 1.0, 1.0, usual.content, usual.style)
    content, style = sample("coffee.jpg", 192, 128), sample("starry_night.jpg", 192, 152)
    made = result(content, style, network=network, size=192, iterations=40, weights=weights)
    luma, *chroma = grain(made)
    assert sum(chroma) < 0.4 * luma


def sample(name: str, width: int, height: int) -> Tensor:
    with Image.open(SAMPLES / name) as picture:
        pixels = torchvision.transforms.functional.pil_to_tensor(
            picture.convert("RGB").resize((width, height))
        )
    return torch.as_tensor(pixels[None] / 255)


def grain(image: Tensor) -> list[float]:
    """Return the mean square of luma and both chromas (YIQ) minus their 3 × 3 local means."""
    luma_and_chromas = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    values = torch.einsum("ij,bjhw->bihw", luma_and_chromas, image)
    around = nn.functional.avg_pool2d(values, 3, stride=1, padding=1, count_include_pad=False)
    return [power.item() for power in (values - around).square().mean(dim=(0, 2, 3))]
