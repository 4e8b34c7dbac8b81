"""Jobs with a previous frame: the results follow its motion; cuts and independent frames do not."""

from __future__ import annotations

import builtins
import functools
import itertools
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from atelier_shared.deepdream import DeepDream
from atelier_shared.messages import PreviousFrame, Region, Result, Submit
from atelier_shared.request import PaintingRequest
from atelier_shared.requests import Identity
from atelier_shared.style_transfer import StyleTransfer
from backend.jobs import run
from backend.jobs.picture_arrays import as_array, as_picture, crop

SAMPLES = Path(__file__).parents[2] / "samples"
HEIGHT, WIDTH = 64, 96
WHOLE, PART = Region(0, 0, WIDTH, HEIGHT), Region(16, 8, 64, 48)
FAST = StyleTransfer(method="fast", size=96, device="cpu")
METHODS: dict[str, Any] = {
    "fast": FAST,
    "light": replace(FAST, method="light"),
    "gallery": replace(FAST, method="gallery"),
    "luminance": replace(FAST, method="light", colours="luminance"),
    "enlarged": replace(FAST, size=64),
    "fine": replace(FAST, method="fine", iterations=4),
    "fine, enlarged": replace(FAST, method="fine", iterations=4, size=64),
    "dream": DeepDream(iterations=4, octaves=2, network="squeezenet", device="cpu", jitter=4),
    "dream in its colours": DeepDream(
        iterations=4, octaves=2, network="squeezenet", device="cpu", jitter=4, colours="kept"
    ),
}
Pixels = NDArray[np.uint8]


def photograph(name: str) -> Pixels:
    with Image.open(SAMPLES / f"{name}.jpg") as image:
        return np.asarray(image.convert("RGB").resize((2 * WIDTH, 2 * HEIGHT)))


def frames(count: int) -> list[Pixels]:
    """Return a photograph that moves to the left by two pixels a frame, with a little noise."""
    random, whole = np.random.default_rng(1), photograph("chelsea")
    cut_out = (whole[40 : 40 + HEIGHT, 20 + 2 * n : 20 + 2 * n + WIDTH] for n in range(count))
    return [np.clip(frame + random.normal(0, 2, frame.shape), 0, 255).astype(np.uint8) for frame in cut_out]


def made_of(
    request: PaintingRequest,
    frame: Pixels,
    previous: PreviousFrame | None,
    models: Path,
    region: Region = WHOLE,
) -> Result:
    style = as_picture(photograph("starry_night"), "RGB", "u8")
    job = Submit(7, request, as_picture(frame, "RGB", "u8"), region, (style,), previous=previous)
    *_, last = run.run(job, models)
    assert isinstance(last, Result)
    return last


def animated(
    request: PaintingRequest, given: list[Pixels], models: Path, region: Region = WHOLE
) -> list[Pixels]:
    """Return the results of frames, each with the one before."""
    results: list[Pixels] = []
    previous = None
    for frame in given:
        result = made_of(request, frame, previous, models, region)
        previous = PreviousFrame(as_picture(frame, "RGB", "u8"), result.picture)
        results.append(as_array(result.picture))
    return results


@functools.cache
def moving(request: PaintingRequest, models: Path) -> list[Pixels]:
    """Return the results of the first four moving frames; cached, because several tests compare them."""
    return animated(request, frames(4), models)


def flicker(results: list[Pixels]) -> float:
    """Return the mean square of what changes beyond the motion of two pixels a frame."""
    inner = [result[8:-8, 8:-8].astype(float) for result in results]
    return float(np.mean([np.square(b[:, :-2] - a[:, 2:]).mean() for a, b in itertools.pairwise(inner)]))


