"""How far a run is and how long the rest takes, by a clock that the tests set."""

from __future__ import annotations

import pytest

from atelier_shared.estimate import left_in_words
from atelier_shared.messages import Progress
from ui.time_left import FIRST_STEPS, LAST_STEPS, Pace


def step(number: int, total: int) -> Progress:
    return Progress(1, number, total)


def test_the_fraction_counts_frames_and_their_steps() -> None:
    pace = Pace(4, None)
    assert pace.fraction(0, step(1, 10)) == 0.025
    assert pace.fraction(3, step(10, 10)) == 1.0


def test_nothing_is_known_before_there_is_a_pace_or_an_estimate() -> None:
    pace = Pace(1, None)
    left = [pace.seconds_left(0, step(number, 10), number) for number in range(1, FIRST_STEPS + 2)]
    assert left[:FIRST_STEPS] == [None] * FIRST_STEPS
    assert left[FIRST_STEPS] == pytest.approx(10 - FIRST_STEPS - 1)


def test_the_last_steps_make_the_pace() -> None:
    """Coarse steps of a second are forgotten when so many fine ones of four seconds have been done."""
    pace, now_s = Pace(1, None), 0.0
    for number in range(1, 51):
        now_s += 1.0 if number <= 20 else 4.0
        left = pace.seconds_left(0, step(number, 100), now_s)
        if number == 20:
            assert left == pytest.approx(80.0)
        if number == 20 + LAST_STEPS:
            assert left == pytest.approx(4.0 * (80 - LAST_STEPS))


def test_an_estimate_counts_where_it_is_more() -> None:
    pace = Pace(1, 60.0)
    assert pace.seconds_left(0, step(1, 10), 100.0) == 60.0
    assert pace.seconds_left(0, step(2, 10), 101.0) == 59.0
    assert pace.seconds_left(0, step(3, 10), 121.0) == pytest.approx(21 / 2 * 7)


def test_the_pace_goes_on_from_one_frame_to_the_next() -> None:
    pace = Pace(2, None)
    for now_s, (frame, number) in enumerate(((0, 1), (0, 2), (1, 1))):
        left = pace.seconds_left(frame, step(number, 2), now_s)
    assert left == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("seconds", "said"), [(7.4, "about 7 s left"), (200, "about 3 min left"), (9000, "about 2 h left")]
)
def test_what_is_left_in_words(seconds: float, said: str) -> None:
    sentence, count = left_in_words(seconds)
    assert sentence.format(count=count) == said
