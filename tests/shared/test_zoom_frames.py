"""Zoom frames: each one is computed from the last one, with steps and shifts of its own."""

from __future__ import annotations

import dataclasses

import pytest

from atelier_shared.deepdream import DeepDream
from atelier_shared.messages import Picture, Region, Result
from atelier_shared.request import Request
from atelier_shared.zoom_frames import frames

CONTENT = Picture(4, 3, "YA", "u8", bytes(range(24)))
PART = Region(1, 1, 2, 2)


def crop(picture: Picture, region: Region) -> bytes:
    size = picture.pixel_bytes
    starts = [(y * picture.width + region.x) * size for y in range(region.y, region.y + region.height)]
    return b"".join(bytes(picture.pixels[at : at + region.width * size]) for at in starts)


@pytest.mark.parametrize("region", [PART, Region(0, 0, 4, 3)])
def test_each_frame_is_computed_from_the_last_one(region: Region) -> None:
    def brighter(request: Request, content: Picture, region: Region) -> Result:
        pixels = bytes(value + 50 for value in crop(content, region))
        return Result(1, Picture(region.width, region.height, "YA", "u8", pixels))

    made = [result.picture.pixels for result in frames(brighter, DeepDream(), CONTENT, region, 3)]
    assert made == [bytes(v + step for v in crop(CONTENT, region)) for step in (50, 100, 150)]


def test_further_frames_have_their_own_steps_and_shifts_and_no_noise() -> None:
    asked = []

    def compute(request: Request, content: Picture, region: Region) -> Result:
        asked.append(request)
        return Result(1, content)

    dream = DeepDream(start="noise", zoom=1.1, seed=4, iterations=12, further_iterations=3)
    list(frames(compute, dream, CONTENT, Region(0, 0, 4, 3), 3))
    upon_the_last = dataclasses.replace(dream, start="picture", iterations=3)
    assert asked == [dream, *(dataclasses.replace(upon_the_last, seed=seed) for seed in (5, 6))]


def test_frames_are_computed_one_at_a_time() -> None:
    made = []

    def compute(request: Request, content: Picture, region: Region) -> Result:
        made.append(True)
        return Result(1, content)

    next(frames(compute, DeepDream(), CONTENT, Region(0, 0, 4, 3), 3))
    assert len(made) == 1
