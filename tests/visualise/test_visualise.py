"""Visualisations: of a network whose features are known, and of real ones, judged by another network."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from atelier_shared.contact_sheet import contact_sheet
from atelier_shared.imagenet_classes import class_index
from atelier_shared.visualise import Visualise
from backend.imaging.resize import resize
from backend.networks.feature_network import FeatureNetwork
from backend.networks.registry import load_network
from backend.networks.torchvision_models import CLASSES
from backend.visualise.visualise import Units, VisualisationSettings, optimise, visualise

CPU = torch.device("cpu")
SETTINGS = VisualisationSettings(
    iterations=20, step_size=0.25, robustness=1.0, decay=1.0, saturation=1.0, vignette=False, seed=1
)
COLOURS_THEMSELVES = FeatureNetwork(
    nn.Identity(), nn.Sequential(OrderedDict(colours=nn.Identity())), minimum_px=1
)


def units(*channels: int) -> Units:
    return Units(COLOURS_THEMSELVES, "colours", channels)


def last(images: Iterator[Tensor]) -> Tensor:
    *_, image = images
    return image


def test_a_response_is_the_mean_of_a_channel() -> None:
    images = torch.rand(3, 3, 4, 5)
    expected = torch.stack([images[0, 2].mean(), images[1, 0].mean(), images[2, 2].mean()])
    torch.testing.assert_close(units(2, 0, 2).responses(images), expected)


@pytest.mark.parametrize("channel", range(3))
def test_the_picture_of_a_colour_has_this_colour(channel: int) -> None:
    (image,) = last(optimise(units(channel), (24, 32), SETTINGS, CPU))
    means = image.mean(dim=(1, 2))
    assert means.argmax() == channel and means[channel] > 0.55


def test_the_response_grows_from_step_to_step() -> None:
    steps = list(optimise(units(0), (16, 16), replace(SETTINGS, robustness=0.0), CPU))
    responses = [image[0, 0].mean().item() for image in steps]
    assert len(steps) == SETTINGS.iterations
    assert responses == sorted(responses) and responses[-1] > responses[0] + 0.08


def test_the_first_step_of_adam_has_the_step_size() -> None:
    # Adam's first step is its rate times the sign of the gradient. Red rises with every channel but not
    # alike, and the mean depends on frequency 0 alone: its real part grows by exactly the step size.
    settings = replace(SETTINGS, iterations=1, robustness=0.0, saturation=0.0)
    image = last(optimise(units(0), (1, 1), settings, CPU))
    start = torch.randn(1, 3, 1, 1, 2, generator=torch.Generator().manual_seed(1)) * 0.05
    coefficient = start[0, 0, 0, 0, 0] * (1 - 0.25 * 0.08) + 0.25
    brightness = torch.logit(image[0, 0, 0, 0]) / (0.26 / (0.26**2 + 2 * 0.27**2) ** 0.5)
    assert brightness.item() == pytest.approx(coefficient.item(), abs=1e-4)


def test_a_picture_does_not_depend_on_the_others_of_its_sheet() -> None:
    alone = last(optimise(units(1), (12, 16), SETTINGS, CPU))
    together = last(optimise(units(0, 1, 2), (12, 16), SETTINGS, CPU))
    torch.testing.assert_close(together[1:2], alone, rtol=0, atol=1e-4)


def sheet_of(tile_scale: float) -> list[Tensor]:
    layout = contact_sheet(3, (20, 63), 64)
    steps = visualise(units(0, 1, 2), layout, SETTINGS, size=(20, 63), device=CPU, tile_scale=tile_scale)
    return [step.image for step in steps]


def test_short_memory_changes_the_number_of_steps_but_not_the_sheet() -> None:
    usual, one_by_one = sheet_of(1.0), sheet_of(1e-9)
    assert (len(usual), len(one_by_one)) == (20, 60)
    torch.testing.assert_close(one_by_one[-1], usual[-1], rtol=0, atol=1e-4)


def test_a_sheet_has_its_pictures_side_by_side() -> None:
    sheet = sheet_of(1.0)[-1]
    assert sheet.shape == (1, 3, 20, 63)
    for number in range(3):
        inside = sheet[0, :, :, 21 * number + 3 : 21 * number + 18]
        assert inside.mean(dim=(1, 2)).argmax() == number


def test_finishing_early_keeps_the_sheet_as_it_is() -> None:
    layout = contact_sheet(3, (30, 90), 64)
    steps = visualise(units(0, 1, 2), layout, SETTINGS, size=(30, 90), device=CPU, tile_scale=1e-9)
    first = next(steps)
    finished = steps.send(True)
    assert (first.index, finished.index, finished.total) == (1, 60, 60)
    assert (finished.image[..., 35:] == 0.5).all(), "the second and third picture were not begun"
    torch.testing.assert_close(finished.image, resize(first.image, (30, 90)).clamp(0, 1))
    assert list(steps) == []


def test_steps_are_counted_over_all_pictures() -> None:
    layout = contact_sheet(2, (16, 32), 64)
    settings = replace(SETTINGS, iterations=3)
    steps = list(visualise(units(0, 1), layout, settings, size=(16, 32), device=CPU, tile_scale=1e-9))
    assert [(step.index, step.total) for step in steps] == [(i, 6) for i in range(1, 7)]


# ── Real networks ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("network", "layer"), [("squeezenet", "fire3"), ("inception-v3", "Mixed_5b")])
def test_a_channel_responds_more_to_its_own_picture_than_to_others(
    models: Path, network: str, layer: str
) -> None:
    shown = Units(load_network(network, models, CPU), layer, (3, 11, 40))
    made = last(optimise(shown, (64, 64), SETTINGS, CPU))
    features = shown.network.features(made, [layer])[layer].mean(dim=(2, 3))  # (3, C)
    for own, other in itertools.permutations(range(3), 2):
        channel = shown.channels[own]
        assert features[own, channel] > 1.2 * features[other, channel].clamp_min(0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["starfish", "screw"])
def test_another_network_recognises_the_picture_of_a_class(models: Path, name: str) -> None:
    """The picture is made with EfficientNet-Lite0 alone; SqueezeNet, of another kind, classifies it."""
    request = Visualise()
    settings = VisualisationSettings(
        64, request.step_size, request.robustness, request.smoothness, request.saturation, True, seed=0
    )
    index = class_index(name)
    shown = Units(load_network("efficientnet-lite0", models, CPU), CLASSES, [index])
    picture = last(optimise(shown, (224, 224), settings, CPU))
    judge = load_network("squeezenet", models, CPU)
    logits = judge.features(picture, [CLASSES])[CLASSES].mean(dim=(2, 3))[0]
    assert int((logits > logits[index]).sum()) < 10, "of a thousand"
