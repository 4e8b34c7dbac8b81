"""Coherence: results follow the motion, keep their detail, and forget errors and newly visible parts."""

from __future__ import annotations

import itertools

import numpy as np
from moving_frames import moved, photograph

from backend.animation.coherence import MOST_KEPT, blend, closer_in_colour, predict
from backend.animation.motion import Array

RANDOM = np.random.default_rng(3)


def flickering(frame: Array) -> Array:
    """Return a result with strokes that differ at every call."""
    strokes = np.repeat(np.repeat(RANDOM.normal(0, 0.1, (80, 80, 1)), 4, axis=0), 4, axis=1)
    return np.clip(frame + strokes[: len(frame), : frame.shape[1]], 0, 1).astype(np.float32)


def everywhere(frame: Array, value: float = 1.0) -> Array:
    return np.full(frame.shape[:2], value, np.float32)


def test_a_result_moves_with_the_frame() -> None:
    first, result = photograph(), photograph("coffee")[: len(photograph())]
    first = first[: len(result)]
    found = predict(moved(first, 3, 2), first, result, everywhere(first))
    assert found is not None
    inner = np.s_[10:-10, 10:-10]
    assert np.abs(found.result - moved(result, 3, 2))[inner].mean() < 0.02
    assert np.abs(found.content - moved(first, 3, 2))[inner].mean() < 0.01
    assert found.reliability[inner].mean() > 0.8


def test_nothing_is_predicted_after_a_cut() -> None:
    cat, cup = photograph(), photograph("coffee")
    height = min(len(cat), len(cup))
    assert predict(cup[:height], cat[:height], cat[:height], everywhere(cat[:height])) is None


def test_changed_colours_are_unreliable() -> None:
    first = photograph()
    second = first.copy()
    second[30:60, 30:60] = 1 - second[30:60, 30:60]
    found = predict(second, first, first, everywhere(first))
    assert found is not None
    assert found.reliability[35:55, 35:55].mean() < 0.1
    assert found.reliability[70:, 70:].mean() > 0.9


def test_nothing_is_predicted_from_outside_of_the_region() -> None:
    first = photograph()
    known = everywhere(first)
    known[:, :80] = 0
    found = predict(first, first, first, known)
    assert found is not None
    assert not found.reliability[:, :79].any()
    assert found.reliability[:, 81:].mean() > 0.9


def test_a_blend_flickers_less_and_keeps_its_detail() -> None:
    """Forty frames of a resting picture: plain blending would lose much of the strokes' detail."""
    frame = photograph()
    results = [flickering(frame) for _ in range(40)]
    coherent = results[:1]
    for own in results[1:]:
        coherent.append(blend(own, coherent[-1], everywhere(frame)))

    def flicker(frames: list[Array]) -> float:
        return float(np.mean([np.square(b - a).mean() for a, b in itertools.pairwise(frames)]))

    def detail(image: Array) -> float:
        return float(np.square(np.diff(image, axis=1)).mean())

    assert flicker(coherent) < 0.02 * flicker(results)
    assert detail(coherent[-1]) > 0.7 * detail(results[-1])
    assert np.abs(coherent[-1].mean(axis=(0, 1)) - frame.mean(axis=(0, 1))).max() < 0.02


def test_the_share_decides_between_the_own_and_the_predicted_result() -> None:
    own, predicted = everywhere3(0.2), everywhere3(0.8)
    for share in (0.0, 0.5, 1.0):
        made = blend(own, predicted, everywhere(own, share))
        assert np.allclose(made, 0.2 + 0.6 * MOST_KEPT * share, atol=1e-4)


def test_the_mean_colour_follows_the_own_results() -> None:
    """The light rises in every frame: without a correction, the colours would lag behind by 19 frames."""
    made = everywhere3(0.2)
    for number in range(1, 30):
        own = everywhere3(0.2 + 0.01 * number)
        share = everywhere(own)
        made = blend(own, closer_in_colour(made, own, share), share)
    assert abs(float(made.mean()) - 0.49) < 0.03


def test_only_reliable_pixels_count_for_the_mean_colour() -> None:
    own, predicted, share = everywhere3(0.5), everywhere3(0.5), everywhere(everywhere3(0))
    predicted[16:], share[16:] = 1.0, 0.0
    assert np.allclose(closer_in_colour(predicted, own, share)[:16], 0.5)


def test_still_pixels_keep_more_than_moving_ones() -> None:
    first = photograph()
    shares = []
    for right in (0, 2):
        found = predict(moved(first, right, 0), first, first, everywhere(first))
        assert found is not None
        shares.append(float(np.median(found.share[10:-10, 10:-10])))
    assert shares[0] > 0.99 > 0.92 > shares[1] > 0.8


def everywhere3(value: float) -> Array:
    return np.full((32, 32, 3), value, np.float32)