def sharpness(result: Pixels) -> float:
    gray = cv2.cvtColor(result, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float((gray - cv2.GaussianBlur(gray, (0, 0), 1.5)).std())


def cases(*methods: str) -> list[Any]:
    """Return test cases of methods; the quick run leaves out those that take a second or more."""
    quick = ("light", "gallery", "dream", "dream in its colours")
    return [pytest.param(each, marks=() if each in quick else pytest.mark.slow) for each in methods]


@pytest.mark.parametrize("method", cases(*METHODS))
def test_results_follow_the_motion_and_stay_sharp(models: Path, method: str) -> None:
    request, given = METHODS[method], frames(4)
    coherent = moving(request, models)
    alone = moving(replace(request, coherence=0.0), models)
    assert (coherent[0] == alone[0]).all()
    assert flicker(coherent) < 0.6 * flicker(alone)
    assert sharpness(coherent[-1]) > 0.85 * sharpness(alone[-1])
    amounts = [np.square(made[-1].astype(float) - given[-1]).mean() ** 0.5 for made in (coherent, alone)]
    assert 0.85 < amounts[0] / amounts[1] < 1.2


@pytest.mark.parametrize("method", cases("fast", "fine", "dream"))
def test_coherence_is_a_matter_of_degree(models: Path, method: str) -> None:
    request = METHODS[method]
    alone, full = (moving(replace(request, coherence=c), models)[1].astype(float) for c in (0.0, 1.0))
    half = animated(replace(request, coherence=0.5), frames(2), models)[1].astype(float)
    assert 0 < np.abs(half - alone).mean() < np.abs(full - alone).mean()


@pytest.mark.parametrize("method", cases("fine", "dream"))
def test_further_frames_have_their_own_number_of_iterations(models: Path, method: str) -> None:
    request, given = METHODS[method], frames(2)
    few, many = (animated(replace(request, further_iterations=n), given, models) for n in (1, 4))
    assert (few[0] == many[0]).all()
    assert (few[1] != many[1]).any()


@pytest.mark.parametrize("method", cases("fast", "fine", "dream"))
def test_a_new_scene_is_independent_of_the_last_one(models: Path, method: str) -> None:
    request = METHODS[method]
    cat, other = frames(1)[0], np.ascontiguousarray(photograph("coffee")[:HEIGHT, :WIDTH])
    _, after_a_cut = animated(request, [cat, other], models)
    assert (after_a_cut == as_array(made_of(request, other, None, models).picture)).all()


@pytest.mark.parametrize("method", cases("fast", "fine", "dream"))
def test_a_part_of_the_frames_follows_the_motion_as_well(models: Path, method: str) -> None:
    """Only the part of the previous result is known, so its surroundings add nothing to it."""
    request, given = METHODS[method], frames(3)
    coherent = animated(request, given, models, PART)
    alone = animated(replace(request, coherence=0.0), given, models, PART)
    assert flicker(coherent) < 0.8 * flicker(alone)
    amounts = [
        np.square(made[-1].astype(float) - as_array(crop(as_picture(given[-1], "RGB", "u8"), PART))).mean()
        for made in (coherent, alone)
    ]
    assert 0.7 < amounts[0] / amounts[1] < 1.4


def test_a_dream_s_amount_does_not_grow_over_the_frames(models: Path) -> None:
    given = frames(8)
    results = animated(METHODS["dream"], given, models)
    amounts = [np.square(a.astype(float) - b).mean() ** 0.5 for a, b in zip(results, given, strict=True)]
    assert max(amounts) / min(amounts) < 1.1


def test_independent_frames_ignore_a_previous_one(models: Path) -> None:
    first, second = frames(2)
    previous = PreviousFrame(as_picture(first, "RGB", "u8"), as_picture(first, "RGB", "u8"))
    request = replace(METHODS["light"], coherence=0.0)
    made = [made_of(request, second, each, models).picture for each in (previous, None)]
    assert bytes(made[0].pixels) == bytes(made[1].pixels)


def test_without_opencv_the_error_names_the_remedy(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = builtins.__import__

    def without_opencv(name: str, *rest: Any) -> Any:
        if name == "cv2":
            raise ImportError("No module named 'cv2'")
        return usual(name, *rest)

    for module in [name for name in sys.modules if name.startswith("backend.animation")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr("backend.animation", None, raising=False)
    monkeypatch.setattr(builtins, "__import__", without_opencv)
    first, second = frames(2)
    previous = PreviousFrame(as_picture(first, "RGB", "u8"), as_picture(first, "RGB", "u8"))
    with pytest.raises(ValueError, match=r"install.py --video"):
        made_of(METHODS["light"], second, previous, models)
    probe = Submit(1, Identity(), as_picture(second, "RGB", "u8"), WHOLE, previous=previous)
    with pytest.raises(ValueError, match=r"install.py --video"):
        list(run.run(probe, models))
