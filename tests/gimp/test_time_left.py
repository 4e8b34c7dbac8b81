"""The fraction done and the time left of a run, with times set by the tests."""

from __future__ import annotations

import pytest

from atelier_shared.estimate import left_in_words
from atelier_shared.messages import Progress
from ui.time_left import MIN_STEPS, SPEED_STEPS, TimeLeft


def step(number: int, total: int) -> Progress:
    return Progress(1, number, total)


def test_the_fraction_counts_frames_and_their_steps() -> None:
    time_left = TimeLeft(4, None)
    assert time_left.fraction_done(0, step(1, 10)) == 0.025
    assert time_left.fraction_done(3, step(10, 10)) == 1.0


def test_the_time_left_is_unknown_without_a_speed_or_an_estimate() -> None:
    time_left = TimeLeft(1, None)
    left = [time_left.seconds(0, step(number, 10), number) for number in range(1, MIN_STEPS + 2)]
    assert left[:MIN_STEPS] == [None] * MIN_STEPS
    assert left[MIN_STEPS] == pytest.approx(10 - MIN_STEPS - 1)


def test_the_speed_is_that_of_the_last_steps() -> None:
    """Check that steps of 1 s no longer count after SPEED_STEPS steps of 4 s."""
    time_left, now_s = TimeLeft(1, None), 0.0
    for number in range(1, 51):
        now_s += 1.0 if number <= 20 else 4.0
        left = time_left.seconds(0, step(number, 100), now_s)
        if number == 20:
            assert left == pytest.approx(80.0)
        if number == 20 + SPEED_STEPS:
            assert left == pytest.approx(4.0 * (80 - SPEED_STEPS))


def test_the_larger_of_speed_and_estimate_counts() -> None:
    time_left = TimeLeft(1, 60.0)
    assert time_left.seconds(0, step(1, 10), 100.0) == 60.0
    assert time_left.seconds(0, step(2, 10), 101.0) == 59.0
    assert time_left.seconds(0, step(3, 10), 121.0) == pytest.approx(21 / 2 * 7)


def test_the_speed_is_measured_across_frames() -> None:
    time_left = TimeLeft(2, None)
    for now_s, (frame, number) in enumerate(((0, 1), (0, 2), (1, 1))):
        left = time_left.seconds(frame, step(number, 2), now_s)
    assert left == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("seconds", "text"), [(7.4, "about 7 s left"), (200, "about 3 min left"), (9000, "about 2 h left")]
)
def test_the_time_left_in_words(seconds: float, text: str) -> None:
    sentence, count = left_in_words(seconds)
    assert sentence.format(count=count) == text
