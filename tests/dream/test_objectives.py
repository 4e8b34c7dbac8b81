"""What is dreamt of: activations, channels, classes and guides, each against values worked out by hand."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from backend.dream import deepdream, objectives
from backend.dream.deepdream import dream
from backend.dream.objectives import activation, best_matches, class_logit, guide
from backend.networks.registry import Network, load_network

SAMPLES = Path(__file__).parents[2] / "samples"
SETTINGS: dict[str, Any] = {
    "strength": 1.0,
    "iterations": 10,
    "step_size": 0.02,
    "octaves": 1,
    "octave_scale": 1.4,
    "jitter": 8,
    "size": 160,
    "seed": 1,
}


def itself() -> Network:
    """A network whose one layer is the image."""
    return Network(nn.Identity(), nn.Sequential(OrderedDict(it=nn.Identity())), minimum_px=1)


def positions(*vectors: tuple[float, ...]) -> Tensor:
    """Features (1, C, 1, n) with these vectors beside each other."""
    return torch.tensor(vectors, dtype=torch.float).T[None, :, None]


def test_activation_is_half_the_sum_of_squares_at_every_position() -> None:
    excitement = activation({"it": 1.0}).excitement("it", positions((1, 2, 3), (0, -2, 0)))
    assert excitement.tolist() == [[[7.0, 2.0]]]


def test_channels_outside_the_range_do_not_count() -> None:
    excitement = activation({"it": 1.0}, range(1, 3)).excitement("it", positions((9, 2, 3, 9)))
    assert excitement.tolist() == [[[6.5]]]


def test_the_logit_of_a_class_is_its_channel() -> None:
    excitement = class_logit(1).excitement("classes", positions((5, -7, 1), (5, 8, 1)))
    assert excitement.tolist() == [[[-7.0, 8.0]]]


@pytest.mark.parametrize(
    ("channels", "wanted"), [(range(0, 4), "0 to 3"), (range(3, 4), "3 to 3"), (range(-1, 2), "-1 to 1")]
)
def test_channels_that_a_layer_does_not_have_are_refused(channels: range, wanted: str) -> None:
    with pytest.raises(ValueError, match=f"it has the channels 0 to 2, not {wanted}"):
        activation({"it": 1.0}, channels).excitement("it", positions((1, 2, 3)))


def test_every_position_is_matched_with_the_largest_dot_product() -> None:
    features = positions((1, 0), (0, 1), (1, 1))
    guides = torch.tensor([[2.0, 0.0, 1.5], [0.0, 3.0, 1.6]])  # columns (2, 0), (0, 3), (1.5, 1.6)
    matches = best_matches(features, guides)
    torch.testing.assert_close(matches, positions((2, 0), (0, 3), (1.5, 1.6)))


def test_matching_in_parts_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    random = torch.Generator().manual_seed(1)
    features, guides = torch.rand(1, 5, 6, 7, generator=random), torch.rand(5, 9, generator=random)
    at_once = best_matches(features, guides)
    monkeypatch.setattr(objectives, "MATCHES", 9 * 4)
    assert best_matches(features, guides).equal(at_once)


def test_a_guide_draws_every_position_towards_its_match() -> None:
    image = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]).T.reshape(1, 3, 1, 2).requires_grad_()
    colours = torch.tensor([[0.9, 0.1, 0.0], [0.0, 0.4, 0.6]]).T.reshape(1, 3, 1, 2)
    objective = guide(colours, {"it": 1.0}, itself())
    (gradient,) = torch.autograd.grad(objective.excitement("it", image).sum(), image)
    torch.testing.assert_close(gradient, colours)


def test_what_is_hidden_of_a_guide_has_nothing_to_offer() -> None:
    image = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]).T.reshape(1, 3, 1, 2)
    colours = torch.tensor([[0.9, 0.1, 0.0], [0.0, 0.4, 0.6]]).T.reshape(1, 3, 1, 2)
    only_first = guide(colours, {"it": 1.0}, itself(), torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2))
    assert only_first.excitement("it", image).flatten().tolist() == pytest.approx([0.9, 0.1])
    with pytest.raises(ValueError, match="Nothing of the guide picture is visible"):
        guide(colours, {"it": 1.0}, itself(), torch.zeros(1, 1, 1, 2))


@pytest.mark.parametrize("name", ["activation", "channels", "class", "guide"])
def test_the_gradient_is_the_derivative(name: str) -> None:
    random = torch.Generator().manual_seed(1)
    features = torch.rand(1, 3, 4, 5, generator=random).double().requires_grad_()
    objective = {
        "activation": activation({"it": 1.0}),
        "channels": activation({"it": 1.0}, range(1, 2)),
        "class": class_logit(2),
        "guide": guide(torch.rand(1, 3, 6, 6, generator=random).double(), {"it": 1.0}, itself()),
    }[name]
    assert torch.autograd.gradcheck(lambda values: objective.excitement("it", values), features)


# ── The real networks ────────────────────────────────────────────────────────────────────────────


def sample(name: str) -> Tensor:
    with Image.open(SAMPLES / name) as photograph:
        return torch.from_numpy(np.array(photograph)).permute(2, 0, 1)[None] / 255


@pytest.fixture(scope="module")
def inception(models: Path) -> Network:
    return load_network("inception-v3", models, torch.device("cpu"))


@pytest.fixture(scope="module")
def squeezenet(models: Path) -> Network:
    return load_network("squeezenet", models, torch.device("cpu"))


@pytest.mark.parametrize("kind", ["activation", "layers", "channels", "class", "guide"])
def test_each_objective_rises_in_every_half_of_a_dream(squeezenet: Network, kind: str) -> None:
    face = sample("chelsea.jpg")[..., 60:220, 100:260]
    objective = {
        "activation": activation({"fire6": 1.0}),
        "layers": activation({"fire4": 0.5, "fire8": 1.0}),
        "channels": activation({"fire6": 1.0}, range(8, 16)),
        "class": class_logit(281),
        "guide": guide(sample("coffee.jpg"), {"fire6": 1.0}, squeezenet),
    }[kind]
    steps = dream(face, network=squeezenet, objective=objective, **SETTINGS)
    images = [face, *(step.image for step in steps)]
    for layer in objective.layers:
        start, middle, end = (
            objective.excitement(layer, squeezenet.features(image, [layer])[layer]).sum()
            for image in (images[0], images[5], images[10])
        )
        assert start < middle < end


def test_a_channel_rises_more_than_the_others(inception: Network) -> None:
    grey = deepdream.noise((128, 128), 1, torch.device("cpu"))
    objective = activation({"Mixed_5d": 1.0}, range(40, 41))
    *_, last = dream(grey, network=inception, objective=objective, **SETTINGS)
    before, after = (
        inception.features(image, ["Mixed_5d"])["Mixed_5d"].mean((0, 2, 3)) for image in (grey, last.image)
    )
    assert (after - before).argmax() == 40


def test_every_class_has_a_way_up(squeezenet: Network) -> None:
    grey = deepdream.noise((128, 128), 0, torch.device("cpu")).requires_grad_()
    logits = squeezenet.features(grey, ["classes"])["classes"].sum(dim=(0, 2, 3))
    for name in ("bearskin", "carousel", "throne"):
        (gradient,) = torch.autograd.grad(logits[squeezenet.classes.index(name)], grey, retain_graph=True)
        assert gradient.any(), name


def test_a_class_becomes_what_the_network_is_sure_to_see(squeezenet: Network) -> None:
    grey = deepdream.noise((160, 160), 1, torch.device("cpu"))
    daisy = squeezenet.classes.index("daisy")
    changed = {"iterations": 20, "octaves": 2, "smoothing": "laplacian"}
    *_, last = dream(grey, network=squeezenet, objective=class_logit(daisy), **SETTINGS | changed)
    before, after = (probability(squeezenet, image, daisy) for image in (grey, last.image))
    assert before < 0.1
    assert after > 0.9


def probability(network: Network, image: Tensor, index: int) -> float:
    logits = network.features(image, ["classes"])["classes"].mean((2, 3))
    return logits.softmax(dim=1)[0, index].item()


def test_layers_and_channels_that_do_not_exist_are_named_with_those_that_do(squeezenet: Network) -> None:
    face = sample("chelsea.jpg")[..., 60:220, 100:260]

    def begin(objective: objectives.Objective) -> None:
        next(dream(face, network=squeezenet, objective=objective, **SETTINGS))

    with pytest.raises(ValueError, match=r"fire66.*fire6"):
        begin(activation({"fire66": 1.0}))
    with pytest.raises(ValueError, match="fire6 has the channels 0 to 383, not 384 to 384"):
        begin(activation({"fire6": 1.0}, range(384, 385)))
    with pytest.raises(ValueError, match="classes has the channels 0 to 999, not 1000 to 1000"):
        begin(class_logit(1000))
