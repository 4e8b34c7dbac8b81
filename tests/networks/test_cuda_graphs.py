"""Recorded evaluations. The processor stands in for the card: it records operators and repeats them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from atelier_shared.networks import NETWORKS
from backend.imaging.style_image import Style
from backend.networks import fast_paths
from backend.networks.cuda_graphs import WARM_UPS, recorded
from backend.networks.fast_paths import CANDIDATES, FastPath, Trial
from backend.networks.registry import _build_on
from backend.style import fine
from backend.style.fine_loss import LossWeights, StyleObjective

CPU = torch.device("cpu")
SIDE = 48


class Graph(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Like a CUDA graph: repeats the operators of a block with the same tensors in the same memory."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._calls: list[tuple[Callable[..., Any], Any, Any, list[Tensor]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        results = func(*args, **(kwargs or {}))
        self._calls.append((func, args, kwargs or {}, tensors_of(results)))
        return results

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, results in self._calls:
            for old, new in zip(results, tensors_of(func(*args, **kwargs)), strict=True):
                if old.data_ptr() != new.data_ptr():
                    old.copy_(new)


def tensors_of(values: Any) -> list[Tensor]:
    return [value for value in tree_flatten(values)[0] if isinstance(value, Tensor)]


@pytest.fixture(autouse=True)
def processor_as_card(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = SimpleNamespace(wait_stream=lambda _: None)
    stand_ins = {
        "CUDAGraph": Graph,
        "graph": lambda graph: graph,
        "Stream": lambda: stream,
        "current_stream": lambda: stream,
        "stream": lambda _: nullcontext(),
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)


def noise(seed: int) -> Tensor:
    return torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def test_a_recording_computes_the_same_for_every_image() -> None:
    calls = []

    def evaluate(image: Tensor) -> tuple[Tensor, Tensor]:
        calls.append(image)
        return image.square().sum(), 2 * image

    replay = recorded(evaluate, noise(1))
    assert len(calls) == WARM_UPS + 1
    results = [replay(noise(seed)) for seed in (2, 3)]
    for seed, (loss, gradient) in zip((2, 3), results, strict=True):
        assert torch.equal(loss, noise(seed).square().sum()) and torch.equal(gradient, 2 * noise(seed))
    assert len(calls) == WARM_UPS + 1


def test_a_recording_leaves_the_image_and_older_results_as_they_are() -> None:
    replay, image = recorded(lambda image: (image.sum(), image + 1), noise(1)), noise(2)
    _, first = replay(image)
    replay(noise(3))
    assert torch.equal(image, noise(2)) and torch.equal(first, noise(2) + 1)


def test_a_loss_that_depends_on_the_processor_s_values_shows_in_the_stand_in() -> None:
    """The stand-in is strict: what the processor reads is not read again."""
    replay = recorded(lambda image: (image.sum(), image * image.max().item()), noise(1))
    _, gradient = replay(0.5 * noise(2))
    assert torch.equal(gradient, 0.5 * noise(2) * noise(1).max())


@pytest.mark.parametrize("tile_scale", [1.0, 0.5], ids=["one tile", "tiles"])
def test_the_loss_of_fine_is_the_same_when_it_is_recorded(tile_scale: float, models: Path) -> None:
    defaults = NETWORKS["squeezenet"].defaults
    objective = StyleObjective(
        noise(1),
        [Style(noise(2))],
        network=_build_on("squeezenet", models, CPU, "max", FastPath(recorded=True)),
        visible=noise(3)[:, :1],
        strength=1.0,
        weights=LossWeights(1, 1, 1, defaults.content, defaults.style, defaults.neighbours),
        tile_scale=tile_scale,
    )
    replay = recorded(objective, noise(1))
    for seed in (4, 5):
        for ours, exact in zip(replay(noise(seed)), objective(noise(seed)), strict=True):
            torch.testing.assert_close(ours, exact)


def test_fine_paints_the_same_when_it_is_recorded(models: Path) -> None:
    defaults = NETWORKS["squeezenet"].defaults
    settings = fine.FineSettings(
        strength=1.0,
        size=SIDE,
        iterations=4,
        weights=LossWeights(1, 1, 1, defaults.content, defaults.style),
        optimizer="l-bfgs",
        noise=0.1,
        tolerance=0.0,
        seed=1,
    )
    paintings = []
    for path in (FastPath(), FastPath(recorded=True)):
        network = _build_on("squeezenet", models, CPU, "max", path)
        *_, last = fine.stylize(noise(1), [Style(noise(2))], settings, network=network, visible=None)
        paintings.append(last.image)
    torch.testing.assert_close(*paintings, rtol=0, atol=1e-3)


def test_recording_is_timed_and_compared_like_the_other_paths(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"TIMED_PX": 32, "CHECKED_PX": 64, "STEPS": 3, "ROUNDS": 1}.items():
        monkeypatch.setattr(fast_paths, name, value)
    exact, ours = (
        Trial(_build_on("squeezenet", models, CPU, "max", CANDIDATES[name]), "fire5", CPU)
        for name in ("exact", "exact, recorded")
    )
    assert ours.seconds() > 0
    assert ours.agrees_with(exact)


def test_pytorch_has_what_the_stand_in_replaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert {"wait_stream"} <= set(dir(torch.cuda.Stream))
    assert {"replay"} <= set(dir(torch.cuda.CUDAGraph))
    _, *others = inspect.signature(torch.cuda.graph.__init__).parameters.values()
    assert others[0].name == "cuda_graph"
    assert all(other.default is not inspect.Parameter.empty for other in others[1:])
