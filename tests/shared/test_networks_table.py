"""The layers that are offered are those that the networks have, in the order of depth."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from atelier_shared.deepdream import DeepDream
from atelier_shared.networks import GROUPS, LAYERS
from atelier_shared.settings import Choice, settings
from atelier_shared.style_transfer import StyleTransfer
from backend.compat.torchvision_import import torchvision
from backend.networks import feature_network, registry

UNTRAINED = {"googlenet": "googlenet", "resnet50": "resnet50", "inception-v3-torchvision": "inception_v3"}
LIKE = {"vgg19-torchvision": "vgg19", "vgg16-torchvision": "vgg16"}
"""Networks of the same definition and other values, which here have the same ones."""


def network_called(name: str, models: Path) -> feature_network.FeatureNetwork:
    """The network with its weights, or, where those are only had on request, with none that mean anything."""
    if name in LIKE:
        return registry.NETWORKS[name](network_called(LIKE[name], models).body.state_dict())
    if name not in UNTRAINED:
        return registry.load_network(name, models, torch.device("cpu"))
    options = {} if name == "resnet50" else {"aux_logits": False, "init_weights": False}
    definition = torchvision.models.get_model(UNTRAINED[name], weights=None, **options)
    return registry.NETWORKS[name](definition.state_dict())


@pytest.mark.parametrize("name", LAYERS)
def test_a_network_has_the_layers_that_are_offered_in_their_order(name: str, models: Path) -> None:
    offered = [layer for layer, _ in LAYERS[name]]
    network = network_called(name, models)
    assert offered == [layer for layer in network.layers if layer in offered]
    usual = registry.DEFAULTS[name]
    assert {usual.dream, *usual.content, *usual.style} <= set(offered)


def test_the_groups_go_from_low_to_high_and_none_is_empty() -> None:
    for layers in LAYERS.values():
        assert list(dict.fromkeys(group for _, group in layers)) == list(GROUPS)


def test_every_network_that_can_be_chosen_has_its_layers() -> None:
    declared = [*settings(DeepDream), *settings(StyleTransfer)]
    networks_ = [s.options for s in declared if isinstance(s, Choice) and s.name == "network"]
    assert LAYERS.keys() == set().union(*networks_)
