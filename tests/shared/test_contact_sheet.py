"""Contact sheets: grids of nearly square pictures that do not overlap."""

from __future__ import annotations

import numpy as np
import pytest

from atelier_shared.contact_sheet import contact_sheet


@pytest.mark.parametrize(
    ("count", "size", "grid"),
    [
        (1, (300, 500), (1, 1)),
        (2, (300, 600), (1, 2)),
        (2, (600, 300), (2, 1)),
        (4, (300, 300), (2, 2)),
        (5, (300, 300), (2, 3)),
        (12, (300, 400), (3, 4)),
        (4, (100, 1000), (1, 4)),
        (768, (1024, 1024), (28, 28)),
    ],
)
def test_pictures_are_as_large_as_possible(count: int, size: tuple[int, int], grid: tuple[int, int]) -> None:
    sheet = contact_sheet(count, size, 10_000)
    assert (sheet.rows, sheet.columns) == grid
    assert count <= sheet.rows * sheet.columns


def test_a_picture_is_no_larger_than_asked_for_and_no_smaller_than_the_network_takes() -> None:
    assert contact_sheet(2, (300, 600), 224).cell == (224, 224)
    assert contact_sheet(1, (300, 600), 224).cell == (112, 224)
    assert contact_sheet(100, (300, 300), 224).cell == (30, 30)
    assert contact_sheet(100, (300, 300), 224, shortest_px=49).cell == (49, 49)


def test_the_places_cover_the_sheet_once() -> None:
    sheet = contact_sheet(6, (20, 30), 100)
    times = np.zeros(sheet.size, int)
    for number in range(6):
        times[sheet.place_of(number)] += 1
    assert (times == 1).all()
    assert sheet.place_of(4) == (slice(10, 20), slice(10, 20))
