"""The side of tiles by the free memory of a graphics card."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from backend.compat import devices
from backend.networks.feature_network import FeatureNetwork
from backend.networks.registry import load_network
from backend.networks.tile_size import BYTES_PER_SAVED_BYTE, LEAST_PX, saved_bytes_per_pixel, tile_px

BODY = OrderedDict(conv=nn.Conv2d(3, 8, 1), pool=nn.MaxPool2d(2), last=nn.Conv2d(8, 4, 1))
SAVED = 3 * 4 + 8 * 4 + (8 * 8 + 8 * 4) / 4
"""Bytes per pixel: the input of the convolution and of the pool; a quarter of the pool's indices, and of the
input of the last convolution."""
LAYERS = ["last"]
PICTURE = torch.zeros(1, 3, 600, 800)
GIB = 1 << 30


@pytest.fixture
def network() -> FeatureNetwork:
    return FeatureNetwork(nn.Identity(), nn.Sequential(BODY), minimum_px=4)


def side_with(free: float | None, network: FeatureNetwork, patch: pytest.MonkeyPatch, image: Tensor) -> int:
    patch.setattr(devices, "free_bytes", lambda _: free)
    return tile_px(network, LAYERS, image, 512)


def test_the_memory_for_a_gradient_is_that_of_the_saved_features(network: FeatureNetwork) -> None:
    assert saved_bytes_per_pixel(network, LAYERS, PICTURE) == SAVED


def test_the_side_is_the_usual_one_where_the_free_memory_is_unknown(
    network: FeatureNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert side_with(None, network, monkeypatch, PICTURE) == 512


def test_a_picture_that_fits_is_one_tile_and_less_memory_makes_smaller_ones(
    network: FeatureNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = 2 * BYTES_PER_SAVED_BYTE * SAVED * 600 * 800
    assert side_with(1.01 * needed, network, monkeypatch, PICTURE) == 800
    assert side_with(0.99 * needed, network, monkeypatch, PICTURE) == 689  # a square with as many pixels
    assert side_with(0.25 * needed, network, monkeypatch, PICTURE) == 346
    assert side_with(0, network, monkeypatch, PICTURE) == LEAST_PX


@pytest.mark.slow
def test_a_tile_and_its_halo_stay_within_six_gibibytes(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = load_network("vgg19", models, torch.device("cpu"))
    layers = ["relu1_1", "relu5_1"]
    monkeypatch.setattr(devices, "free_bytes", lambda _: 140 * GIB)
    poster = torch.zeros(1, 1, 1, 1).expand(1, 3, 4000, 6000)
    side = tile_px(network, layers, poster, 512) + 2 * network.halo_px(layers)
    needed = side**2 * BYTES_PER_SAVED_BYTE * saved_bytes_per_pixel(network, layers, poster)
    assert 0.99 * 6 * GIB < needed <= 6 * GIB
