"""Which kernel is chosen: the faster one, once."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from backend.networks.cpu import winograd
from backend.networks.cpu.benchmark import NOTES, winograd_pays


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / NOTES


@pytest.mark.parametrize(("torchs_s", "winograds_s"), [(0.02, 0.0), (0.0, 0.02)])
def test_the_faster_one_is_chosen_and_the_choice_stays(
    notes: Path, monkeypatch: pytest.MonkeyPatch, torchs_s: float, winograds_s: float
) -> None:
    def taking(seconds: float) -> Any:
        return lambda *_arguments, **_options: time.sleep(seconds)

    monkeypatch.setattr("backend.kernel_choice.conv2d", taking(torchs_s))
    monkeypatch.setattr("backend.winograd.convolve", taking(winograds_s))
    chosen = winograd_pays(8, 16, 40 * 50, notes)
    assert chosen == (winograds_s < torchs_s)

    monkeypatch.setattr("backend.kernel_choice.conv2d", taking(winograds_s))
    monkeypatch.setattr("backend.winograd.convolve", taking(torchs_s))
    assert winograd_pays(8, 16, 40 * 50, notes) == chosen
    assert winograd_pays(8, 16, 60 * 60, notes) == chosen  # measured at 32 px, too
    assert winograd_pays(8, 16, 64 * 64, notes) != chosen
    assert winograd_pays(16, 8, 40 * 50, notes) != chosen
    assert len(json.loads(notes.read_text())) == 3


def test_both_do_the_same_work(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Tensor] = []

    def kept(convolve: Any) -> Any:
        def convolved(*arguments: Any, **options: Any) -> Tensor:
            made.append(convolve(*arguments, **options))
            return made[-1]

        return convolved

    monkeypatch.setattr("backend.kernel_choice.conv2d", kept(conv2d))
    monkeypatch.setattr("backend.winograd.convolve", kept(winograd.convolve))
    winograd_pays(8, 16, 40 * 50, notes)
    for result in made[1:]:
        torch.testing.assert_close(result, made[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("content", ["", "no JSON", "[1]", "[" * 100_000, '{"torch": 3}'])
def test_notes_that_say_nothing_are_replaced(notes: Path, content: str) -> None:
    notes.write_text(content)
    chosen = winograd_pays(8, 16, 40 * 50, notes)
    assert chosen in json.loads(notes.read_text()).values()


def test_a_folder_that_takes_no_file_is_no_harm(tmp_path: Path) -> None:
    assert winograd_pays(8, 16, 2000, tmp_path / "missing" / NOTES) in (True, False)
