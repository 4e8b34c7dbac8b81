"""The measures of `benchmarks/looks.py`, against values computed by hand."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks import looks


def features(*channels: list[float]) -> Tensor:
    """Return features (1, C, 1, w) from the values of each channel."""
    return torch.tensor(channels)[None, :, None]


def test_lpips_weighs_the_squared_differences_of_unit_vectors() -> None:
    ours, theirs = features([3.0, 0.0], [4.0, 2.0]), features([1.0, 0.0], [0.0, 5.0])
    weights = torch.tensor([2.0, 10.0])[None, :, None, None]
    # (0.6, 0.8) − (1, 0) at the first position, nothing at the second: (2 · 0.16 + 10 · 0.64) / 2
    assert looks.perceptual_distance([ours], [theirs], [weights]) == pytest.approx(3.36)
    assert looks.perceptual_distance([ours] * 2, [theirs] * 2, [weights] * 2) == pytest.approx(6.72)


def test_structure_compares_self_similarities() -> None:
    ours, theirs = features([1.0, 0.0], [0.0, 1.0]), features([1.0, 3.0], [0.0, 4.0])
    # The similarity of the two positions is 0 and 0.6; that of each to itself is 1. Two of four differ.
    assert looks.structure_distance(ours, theirs) == pytest.approx(0.3)
    assert looks.structure_distance(ours, 7 * ours) == pytest.approx(0)


def test_sifid_compares_means_and_covariances() -> None:
    ours = features([1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 2.0, -2.0])  # variances 2/3 and 8/3
    theirs = features([5.0, 1.0, 3.0, 3.0], [4.0, 4.0, 5.0, 3.0])  # variances 8/3 and 2/3; mean (3, 4)
    # 25 + (√(8/3) − √(2/3))² for each of the two channels
    assert looks.frechet_distance(ours, theirs) == pytest.approx(25 + 2 * 2 / 3)
    assert looks.frechet_distance(ours, ours) == pytest.approx(0, abs=1e-9)


def test_sifid_of_channels_that_vary_together() -> None:
    ours, theirs = (
        features([1.0, -1.0, 1.0, -1.0], [1.0, -1.0, -1.0, 1.0]),
        features([1.0, -1.0], [1.0, -1.0]),
    )
    # Covariances 4/3 · I and ((2, 2), (2, 2)): 8/3 + 4 − 2 √(4/3 · 4)
    assert looks.frechet_distance(ours, theirs) == pytest.approx(20 / 3 - 2 * (16 / 3) ** 0.5)


def test_sifid_of_parts_is_that_of_all_their_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks.Judge, "_seen", lambda *arguments: list(arguments[2:]))
    judge = object.__new__(looks.Judge)
    judge.sifid_layer = looks.SIFID_LAYER
    parts = [features([1.0, -1.0], [0.0, 0.0]), features([0.0, 0.0], [2.0, -2.0])]
    theirs = features([5.0, 1.0, 3.0, 3.0], [4.0, 4.0, 5.0, 3.0])
    assert judge.sifid(parts, theirs) == pytest.approx(25 + 2 * 2 / 3)  # as above


def test_the_parts_at_full_size_are_spread_over_the_picture() -> None:
    picture = torch.arange(4000.0).expand(1, 3, 3000, 4000)
    parts = looks.parts_of(picture)
    assert [tuple(part.shape) for part in parts] == [(1, 3, 512, 512)] * 6
    assert [int(part[0, 0, 0, 0]) for part in parts[:3]] == [872, 1744, 2616]


@pytest.mark.parametrize("photos, styles", [(8, 6), (4, 1), (3, 4), (2, 6)])
def test_any_number_of_pairs_has_all_photographs_and_styles_equally_often(photos: int, styles: int) -> None:
    options = Namespace(
        photos=[Path(f"photo{i}") for i in range(photos)],
        styles=[Path(f"style{i}") for i in range(styles)],
        pairs=None,
    )
    pairs = list(looks.pairs_of(Path("results"), options))
    assert len(set(pairs)) == len(pairs) == photos * styles
    for count in range(1, len(pairs) + 1):
        for index, names in enumerate((options.photos, options.styles)):
            times = Counter(pair[index] for pair in pairs[:count])
            assert max(times.values()) - min(times[name] for name in names) <= 1
    options.pairs = 2
    assert list(looks.pairs_of(Path("results"), options)) == pairs[:2]


def test_a_sheet_has_a_place_for_each_pair() -> None:
    def cell(photo: str, style: str, brightness: float) -> looks.Cell:
        return looks.Cell(photo, style, torch.full((1, 3, 20, 30), brightness), looks.Looks(*[0.0] * 6))

    sheet = looks.contact_sheet([cell("a", "x", 0.2), cell("b", "y", 0.4), cell("b", "x", 0.6)])
    width, height = 30 + looks.GAP, looks.CAPTION + looks.GAP + 20 + looks.GAP
    assert sheet.size == (2 * width, 2 * height)
    seen = [sheet.getpixel((x + 10, y + looks.CAPTION + 10)) for y in (0, height) for x in (0, width)]
    assert seen == [(51,) * 3, (255,) * 3, (153,) * 3, (102,) * 3]
