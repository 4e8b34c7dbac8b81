"""Every algorithm on an accelerator: known kernels, no mixed devices, no float64, few synchronisations."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerator import DEVICE, Accelerator, MixedDevices, is_composite

from atelier_shared.deepdream import DeepDream
from atelier_shared.messages import Picture, Region, Result, Submit
from atelier_shared.networks import NETWORKS, OfficialWeights
from atelier_shared.request import PaintingRequest
from atelier_shared.settings import Choice, settings
from atelier_shared.style_transfer import StyleTransfer
from atelier_shared.visualise import Visualise
from backend.compat import devices
from backend.compat.torchvision_import import torchvision
from backend.imaging.style_image import Style
from backend.jobs import dispatch, loaded_networks, run
from backend.jobs.algorithm import Pictures
from backend.jobs.filters import fine
from backend.networks import fast_paths
from backend.networks.tile_moments import mean_and_variance
from backend.style.fine_loss import StyleObjective
from backend.weights import convert, store

ROOT = Path(__file__).parents[2]
KERNELS = {
    table.stem: table.read_text().splitlines() for table in (Path(__file__).parent / "kernels").iterdir()
}
WIDTH, HEIGHT = 112, 96
FINE = StyleTransfer(size=64, iterations=3)
AS_LARGE = replace(FINE, size=WIDTH)
"""Painted at the content's own size, so that no strokes are added to an enlargement."""
DREAM = DeepDream(size=WIDTH, octaves=2, iterations=2, network="squeezenet")
CHANNELS = Visualise(size=64, iterations=2, network="squeezenet", units="channels", channels="1-2")


def every(request: PaintingRequest, *names: str) -> Iterator[PaintingRequest]:
    """Yield `request`, then each other choice of the settings called `names`, one changed at a time."""
    yield request
    for setting in settings(type(request)):
        if setting.name in names:
            assert isinstance(setting, Choice)
            others = (option for option in setting.options if option != getattr(request, setting.name))
            yield from (replace(request, **{setting.name: option}) for option in others)


REQUESTS = [
    *every(AS_LARGE, "method", "objective", "network", "optimizer", "pooling", "start", "colours"),
    *every(replace(AS_LARGE, method="fast"), "objective", "colours"),
    *every(DREAM, "network", "smoothing", "start", "colours"),
    *(replace(FINE, method=method) for method in ("fine", "fast", "gallery", "light")),
    *(replace(FINE, method=method, size=200) for method in ("fine", "fast", "gallery", "light")),
    replace(DREAM, objective="class", imagenet_class="tench"),
    replace(DREAM, objective="guide"),
    replace(DREAM, zoom=1.5),
    *every(CHANNELS, "network"),
    replace(CHANNELS, units="classes", classes="tench, banana"),
]


def named(request: PaintingRequest) -> str:
    """Name the filter of a request and the settings that differ from their defaults."""
    usual = type(request)()
    parts = [
        f"{setting.name}={getattr(request, setting.name)}"
        for setting in settings(type(request))
        if getattr(request, setting.name) != getattr(usual, setting.name)
    ]
    return "-".join([request.name, *parts])


def official_weights(name: str) -> convert.Tensors:
    """Return the weights of one of torchvision's networks, without values."""
    weights = NETWORKS[name].weights
    assert isinstance(weights, OfficialWeights)
    model = weights.checkpoint.partition("_Weights")[0].lower()
    with DEVICE, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # about initial weights
        checkpoint = torchvision.models.get_model(model, weights=None)
    return dict(getattr(convert, weights.conversion)(checkpoint.state_dict()))


@pytest.fixture(scope="module", autouse=True)
def networks() -> Iterator[None]:
    """Give the networks that are not installed weights without values; forget all networks at the end."""
    load = store.load

    def load_or_make(name: str, models: Path) -> convert.Tensors:
        is_official = name in NETWORKS and isinstance(NETWORKS[name].weights, OfficialWeights)
        return official_weights(name) if is_official else load(name, models)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "load", load_or_make)
        yield
    loaded_networks.forget()


@pytest.fixture
def accelerator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Accelerator]:
    """An accelerator on which jobs run."""
    monkeypatch.setattr(devices, "choose", lambda _: DEVICE)
    with Accelerator() as accelerator:
        yield accelerator


def grey(width: int, height: int, channels: str) -> Picture:
    values = bytes([128] * len(channels))
    return Picture(width, height, channels, "u8", values * (width * height))


def run_to_the_end(request: PaintingRequest, models: Path) -> Result:
    """Run a job with a transparent style and content on the accelerator."""
    content, style = grey(WIDTH, HEIGHT, "RGBA"), grey(80, 64, "RGBA")
    *_, last = run.run(Submit(1, request, content, Region(8, 8, 90, 80), (style,)), models)
    assert isinstance(last, Result)
    return last


