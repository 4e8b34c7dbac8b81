"""Estimates of durations: work, noted speeds, and words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from atelier_shared.deepdream import DeepDream
from atelier_shared.estimate import MAX_BYTES, estimate, estimate_frames, in_words, read_slowness
from atelier_shared.home import SLOWNESS_FILE
from atelier_shared.request import PaintingRequest
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
        (StyleTransfer(iterations=70, size=256), 256 * 128 * (40 + 30 / 4) + 0.06 * (500 * 250 + 1000 * 500)),
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


def test_frames_of_a_zoom_after_the_first_take_their_share_of_its_time() -> None:
    request = DeepDream(iterations=10, further_iterations=2, octaves=1, size=1000, device="cpu")
    slowness = {f"{request.kind_of_job('cpu')} 1e0": [2.0]}
    one, ten = (estimate_frames(request, 1000, 500, slowness, count, is_zoom=True) for count in (1, 10))
    assert one == estimate(request, 1000, 500, slowness)
    assert one is not None and ten == pytest.approx(one * (1 + 9 * 0.2))
    assert estimate_frames(request, 1000, 500, {}, 10, is_zoom=True) is None


def test_independent_frames_of_an_animation_take_the_time_of_the_first() -> None:
    coherent = DeepDream(iterations=10, further_iterations=2, octaves=1, size=1000, device="cpu")
    slowness = {f"{coherent.kind_of_job('cpu')} 1e0": [2.0]}
    one = estimate(coherent, 1000, 500, slowness)
    for request, share in ((coherent, 0.2), (replace(coherent, coherence=0.0), 1.0)):
        ten = estimate_frames(request, 1000, 500, slowness, 10, is_zoom=False)
        assert one is not None and ten == pytest.approx(one * (1 + 9 * share))


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


FAST = StyleTransfer(method="fast", device="cpu")
SIZE = 1000, 800


def note(home: Path, request: PaintingRequest, slowness: float, size: tuple[int, int] = SIZE) -> None:
    """Note a job that took `slowness` times as long as usual."""
    usual_s = request.usual_seconds(*size)
    timings.note(home, request.kind_of_job("cpu"), slowness * usual_s, usual_s)


def estimated(home: Path, request: PaintingRequest, size: tuple[int, int] = SIZE) -> float | None:
    """Return an estimate as a multiple of the usual duration."""
    seconds = estimate(request, *size, read_slowness(home))
    return None if seconds is None else seconds / request.usual_seconds(*size)


def test_the_estimate_follows_the_noted_jobs(tmp_path: Path) -> None:
    assert estimated(tmp_path, FAST) is None
    for _ in range(2):
        note(tmp_path, FAST, 2.0)
        assert estimated(tmp_path, FAST) == pytest.approx(2.0)
    assert estimated(tmp_path, StyleTransfer(method="fast", device="cuda")) is None


def test_jobs_on_a_busy_machine_do_not_count(tmp_path: Path) -> None:
    for slowness in (1.0, 1.2, 40.0, 1.1, 30.0):
        note(tmp_path, FAST, slowness)
    assert estimated(tmp_path, FAST) == pytest.approx(1.2)


def test_a_faster_machine_is_noticed(tmp_path: Path) -> None:
    for slowness in (*[3.0] * 20, *[1.0] * 5):
        note(tmp_path, FAST, slowness)
    assert estimated(tmp_path, FAST) == pytest.approx(1.0)


def test_other_kinds_of_jobs_give_an_estimate_and_correct_the_first_job(tmp_path: Path) -> None:
    for request in (FAST, DeepDream(device="cpu"), StyleTransfer(device="cpu")):
        note(tmp_path, request, 1.5)
    gallery = StyleTransfer(method="gallery", device="cpu")
    for request in (
        gallery,
        DeepDream(network="vgg16", device="cpu"),
        StyleTransfer(method="light", device="cpu"),
    ):
        assert estimated(tmp_path, request) == pytest.approx(1.5)
    note(tmp_path, gallery, 80.0)
    assert estimated(tmp_path, gallery) == pytest.approx(1.5), "one job on a busy machine counts"
    for _ in range(2):
        note(tmp_path, gallery, 5.0)
    assert estimated(tmp_path, gallery) == pytest.approx(5.0)


def test_previews_do_not_displace_large_pictures(tmp_path: Path) -> None:
    picture, preview = DeepDream(device="cpu"), DeepDream(device="cpu", size=128, iterations=3)
    note(tmp_path, preview, 3.0)
    assert estimated(tmp_path, picture) == pytest.approx(3.0), "all that is known is better than nothing"
    for _ in range(3):
        note(tmp_path, picture, 1.0)
    for _ in range(50):
        note(tmp_path, preview, 3.0)
    assert estimated(tmp_path, picture) == pytest.approx(1.0)
    assert estimated(tmp_path, preview) == pytest.approx(3.0)


def test_a_job_without_work_takes_no_time(tmp_path: Path) -> None:
    note(tmp_path, FAST, 2.0)
    request = StyleTransfer(method="fast", strength=0.0, device="cpu")
    assert estimate(request, 1000, 500, read_slowness(tmp_path)) == 0.0


def test_a_job_that_did_nothing_is_not_noted(tmp_path: Path) -> None:
    timings.note(tmp_path, "job cpu", seconds=1.0, usual_s=0.0)
    assert not (tmp_path / SLOWNESS_FILE).exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"[1, 2]", b"{", b"[" * 60_000, b'{"a cpu 1e0": [0, 1], "b cpu 1e0": [1, null]}',
     b'{"a cpu 1e0": [1, Infinity], "b cpu 1e0": [1e-300]}', b"{}" + b" " * MAX_BYTES,
     b'{"a cpu 1e0": [], "b cpu 1e": [1], "c": [1], "d cpu 1e0": 3, "e 1ex": [1]}'],
)  # fmt: skip
def test_a_damaged_file_counts_as_empty(tmp_path: Path, content: bytes) -> None:
    (tmp_path / SLOWNESS_FILE).write_bytes(content)
    assert read_slowness(tmp_path) == {}
    timings.note(tmp_path, "job cpu", seconds=1.0, usual_s=2.0)
    assert read_slowness(tmp_path) == {"job cpu 1e0": [0.5]}


def test_the_file_stays_small_and_keeps_the_newest(tmp_path: Path) -> None:
    recent = [123456.789] * timings.RECENT
    many = {f"style-transfer fine inception-v3 {n} cpu 1e5": recent for n in range(timings.MOST_NAMES)}
    (tmp_path / SLOWNESS_FILE).write_text(json.dumps(many, indent=1))
    assert read_slowness(tmp_path) == many, "the file is too large to be read"
    for _ in range(timings.RECENT + 1):
        timings.note(tmp_path, "new cpu", seconds=1.0, usual_s=1.0)
    noted = read_slowness(tmp_path)
    assert len(noted) == timings.MOST_NAMES
    assert noted["new cpu 1e0"] == [1.0] * timings.RECENT
    assert [file.name for file in tmp_path.iterdir()] == [SLOWNESS_FILE]


def test_an_unwritable_folder_is_ignored(tmp_path: Path) -> None:
    timings.note(tmp_path / "missing", "job cpu", seconds=1.0, usual_s=1.0)
    assert read_slowness(tmp_path / "missing") == {}


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


def test_the_further_frames_of_an_animation_take_their_share_of_the_first() -> None:
    dream = DeepDream(iterations=8, further_iterations=2, octaves=1, largest_octave="working")
    assert dream.further_share(1000, 500) == 1 / 4
    fine = StyleTransfer(method="fine", further_iterations=2, iterations=100, size=1000)
    assert 0 < fine.further_share(1000, 500) < 1 / 2
    for request in (
        StyleTransfer(method="fast"),
        replace(fine, coherence=0.0),
        StyleTransfer(strength=0.0),
    ):
        assert request.further_share(1000, 500) == 1
