"""Sizes on the way from the working size to a layer's own."""

from __future__ import annotations

import pytest

from atelier_shared.sizes import Size, doubled_sizes, enlarged_sizes


@pytest.mark.parametrize(
    ("size", "longest_px", "expected"),
    [
        ((300, 400), 400, []),
        ((300, 400), 500, []),
        ((300, 400), 399, [(300, 400)]),
        ((300, 400), 200, [(300, 400)]),
        ((800, 400), 200, [(400, 200), (800, 400)]),
        ((1, 4000), 500, [(1, 1000), (1, 2000), (1, 4000)]),
        ((3172, 5640), 1024, [(1017, 1808), (1796, 3194), (3172, 5640)]),
    ],
)
def test_sizes_are_at_most_doubled(size: Size, longest_px: int, expected: list[Size]) -> None:
    assert enlarged_sizes(size, longest_px) == expected


@pytest.mark.parametrize(
    ("size", "longest_px", "expected"),
    [
        ((300, 400), 400, []),
        ((300, 400), 399, [(300, 400)]),
        ((300, 401), 201, [(300, 401)]),
        ((300, 401), 200, [(150, 201), (300, 401)]),
        ((1, 4000), 500, [(1, 1000), (1, 2000), (1, 4000)]),
        ((3172, 5640), 1024, [(793, 1410), (1586, 2820), (3172, 5640)]),
    ],
)
def test_each_repainted_size_is_half_of_the_next_one(
    size: Size, longest_px: int, expected: list[Size]
) -> None:
    assert doubled_sizes(size, longest_px) == expected
