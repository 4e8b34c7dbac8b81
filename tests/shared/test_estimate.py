"""Estimates of durations: work, noted speeds, and words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from atelier_shared.deepdream import DeepDream
from atelier_shared.estimate import MAX_BYTES, Speed, estimate, in_words, read_speeds
from atelier_shared.home import SPEEDS_FILE
from atelier_shared.requests import Identity
from atelier_shared.style_transfer import StyleTransfer
from backend.jobs import timings


@pytest.mark.parametrize(
    ("request_", "pixel_steps"),
    [
        (StyleTransfer(method="fast", size=1000), 1000 * 500),
        # repainted at 500 and 1000 px
        (StyleTransfer(method="fast", size=250), 250 * 125 + 0.1 * (500 * 250 + 1000 * 500)),
        (StyleTransfer(method="gallery", size=4000), 1000 * 500),
        # the smaller one of two sizes has 30 steps
        (StyleTransfer(iterations=70, size=256), 256 * 128 * (40 + 30 / 4) + 0.06 * (506 * 253 + 1000 * 500)),
        (StyleTransfer(strength=0.0), 0),
        (DeepDream(iterations=3, octaves=2, octave_scale=2.0, size=1000), 3 * 1000 * 500 * 1.25),
        (DeepDream(iterations=3, octaves=1, size=1000, layers="fire2, fire5:0.5"), 3 * 1000 * 500 * 2),
        (
            DeepDream(iterations=3, octaves=1, size=1000, layers="fire2, fire5", objective="class"),
            3 * 1000 * 500,
        ),
        # 8 iterations at 250 px, 5 at 500 px, 3 at 1000 px
        (DeepDream(iterations=8, octaves=1, size=250), 250 * 125 * 8 + 500 * 250 * 5 + 1000 * 500 * 3),
        (DeepDream(iterations=8, octaves=1, size=250, largest_octave="working"), 250 * 125 * 8),
        (Identity(), 0),
    ],
)
def test_work_is_pixels_times_steps_over_all_sizes(
    request_: StyleTransfer | DeepDream | Identity, pixel_steps: float
) -> None:
    assert request_.work(1000, 500) == pytest.approx(pixel_steps)


def test_a_better_quality_is_more_work() -> None:
    draft, good, best = (StyleTransfer(quality=q).work(6000, 4000) for q in ("draft", "good", "best"))
    assert draft < good < best


def test_kinds_of_jobs_differ_only_in_what_affects_speed() -> None:
    assert StyleTransfer(seed=3).kind_of_job("cpu") == StyleTransfer(quality="best").kind_of_job("cpu")
    others = (
        StyleTransfer().kind_of_job("cuda"),
        StyleTransfer(network="vgg16").kind_of_job("cpu"),
        StyleTransfer(method="fast").kind_of_job("cpu"),
        DeepDream().kind_of_job("cpu"),
    )
    assert len({StyleTransfer().kind_of_job("cpu"), *others}) == 5
    assert StyleTransfer(method="fast", network="vgg16").kind_of_job("cpu") == others[2]


def test_the_estimate_follows_the_noted_speeds(tmp_path: Path) -> None:
    request = StyleTransfer(method="fast", size=1000, device="cpu")
    assert estimate(request, 100, 50, read_speeds(tmp_path)) is None
    timings.note(tmp_path, request.kind_of_job("cpu"), seconds=2.0, work=1000.0)
    assert estimate(request, 100, 50, read_speeds(tmp_path)) == pytest.approx(10.0)
    timings.note(tmp_path, request.kind_of_job("cpu"), seconds=3.0, work=1500.0)
    assert estimate(request, 100, 50, read_speeds(tmp_path)) == pytest.approx(10.0)


def test_newer_jobs_have_more_weight(tmp_path: Path) -> None:
    timings.note(tmp_path, "job", seconds=10.0, work=10.0)
    timings.note(tmp_path, "job", seconds=30.0, work=10.0)
    assert read_speeds(tmp_path) == {"job 1e1": Speed(35.0, 15.0)}


def test_previews_do_not_displace_the_speed_of_large_pictures(tmp_path: Path) -> None:
    picture, preview = DeepDream(device="cpu"), DeepDream(device="cpu", size=128, iterations=3)
    large, small = picture.work(1000, 1000), preview.work(1000, 1000)
    timings.note(tmp_path, preview.kind_of_job("cpu"), seconds=5.0, work=small)
    first = estimate(picture, 1000, 1000, read_speeds(tmp_path))
    assert first == pytest.approx(5.0 * large / small), "all that is known is better than nothing"
    timings.note(tmp_path, picture.kind_of_job("cpu"), seconds=60.0, work=large)
    for _ in range(50):
        timings.note(tmp_path, preview.kind_of_job("cpu"), seconds=0.5, work=small)
    known = read_speeds(tmp_path)
    assert estimate(picture, 1000, 1000, known) == pytest.approx(60.0)
    assert estimate(preview, 1000, 1000, known) == pytest.approx(0.5)
    assert estimate(DeepDream(device="cpu", network="vgg16"), 1000, 1000, known) is None


def test_a_job_without_work_takes_no_time(tmp_path: Path) -> None:
    request = StyleTransfer(method="fast", strength=0.0, device="cpu")
    timings.note(tmp_path, request.kind_of_job("cpu"), seconds=2.0, work=1000.0)
    assert estimate(request, 1000, 500, read_speeds(tmp_path)) == 0.0


def test_a_job_that_did_nothing_is_not_noted(tmp_path: Path) -> None:
    timings.note(tmp_path, "job", seconds=1.0, work=0.0)
    assert not (tmp_path / SPEEDS_FILE).exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"[1, 2]", b"{", b"[" * 60_000, b'{"a": [0, 1], "b": [1, null], "c": [1], "d": 3}',
     b'{"a": [1, Infinity], "b": [1, 1e-300]}', b"{}" + b" " * MAX_BYTES],
)  # fmt: skip
def test_a_damaged_file_counts_as_empty(tmp_path: Path, content: bytes) -> None:
    (tmp_path / SPEEDS_FILE).write_bytes(content)
    assert read_speeds(tmp_path) == {}
    timings.note(tmp_path, "job", seconds=1.0, work=2.0)
    assert read_speeds(tmp_path) == {"job 1e0": Speed(1.0, 2.0)}


def test_the_file_stays_small_and_keeps_the_newest(tmp_path: Path) -> None:
    many = {f"job {number}": [1.0, 1.0] for number in range(2 * timings.MOST_NAMES)}
    (tmp_path / SPEEDS_FILE).write_text(json.dumps(many))
    timings.note(tmp_path, "new", seconds=1.0, work=1.0)
    assert len(read_speeds(tmp_path)) == timings.MOST_NAMES
    assert "new 1e0" in read_speeds(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [SPEEDS_FILE]


def test_an_unwritable_folder_is_ignored(tmp_path: Path) -> None:
    timings.note(tmp_path / "missing", "job", seconds=1.0, work=1.0)
    assert read_speeds(tmp_path / "missing") == {}


@pytest.mark.parametrize(
    ("seconds", "sentence"),
    [
        (None, "The time it takes has not been measured on this computer yet"),
        (0.0, "Takes about 1 s"),
        (7.4, "Takes about 7 s"),
        (41.0, "Takes about 40 s"),
        (175.0, "Takes about 3 min"),
        (26 * 60.0, "Takes about 25 min"),
        (7300.0, "Takes about 2 h"),
    ],
)
def test_durations_are_rounded(seconds: float | None, sentence: str) -> None:
    template, count = in_words(seconds)
    assert template.format(count=count) == sentence
