"""Objectives of a dream: activations, channels, classes and guides, compared with values computed by hand."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from backend.dream import deepdream
from backend.dream.deepdream import DreamSettings, dream
from backend.dream.objectives import DreamObjective, activation, class_logit, guide
from backend.networks.feature_network import FeatureNetwork
from backend.networks.registry import load_network

SAMPLES = Path(__file__).parents[2] / "samples"
SETTINGS = DreamSettings(
    size=160,
    octaves=1,
    octave_scale=1.4,
    to_full_size=False,
    iterations=10,
    step_size=0.02,
    jitter=8,
    smoothing="none",
    strength=1.0,
    seed=1,
)


def image_itself() -> FeatureNetwork:
    """Return a network whose only layer is the image."""
    return FeatureNetwork(nn.Identity(), nn.Sequential(OrderedDict(it=nn.Identity())), minimum_px=1)


def positions(*vectors: tuple[float, ...]) -> Tensor:
    """Return features (1, C, 1, n) with these vectors side by side."""
    return torch.tensor(vectors, dtype=torch.float).T[None, :, None]


def test_activation_is_half_the_sum_of_squares_at_every_position() -> None:
    scores = activation({"it": 1.0}).scores("it", positions((1, 2, 3), (0, -2, 0)))
    assert scores.tolist() == [[[7.0, 2.0]]]


def test_channels_outside_the_range_do_not_count() -> None:
    scores = activation({"it": 1.0}, range(1, 3)).scores("it", positions((9, 2, 3, 9)))
    assert scores.tolist() == [[[6.5]]]


def test_the_logit_of_a_class_is_its_channel() -> None:
    scores = class_logit(1).scores("classes", positions((5, -7, 1), (5, 8, 1)))
    assert scores.tolist() == [[[-7.0, 8.0]]]


@pytest.mark.parametrize(
    ("channels", "chosen"), [(range(0, 4), "0 to 3"), (range(3, 4), "3 to 3"), (range(-1, 2), "-1 to 1")]
)
def test_channels_beyond_those_of_the_layer_are_refused(channels: range, chosen: str) -> None:
    with pytest.raises(ValueError, match=f"it has the channels 0 to 2, not {chosen}"):
        activation({"it": 1.0}, channels).scores("it", positions((1, 2, 3)))


def test_the_gradient_of_a_guide_is_the_best_match() -> None:
    image = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]).T.reshape(1, 3, 1, 2).requires_grad_()
    colours = torch.tensor([[0.9, 0.1, 0.0], [0.0, 0.4, 0.6]]).T.reshape(1, 3, 1, 2)
    objective = guide(colours, {"it": 1.0}, image_itself())
    (gradient,) = torch.autograd.grad(objective.scores("it", image).sum(), image)
    torch.testing.assert_close(gradient, colours)


def test_hidden_positions_of_a_guide_are_no_matches() -> None:
    image = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]).T.reshape(1, 3, 1, 2)
    colours = torch.tensor([[0.9, 0.1, 0.0], [0.0, 0.4, 0.6]]).T.reshape(1, 3, 1, 2)
    only_first = guide(colours, {"it": 1.0}, image_itself(), torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2))
    assert only_first.scores("it", image).flatten().tolist() == pytest.approx([0.9, 0.1])
    with pytest.raises(ValueError, match="guide picture is fully transparent"):
        guide(colours, {"it": 1.0}, image_itself(), torch.zeros(1, 1, 1, 2))


@pytest.mark.parametrize("name", ["activation", "channels", "class", "guide"])
def test_the_gradient_equals_the_numerical_one(name: str) -> None:
    random = torch.Generator().manual_seed(1)
    features = torch.rand(1, 3, 4, 5, generator=random).double().requires_grad_()
    objective = {
        "activation": activation({"it": 1.0}),
        "channels": activation({"it": 1.0}, range(1, 2)),
        "class": class_logit(2),
        "guide": guide(torch.rand(1, 3, 6, 6, generator=random).double(), {"it": 1.0}, image_itself()),
    }[name]
    assert torch.autograd.gradcheck(lambda values: objective.scores("it", values), features)


# ── The real networks ────────────────────────────────────────────────────────────────────────────


def sample(name: str) -> Tensor:
    with Image.open(SAMPLES / name) as photograph:
        return torch.from_numpy(np.array(photograph)).permute(2, 0, 1)[None] / 255


@pytest.fixture(scope="module")
def inception(models: Path) -> FeatureNetwork:
    return load_network("inception-v3", models, torch.device("cpu"))


@pytest.fixture(scope="module")
def squeezenet(models: Path) -> FeatureNetwork:
    return load_network("squeezenet", models, torch.device("cpu"))


@pytest.mark.parametrize("kind", ["activation", "layers", "channels", "class", "guide"])
def test_every_objective_increases_in_both_halves_of_a_dream(squeezenet: FeatureNetwork, kind: str) -> None:
    face = sample("chelsea.jpg")[..., 60:220, 100:260]
    objective = {
        "activation": activation({"fire6": 1.0}),
        "layers": activation({"fire4": 0.5, "fire8": 1.0}),
        "channels": activation({"fire6": 1.0}, range(8, 16)),
        "class": class_logit(281),
        "guide": guide(sample("coffee.jpg"), {"fire6": 1.0}, squeezenet),
    }[kind]
    steps = dream(face, objective, SETTINGS, network=squeezenet)
    images = [face, *(step.image for step in steps)]
    for layer in objective.layers:
        start, middle, end = (
            objective.scores(layer, squeezenet.features(image, [layer])[layer]).sum()
            for image in (images[0], images[5], images[10])
        )
        assert start < middle < end


def test_the_chosen_channel_increases_most(inception: FeatureNetwork) -> None:
    grey = deepdream.noise((128, 128), 1, torch.device("cpu"))
    objective = activation({"Mixed_5d": 1.0}, range(40, 41))
    *_, last = dream(grey, objective, SETTINGS, network=inception)
    before, after = (
        inception.features(image, ["Mixed_5d"])["Mixed_5d"].mean((0, 2, 3)) for image in (grey, last.image)
    )
    assert (after - before).argmax() == 40


def test_every_class_has_a_gradient(squeezenet: FeatureNetwork) -> None:
    grey = deepdream.noise((128, 128), 0, torch.device("cpu")).requires_grad_()
    logits = squeezenet.features(grey, ["classes"])["classes"].sum(dim=(0, 2, 3))
    for name in ("bearskin", "carousel", "throne"):
        (gradient,) = torch.autograd.grad(logits[squeezenet.classes.index(name)], grey, retain_graph=True)
        assert gradient.any(), name


def test_the_network_recognises_the_class_of_a_dream(squeezenet: FeatureNetwork) -> None:
    grey = deepdream.noise((160, 160), 1, torch.device("cpu"))
    daisy = squeezenet.classes.index("daisy")
    settings = replace(SETTINGS, iterations=20, octaves=2, smoothing="laplacian")
    *_, last = dream(grey, class_logit(daisy), settings, network=squeezenet)
    before, after = (probability(squeezenet, image, daisy) for image in (grey, last.image))
    assert before < 0.1
    assert after > 0.9


def probability(network: FeatureNetwork, image: Tensor, index: int) -> float:
    logits = network.features(image, ["classes"])["classes"].mean((2, 3))
    return logits.softmax(dim=1)[0, index].item()


def test_the_error_for_a_missing_layer_or_channel_lists_the_existing_ones(
    squeezenet: FeatureNetwork,
) -> None:
    face = sample("chelsea.jpg")[..., 60:220, 100:260]

    def begin(objective: DreamObjective) -> None:
        next(dream(face, objective, SETTINGS, network=squeezenet))

    with pytest.raises(ValueError, match=r"fire66.*fire6"):
        begin(activation({"fire66": 1.0}))
    with pytest.raises(ValueError, match="fire6 has the channels 0 to 383, not 384 to 384"):
        begin(activation({"fire6": 1.0}, range(384, 385)))
    with pytest.raises(ValueError, match="classes has the channels 0 to 999, not 1000 to 1000"):
        begin(class_logit(1000))
