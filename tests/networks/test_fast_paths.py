"""The fast paths of a graphics card: chosen by time, refused if they are inexact. The processor stands in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from atelier_shared.home import KERNELS_FILE
from backend.compat import devices
from backend.networks import fast_paths
from backend.networks.fast_paths import ARITHMETICS, CANDIDATES, EXACT, FastPath, Trial
from backend.networks.feature_network import FeatureNetwork
from backend.networks.registry import _build_on
from backend.networks.tiled_features import TiledFeatures

CPU = torch.device("cpu")
LAYER = "fire5"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pictures and few steps."""
    for name, value in {"TIMED_PX": 32, "CHECKED_PX": 64, "STEPS": 3, "ROUNDS": 1, "WARM_UPS": 0}.items():
        monkeypatch.setattr(fast_paths, name, value)


@pytest.fixture
def build(models: Path) -> fast_paths.Build:
    return lambda path: _build_on("squeezenet", models, CPU, "max", path)


def take(monkeypatch: pytest.MonkeyPatch, **seconds: float) -> None:
    """Have the candidates with these names take these times, and all others a second."""
    times = {CANDIDATES[name.replace("_", "-")]: value for name, value in seconds.items()}
    monkeypatch.setattr(Trial, "seconds", lambda trial: times.get(trial._network.path, 1.0))


def test_the_fastest_path_that_agrees_is_chosen(
    build: fast_paths.Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(monkeypatch, channels_last=0.5, tf32=0.4)  # without an effect on the processor, so both agree
    assert fast_paths.fastest(LAYER, build, CPU) == "tf32"
    take(monkeypatch, channels_last=0.97)
    assert fast_paths.fastest(LAYER, build, CPU) == "exact"


def test_an_inexact_path_is_not_chosen_however_fast(
    build: fast_paths.Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(path: FastPath) -> FeatureNetwork:
        network = build(path)
        if path.tf32:
            weight = next(network.body.parameters())
            noise = torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
            weight.data *= 1 + 0.1 * noise
        return network

    take(monkeypatch, tf32=0.1, channels_last=0.8, bfloat16=0.05)
    assert fast_paths.fastest(LAYER, damaged, CPU) == "channels-last"


def test_a_path_that_the_card_refuses_is_left_out(
    build: fast_paths.Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(path: FastPath) -> FeatureNetwork:
        if path.tf32:
            raise RuntimeError("CUDA error: no kernel image is available")
        return build(path)

    take(monkeypatch, tf32=0.1, channels_last=0.8, bfloat16=0.1)
    assert fast_paths.fastest(LAYER, refusing, CPU) == "channels-last"


def test_only_a_cuda_card_records(build: fast_paths.Build, monkeypatch: pytest.MonkeyPatch) -> None:
    built = list[FastPath]()

    def watched(path: FastPath) -> FeatureNetwork:
        built.append(path)
        return build(path)

    monkeypatch.setattr(Trial, "seconds", lambda _: 1.0)
    monkeypatch.setattr(Trial, "agrees_with", lambda *_: True)
    fast_paths.fastest(LAYER, watched, torch.device("mps"))
    assert len(built) == len(ARITHMETICS) and not any(path.recorded for path in built)
    fast_paths.fastest(LAYER, watched, torch.device("cuda"))
    assert set(built) == set(CANDIDATES.values())


def test_trials_that_end_the_process_are_repeated_once(
    build: fast_paths.Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crashing(*_: object) -> str:
        raise SystemExit

    file, cuda = tmp_path / KERNELS_FILE, torch.device("cuda")
    monkeypatch.setattr(devices, "identity", lambda _: "cuda A card, 13.0, torch 2")
    monkeypatch.setattr(fast_paths, "fastest", crashing)
    for _ in range(2):
        with pytest.raises(SystemExit):
            fast_paths.choose("squeezenet", LAYER, build, cuda, file)
    assert fast_paths.choose("squeezenet", LAYER, build, cuda, file) == EXACT


def test_time_and_agreement_are_measured_with_the_real_network(build: fast_paths.Build) -> None:
    exact = Trial(build(EXACT), LAYER, CPU)
    assert exact.seconds() > 0
    assert exact.agrees_with(exact)
    assert Trial(build(FastPath(channels_last=True)), LAYER, CPU).agrees_with(exact)


def test_features_and_gradients_in_bfloat16_have_the_type_of_the_image(build: fast_paths.Build) -> None:
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    gradients = []
    for path in (EXACT, FastPath(bfloat16=True)):
        (tile,) = TiledFeatures(build(path), [LAYER], 64).compute(image, differentiable=True)
        gradient = torch.zeros_like(image)
        tile.add_gradient({LAYER: tile.pieces[LAYER].features}, gradient)
        assert tile.pieces[LAYER].features.dtype == torch.float32
        gradients.append(gradient)
    error = (gradients[1] - gradients[0]).norm() / gradients[0].norm()
    assert 1e-4 < error < 0.5


def test_the_choice_is_kept_for_each_device_and_network(
    build: fast_paths.Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, asked = tmp_path / KERNELS_FILE, []

    def fastest(*_arguments: object) -> str:
        asked.append(_arguments)
        return "tf32"

    monkeypatch.setattr(fast_paths, "fastest", fastest)
    monkeypatch.setattr(devices, "identity", lambda _: "cuda A card, 13.0, torch 2")
    cuda = torch.device("cuda")
    for name in ("squeezenet", "squeezenet", "vgg19"):
        assert fast_paths.choose(name, LAYER, build, cuda, file) == CANDIDATES["tf32"]
    assert len(asked) == 2
    assert set(json.loads(file.read_text()).values()) == {"tf32"}
    monkeypatch.setenv(fast_paths.EXACT_VARIABLE, "1")
    assert fast_paths.choose("squeezenet", LAYER, build, cuda, file) == EXACT
    assert fast_paths.choose("vgg16", LAYER, build, torch.device("meta"), file) == EXACT
    assert len(asked) == 2


def test_no_path_changes_the_arithmetic_after_it() -> None:
    devices.choose("cpu")
    for path in CANDIDATES.values():
        with path.arithmetic(CPU):
            assert torch.backends.cudnn.allow_tf32 == path.tf32
            assert torch.is_autocast_enabled("cpu") == path.bfloat16
        assert not torch.backends.cudnn.allow_tf32 and not torch.is_autocast_enabled("cpu")
