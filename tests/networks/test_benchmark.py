"""The benchmark of the two convolutions: the faster one is chosen, and the choice is saved."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from atelier_shared.home import KERNELS_FILE
from backend.networks.cpu import benchmark, winograd
from backend.networks.cpu.benchmark import Measurement, winograd_is_faster


@pytest.fixture
def results_file(tmp_path: Path) -> Path:
    return tmp_path / KERNELS_FILE


@pytest.mark.parametrize(("torch_s", "winograd_s"), [(0.02, 0.0), (0.0, 0.02)])
def test_the_faster_kernel_is_chosen_and_the_choice_is_saved(
    results_file: Path, monkeypatch: pytest.MonkeyPatch, torch_s: float, winograd_s: float
) -> None:
    def taking(seconds: float) -> Any:
        return lambda *_arguments, **_options: time.sleep(seconds)

    monkeypatch.setattr("backend.networks.cpu.benchmark.conv2d", taking(torch_s))
    monkeypatch.setattr("backend.networks.cpu.winograd.convolve", taking(winograd_s))
    chosen = winograd_is_faster(8, 16, 40 * 50, results_file)
    assert chosen == (winograd_s < torch_s)

    monkeypatch.setattr("backend.networks.cpu.benchmark.conv2d", taking(winograd_s))
    monkeypatch.setattr("backend.networks.cpu.winograd.convolve", taking(torch_s))
    assert winograd_is_faster(8, 16, 40 * 50, results_file) == chosen
    assert winograd_is_faster(8, 16, 60 * 60, results_file) == chosen  # also measured at 32 px
    assert winograd_is_faster(8, 16, 64 * 64, results_file) != chosen
    assert winograd_is_faster(16, 8, 40 * 50, results_file) != chosen
    assert len(json.loads(results_file.read_text())) == 3


def test_both_kernels_compute_the_same_convolution(
    results_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results: list[Tensor] = []

    def recording(convolve: Any) -> Any:
        def recorded(*arguments: Any, **options: Any) -> Tensor:
            results.append(convolve(*arguments, **options))
            return results[-1]

        return recorded

    monkeypatch.setattr("backend.networks.cpu.benchmark.conv2d", recording(conv2d))
    monkeypatch.setattr("backend.networks.cpu.winograd.convolve", recording(winograd.convolve))
    winograd_is_faster(8, 16, 40 * 50, results_file)
    for result in results[1:]:
        torch.testing.assert_close(result, results[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("content", ["", "no JSON", "[1]", "[" * 100_000, '{"torch": 3}'])
def test_a_damaged_file_is_replaced(results_file: Path, content: str) -> None:
    results_file.write_text(content)
    chosen = winograd_is_faster(8, 16, 40 * 50, results_file)
    (measured,) = [each for each in json.loads(results_file.read_text()).values() if each != 3]
    assert chosen == (measured[0] < benchmark.MAX_TIME_RATIO)


def measured(ratio: float, share: float) -> Callable[..., Measurement]:
    return lambda *_size: Measurement(ratio, share)


def a_new_process(monkeypatch: pytest.MonkeyPatch, measure: Callable[..., Measurement]) -> None:
    monkeypatch.setattr(benchmark, "_measured_here", set())
    monkeypatch.setattr(benchmark, "_measure", measure)


def test_a_choice_made_on_a_busy_computer_is_measured_again_until_it_is_quiet(
    results_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choices = []
    for ratio, share in ((1.2, 0.4), (0.5, 0.6), (1.2, 0.5), (0.6, 0.97), (1.2, 0.99)):
        a_new_process(monkeypatch, measured(ratio, share))
        choices += [winograd_is_faster(8, 16, 40 * 50, results_file) for _ in range(2)]
    # The least disturbed counts, and after a quiet one no other.
    assert choices == [False] * 2 + [True] * 8


def test_a_computer_that_is_never_quiet_stops_measuring(
    results_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(benchmark.MOST_MEASUREMENTS):
        a_new_process(monkeypatch, measured(0.5, 0.3))
        assert winograd_is_faster(8, 16, 40 * 50, results_file)
    a_new_process(monkeypatch, measured(1.2, 0.99))
    assert winograd_is_faster(8, 16, 40 * 50, results_file)


def test_a_missing_folder_is_ignored(tmp_path: Path) -> None:
    assert winograd_is_faster(8, 16, 2000, tmp_path / "missing" / KERNELS_FILE) in (True, False)
