"""Frames of an animation: each one is computed with the frame before it, and with its own seed."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from atelier_shared.animation import coherent_frames
from atelier_shared.deepdream import DeepDream
from atelier_shared.messages import Picture, PreviousFrame, Region, Result
from atelier_shared.request import Request
from atelier_shared.style_transfer import StyleTransfer
from atelier_shared.visualise import Visualise

REGION = Region(0, 0, 2, 1)
FRAMES = [(Picture(2, 1, "Y", "u8", bytes([value, 0])), REGION) for value in (10, 20, 30)]


def computed(request: Request) -> list[tuple[Any, PreviousFrame | None]]:
    """Return the requests and previous frames of a computation that adds 1 to every value."""
    asked = []

    def compute(request: Request, content: Picture, _: Region, previous: PreviousFrame | None) -> Result:
        asked.append((request, previous))
        return Result(1, brighter(content))

    results = [result.picture for result in coherent_frames(compute, request, FRAMES)]
    assert results == [brighter(content) for content, _ in FRAMES]
    return asked


def brighter(picture: Picture) -> Picture:
    return dataclasses.replace(picture, pixels=bytes(value + 1 for value in picture.pixels))


def test_each_frame_is_computed_with_the_one_before() -> None:
    (first, _), (second, _), _ = FRAMES
    previous = [each for _, each in computed(StyleTransfer())]
    assert previous == [
        None,
        PreviousFrame(first, brighter(first)),
        PreviousFrame(second, brighter(second)),
    ]


def test_without_coherence_the_frames_are_independent() -> None:
    for request in (StyleTransfer(coherence=0.0), DeepDream(coherence=0.0), Visualise()):
        assert [each for _, each in computed(request)] == [None] * 3


def test_the_frames_of_a_dream_have_different_seeds() -> None:
    largest = 2**31 - 1
    assert [each.seed for each, _ in computed(DeepDream(seed=largest))] == [largest, 0, 1]
    assert [each for each, _ in computed(StyleTransfer(seed=4))] == [StyleTransfer(seed=4)] * 3


@pytest.mark.parametrize("request_", [StyleTransfer(), DeepDream(start="noise")])
def test_a_fully_transparent_frame_is_its_own_result(request_: Request) -> None:
    def frame(alpha: int) -> Picture:
        return Picture(2, 1, "YA", "u8", bytes([5, alpha, 6, alpha]))

    asked = []

    def compute(request: Request, content: Picture, _: Region, previous: PreviousFrame | None) -> Result:
        asked.append(previous)
        return Result(1, brighter(content))

    given = [(frame(alpha), Region(1, 0, 1, 1)) for alpha in (9, 0, 9)]
    made = [result.picture for result in coherent_frames(compute, request_, given)]
    if request_ == StyleTransfer():
        assert made == [brighter(frame(9)), Picture(1, 1, "YA", "u8", bytes([6, 0])), brighter(frame(9))]
        assert asked == [None, None]
    else:  # noise covers transparent pixels
        assert made[1] == brighter(frame(0))
        assert len(asked) == 3


def test_frames_are_computed_one_at_a_time() -> None:
    made = []

    def compute(request: Request, content: Picture, _: Region, previous: PreviousFrame | None) -> Result:
        made.append(True)
        return Result(1, content)

    next(coherent_frames(compute, StyleTransfer(), FRAMES))
    assert len(made) == 1