@pytest.mark.parametrize("request_", REQUESTS, ids=named)
def test_every_operator_has_a_kernel_on_every_accelerator(
    request_: PaintingRequest, accelerator: Accelerator, models: Path
) -> None:
    made = run_to_the_end(request_, models)
    assert not made.note, "the processor made the picture"
    assert len(accelerator.operators) > 20
    own = {operator for operator in accelerator.operators if not is_composite(operator)}
    assert {device: own.difference(kernels) for device, kernels in KERNELS.items()} == {
        "mps": set(),
        "cuda": set(),
    }
    assert not accelerator.types & {torch.float64, torch.complex128}, "MPS has no such types"


@pytest.mark.parametrize("name", ["channels-last", "tf32"])
def test_a_fast_path_has_kernels_on_every_accelerator(
    name: str, accelerator: Accelerator, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third one, bfloat16, has no meaning on an accelerator without values."""
    loaded_networks.forget()
    monkeypatch.setattr(fast_paths, "choose", lambda *_: fast_paths.CANDIDATES[name])
    run_to_the_end(FINE, models)
    loaded_networks.forget()
    own = {operator for operator in accelerator.operators if not is_composite(operator)}
    assert all(own <= set(kernels) for kernels in KERNELS.values())


def test_the_tables_of_kernels_are_those_of_the_installed_pytorch() -> None:
    (pinned,) = [
        line for line in (ROOT / "requirements.txt").read_text().splitlines() if line.startswith("torch==")
    ]
    for device, kernels in KERNELS.items():
        assert f"{pinned.replace('==', ' ')}, {device.upper()}:" in kernels[0], (
            "make_kernel_tables.py makes them"
        )
        assert {"aten::add.Tensor", "aten::mm", "aten::max_pool2d_with_indices"} <= set(kernels)
    assert "aten::batch_norm_update_stats" not in KERNELS["mps"]


def test_a_mixture_of_devices_is_an_error(accelerator: Accelerator) -> None:
    here, there = torch.ones(3, device=DEVICE), torch.ones(3)
    with pytest.raises(MixedDevices):
        here + there
    assert (here + there.to(DEVICE)).device == DEVICE
    assert accelerator.uploads == 1


def synchronisations(request: PaintingRequest, models: Path, accelerator: Accelerator) -> list[int]:
    """Count the synchronisations of every step of an algorithm, with a transparent style and content."""
    styles = [Style(torch.rand(1, 3, 64, 80, device=DEVICE), visible=torch.rand(1, 1, 64, 80, device=DEVICE))]
    content, visible = (torch.rand(1, channels, HEIGHT, WIDTH, device=DEVICE) for channels in (3, 1))
    counts, before = [], accelerator.synchronisations
    for _ in dispatch.steps(request, Pictures(content, visible, styles), models):
        counts.append(accelerator.synchronisations - before)
        before = accelerator.synchronisations
    return counts


@pytest.mark.parametrize(
    "request_",
    [
        replace(FINE, iterations=6),
        replace(FINE, iterations=6, optimizer="adam"),
        DREAM,
        replace(DREAM, objective="guide"),
        CHANNELS,
    ],
    ids=named,
)
def test_the_processor_waits_at_most_once_a_step(
    request_: PaintingRequest, accelerator: Accelerator, models: Path
) -> None:
    """The first steps prepare the styles and the targets, once for each size."""
    prepared = 4 if isinstance(request_, StyleTransfer) else 1
    counts = synchronisations(request_, models, accelerator)
    assert len(counts) >= prepared + 1
    assert max(counts[prepared:]) <= 1, counts


@pytest.mark.parametrize("tile_scale", [1.0, 0.5], ids=["one tile", "tiles"])
def test_an_evaluation_of_the_loss_can_be_recorded(
    tile_scale: float, accelerator: Accelerator, models: Path
) -> None:
    """A CUDA graph may neither wait for the card nor copy values to it."""
    content, visible = (torch.rand(1, channels, HEIGHT, WIDTH, device=DEVICE) for channels in (3, 1))
    objective = StyleObjective(
        content,
        [Style(content.flip(-1), visible=visible)],
        network=loaded_networks.feature_network("vgg19", models, DEVICE, pooling="max"),
        visible=visible,
        strength=1.0,
        weights=fine.loss_weights(FINE),
        tile_scale=tile_scale,
    )
    before = accelerator.synchronisations, accelerator.uploads
    objective(content)
    assert (accelerator.synchronisations, accelerator.uploads) == before


@pytest.mark.parametrize("method", ["fast", "gallery", "light"])
def test_a_method_of_one_pass_waits_only_to_prepare(
    method: str, accelerator: Accelerator, models: Path
) -> None:
    counts = synchronisations(replace(FINE, method=method), models, accelerator)
    assert max(counts[1:]) <= 1, counts


def test_mean_and_variance_are_the_same_on_the_processor_and_elsewhere() -> None:
    features = torch.randn(1, 5, 40, 30, generator=torch.Generator().manual_seed(1)).mul_(3).add_(7)
    variance, mean = torch.var_mean(features, dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(mean_and_variance(features), (mean, variance))
    with Accelerator():
        shapes = [values.shape for values in mean_and_variance(features.to(DEVICE))]
    assert shapes == [(5,), (5,)]
