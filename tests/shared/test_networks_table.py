"""The table of networks: complete rows, layers in groups, and the options of the filters."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from atelier_shared.deepdream import DeepDream
from atelier_shared.networks import GROUPS, NETWORKS, PackagedWeights, network_layers, network_options
from atelier_shared.settings import Choice, settings
from atelier_shared.style_transfer import StyleTransfer
from backend.networks import torchvision_models
from backend.weights import convert
from backend.weights.sources import SOURCES

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NETWORKS)
def test_the_default_layers_are_among_the_layers_to_choose_from(name: str) -> None:
    defaults = NETWORKS[name].defaults
    layers = {layer for layer, _ in network_layers(name)}
    assert {defaults.dream, *defaults.content, *defaults.style} <= layers


@pytest.mark.parametrize("name", NETWORKS)
def test_the_groups_go_from_low_to_high_and_none_is_empty(name: str) -> None:
    assert list(dict.fromkeys(group for _, group in network_layers(name))) == list(GROUPS)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_row_names_a_builder_and_a_conversion(name: str) -> None:
    network = NETWORKS[name]
    assert callable(getattr(torchvision_models, network.architecture))
    assert callable(getattr(convert, network.weights.conversion))


def test_every_network_is_offered_by_a_filter() -> None:
    options: dict[str, str] = {}
    for request in (DeepDream, StyleTransfer):
        (network,) = (setting for setting in settings(request) if setting.name == "network")
        assert isinstance(network, Choice)
        assert network.default == next(iter(network.options))
        options |= network.options
    assert options.keys() == NETWORKS.keys()


def test_options_begin_with_the_default_and_keep_the_order_of_the_table() -> None:
    options = network_options("deepdream", default="squeezenet")
    assert list(options)[:3] == ["squeezenet", "vgg19", "vgg16"]
    assert options["squeezenet"] == "SqueezeNet 1.1"
    assert "vgg19-torchvision" not in options


def test_the_readme_names_every_package_of_weights() -> None:
    packages = {source.package for source in SOURCES.values() if isinstance(source, PackagedWeights)}
    listed = re.findall(r"\| package (\S+) (\S+) \|", README)
    assert set(listed) == {(package.name, package.version) for package in packages}
