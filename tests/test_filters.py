"""From request to result: the region alone, its channels and depth, previews, errors, fallback."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from atelier_protocol import CHANNELS, DEPTH_BYTES, JobFailed, Picture, Progress, Region, Result, Submit
from atelier_requests import DeepDream, Identity, Request, StyleTransfer
from backend import deepdream, devices, filters
from backend.arrays import DTYPES, crop
from backend.step import Step

FORMATS = list(itertools.product(CHANNELS, DEPTH_BYTES))
REGION = Region(20, 10, 50, 40)
DREAM = DeepDream(iterations=1, octaves=1, device="cpu", layer="Conv2d_4a_3x3")
FAST = StyleTransfer(method="fast", device="cpu")
FINE = StyleTransfer(iterations=2, size=64, device="cpu")


def picture(
    channels: str = "RGB", depth: str = "u8", width: int = 96, height: int = 80, seed: int = 5
) -> Picture:
    """Smooth random colours; in a picture with alpha the left half is transparent."""
    coarse = torch.rand(1, CHANNELS[channels], 5, 6, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0].permute(1, 2, 0)
    if channels.endswith("A"):
        smooth[:, : width // 2, -1] = 0
    scale = {"u8": 255, "u16": 65535, "f32": 1.0}[depth]
    return Picture(width, height, channels, depth, (smooth.numpy() * scale).astype(DTYPES[depth]).tobytes())


def submit(request: Request, content: Picture, region: Region = REGION, *styles: Picture) -> Submit:
    return Submit(42, request, content, region, styles)


def result(job: Submit, models: Path) -> Result:
    *_, last = filters.run(job, models)
    assert isinstance(last, Result)
    assert last.job == job.job
    return last


def array(made: Picture) -> np.ndarray[Any, Any]:
    return np.frombuffer(made.pixels, DTYPES[made.depth]).reshape(made.height, made.width, -1)


# ── Identity ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("channels", "depth"), FORMATS)
def test_identity_gives_back_the_region_bit_for_bit(channels: str, depth: str, tmp_path: Path) -> None:
    content = picture(channels, depth)
    (only,) = filters.run(submit(Identity(), content), tmp_path)
    assert isinstance(only, Result)
    assert (array(only.picture) == array(content)[10:50, 20:70]).all()


def test_identity_of_a_whole_picture_is_no_copy(tmp_path: Path) -> None:
    content = picture()
    assert result(submit(Identity(), content, Region(0, 0, 96, 80)), tmp_path).picture is content


# ── DeepDream and style transfer ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("channels", "depth"), FORMATS)
def test_a_dream_comes_in_the_contents_own_form(models: Path, channels: str, depth: str) -> None:
    content = picture(channels, depth)
    made = result(submit(DREAM, content), models).picture
    assert (made.width, made.height, made.channels, made.depth) == (50, 40, channels, depth)
    before, after = array(crop(content, REGION)), array(made)
    if channels.endswith("A"):
        assert (after[..., -1] == before[..., -1]).all()
    assert (after[:, 28:, 0] != before[:, 28:, 0]).mean() > 0.5  # right of the transparent half


def test_a_gray_picture_dreams_as_its_coloured_twin_does(models: Path) -> None:
    gray = picture("Y", "f32")
    twin = Picture(96, 80, "RGB", "f32", np.repeat(array(gray), 3, axis=2).tobytes())
    of_gray, of_twin = (array(result(submit(DREAM, p), models).picture) for p in (gray, twin))
    assert of_gray[..., 0] == pytest.approx(of_twin @ np.array([0.2126, 0.7152, 0.0722]), abs=1e-5)


def test_the_region_is_cut_from_the_dream_of_the_whole(models: Path) -> None:
    content = picture()
    whole = result(submit(DREAM, content, Region(0, 0, 96, 80)), models).picture
    assert bytes(result(submit(DREAM, content), models).picture.pixels) == bytes(crop(whole, REGION).pixels)


def test_colours_of_transparent_pixels_do_not_matter(models: Path) -> None:
    content = picture("RGBA")
    values = array(content).copy()
    values[:, :48, :3] = 255 - values[:, :48, :3]
    other = dataclasses.replace(content, pixels=values.tobytes())
    one, two = (array(result(submit(DREAM, p), models).picture) for p in (content, other))
    assert (one[:, 28:] == two[:, 28:]).all()


@pytest.mark.parametrize("request_", [DREAM, FAST, FINE], ids=["dream", "fast", "fine"])
def test_the_same_request_gives_the_same_pixels(models: Path, request_: Request) -> None:
    job = submit(request_, picture(), REGION, picture(seed=9))
    assert bytes(result(job, models).picture.pixels) == bytes(result(job, models).picture.pixels)


@pytest.mark.parametrize("request_", [DREAM, FAST, FINE], ids=["dream", "fast", "fine"])
def test_progress_counts_to_its_total(models: Path, request_: Request) -> None:
    *progress, last = filters.run(submit(request_, picture(), REGION, picture(seed=9)), models)
    steps = [message for message in progress if isinstance(message, Progress)]
    assert [step.step for step in steps] == list(range(1, steps[-1].total + 1))
    assert isinstance(last, Result)


def test_the_style_has_its_say(models: Path) -> None:
    one, two = (
        array(result(submit(FAST, picture(), REGION, picture(seed=s)), models).picture) for s in (8, 9)
    )
    assert (one != two).any()


def test_a_preview_shows_the_region_alone(models: Path) -> None:
    wide = picture(width=900, height=90)
    first = next(filters.run(submit(DREAM, wide, Region(300, 0, 600, 60)), models))
    assert isinstance(first, Progress)
    assert first.preview is not None
    assert (first.preview.width, first.preview.height) == (256, 26)


@pytest.mark.parametrize(
    ("start", "length", "scaled", "expected"),
    [
        (0, 100, 50, slice(0, 50)),
        (50, 50, 50, slice(25, 50)),
        (99, 1, 10, slice(9, 10)),
        (3, 1, 200, slice(6, 8)),
    ],
)
def test_a_span_of_the_content_at_another_size(start: int, length: int, scaled: int, expected: slice) -> None:
    assert filters._span(start, length, 100, scaled) == expected


def test_previews_are_rare_and_steps_are_not(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def quick(content: Tensor, **_: Any) -> Iterator[Step]:
        for index in range(1, 101):
            yield Step(index, 100, content)

    clock = itertools.count(0.0, 0.01)
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    monkeypatch.setattr(deepdream, "dream", quick)
    *progress, _ = filters.run(submit(DREAM, picture()), models)
    assert len(progress) == 100
    assert 2 <= sum(isinstance(m, Progress) and m.preview is not None for m in progress) <= 4


def test_cancelling_closes_the_algorithm(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []

    def endless(content: Tensor, **_: Any) -> Iterator[Step]:
        try:
            for index in itertools.count(1):
                yield Step(index, 10**6, content)
        finally:
            closed.append(True)

    monkeypatch.setattr(deepdream, "dream", endless)
    messages = filters.run(submit(DREAM, picture()), models)
    next(messages)
    messages.close()
    assert closed == [True]


# ── What cannot be done ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("request_", [FAST, FINE], ids=["fast", "fine"])
def test_style_transfer_without_a_style_is_refused(models: Path, request_: Request) -> None:
    with pytest.raises(ValueError, match="at least one style"):
        result(submit(request_, picture()), models)


def test_a_picture_with_values_that_are_no_numbers_is_refused(models: Path) -> None:
    bad = Picture(96, 80, "Y", "f32", np.full(96 * 80, np.nan, "<f4").tobytes())
    with pytest.raises(ValueError, match="finite"):
        result(submit(DREAM, bad), models)


@pytest.mark.parametrize("request_", [DREAM, FAST, FINE], ids=["dream", "fast", "fine"])
def test_missing_weights_are_said_to_be_missing(tmp_path: Path, request_: Request) -> None:
    with pytest.raises(JobFailed, match=r"install\.py"):
        result(submit(request_, picture(), REGION, picture()), tmp_path)


def test_the_fine_method_does_without_the_fast_ones_decoder(models: Path, tmp_path: Path) -> None:
    network = next(models.glob("vgg19.*"))
    (tmp_path / network.name).symlink_to(network.resolve())
    assert result(submit(FINE, picture(), REGION, picture(seed=9)), tmp_path).picture.width == 50


def test_a_graphics_card_without_memory_hands_over_to_the_processor(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The "meta" device stands for a card: torch can put tensors there, but not their values."""

    def dream(content: Tensor, **_: Any) -> Iterator[Step]:
        yield Step(1, 2, torch.zeros(1, 3, 80, 96))
        if content.is_meta:
            raise torch.OutOfMemoryError
        yield Step(2, 2, content)

    monkeypatch.setattr(devices, "choose", lambda _: torch.device("meta"))
    monkeypatch.setattr(deepdream, "dream", dream)
    content = picture()
    made = result(submit(DREAM, content), models)
    assert bytes(made.picture.pixels) == bytes(crop(content, REGION).pixels)
    assert "processor" in made.note


def test_a_processor_without_memory_has_nobody_to_hand_over_to(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dream(content: Tensor, **_: Any) -> Iterator[Step]:
        yield Step(1, 2, content)
        raise torch.OutOfMemoryError

    monkeypatch.setattr(deepdream, "dream", dream)
    with pytest.raises(torch.OutOfMemoryError):
        result(submit(DREAM, picture()), models)
