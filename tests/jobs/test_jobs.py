"""Jobs from request to result: region, channels and depth, settings, previews, errors, out of memory."""

from __future__ import annotations

import dataclasses
import functools
import gc
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from atelier_shared import estimate, gallery_styles, home
from atelier_shared.deepdream import DeepDream
from atelier_shared.errors import JobFailed
from atelier_shared.messages import CHANNELS, DEPTH_BYTES, Picture, Progress, Region, Result, Submit
from atelier_shared.request import Request
from atelier_shared.requests import Identity
from atelier_shared.settings import Choice, Number, Setting
from atelier_shared.settings import settings as settings_of
from atelier_shared.style_transfer import StyleTransfer
from atelier_shared.visualise import Visualise
from backend.command.picture_files import Canvas
from backend.compat import allocator, devices
from backend.dream import deepdream
from backend.imaging.step import Step, Steps
from backend.jobs import loaded_networks, picture_tensors, run
from backend.jobs.dispatch import ALGORITHMS
from backend.jobs.picture_arrays import DTYPES, crop
from backend.networks.feature_network import FeatureNetwork
from backend.networks.registry import load_gallery

SAMPLES = Path(__file__).parents[2] / "samples"
FORMATS = list(itertools.product(CHANNELS, DEPTH_BYTES))
REGION = Region(20, 10, 50, 40)
DREAM = DeepDream(iterations=1, octaves=1, device="cpu", network="squeezenet", layers="fire4")
FAST = StyleTransfer(method="fast", device="cpu")
FINE = StyleTransfer(iterations=2, size=64, device="cpu")
GALLERY = StyleTransfer(method="gallery", size=64, device="cpu")
LIGHT = StyleTransfer(method="light", size=64, device="cpu")
CLASSES = Visualise(iterations=1, size=64, device="cpu", network="squeezenet", classes="tench")
CHANNELS_OF_A_LAYER = dataclasses.replace(
    CLASSES, units="channels", layer="fire2", channels="1-2", iterations=2, step_size=0.5
)
NOT_ENLARGED = dataclasses.replace(FINE, size=96)
EVERY = {
    "dream": DREAM,
    "fast": FAST,
    "fine": FINE,
    "gallery": GALLERY,
    "light": LIGHT,
    "visualise": CHANNELS_OF_A_LAYER,
}
AnyRequest = StyleTransfer | DeepDream | Visualise


@pytest.fixture(scope="module")
def models(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Link the real weights into a folder of this module, because speeds are noted beside it."""
    home = tmp_path_factory.mktemp("home")
    (home / "models").symlink_to(models)
    return home / "models"


def picture(
    channels: str = "RGB", depth: str = "u8", width: int = 96, height: int = 80, seed: int = 5
) -> Picture:
    """Return smooth random colours; in a picture with alpha the left half is transparent."""
    coarse = torch.rand(1, CHANNELS[channels], 5, 6, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0].permute(1, 2, 0)
    if channels.endswith("A"):
        smooth[:, : width // 2, -1] = 0
    scale = {"u8": 255, "u16": 65535, "f32": 1.0}[depth]
    return Picture(width, height, channels, depth, (smooth.numpy() * scale).astype(DTYPES[depth]).tobytes())


STYLE = picture(seed=9, height=40)


def photograph(name: str) -> Tensor:
    return picture_tensors.read(Canvas.load(SAMPLES / f"{name}.jpg").picture).image


def submit(request: Request, content: Picture, region: Region = REGION, *styles: Picture) -> Submit:
    return Submit(42, request, content, region, styles)


def result(job: Submit, models: Path) -> Result:
    *_, last = run.run(job, models)
    assert isinstance(last, Result)
    assert last.job == job.job
    return last


@functools.cache
def made_of(request: Request, models: Path) -> Picture:
    """Return the result of a request for fixed pictures; cached."""
    return result(submit(request, picture(), REGION, STYLE), models).picture


def array(made: Picture) -> np.ndarray[Any, Any]:
    return np.frombuffer(made.pixels, DTYPES[made.depth]).reshape(made.height, made.width, -1)


# ── Identity ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("channels", "depth"), FORMATS)
def test_identity_returns_the_region_bit_for_bit(channels: str, depth: str, tmp_path: Path) -> None:
    content = picture(channels, depth)
    (only,) = run.run(submit(Identity(), content), tmp_path)
    assert isinstance(only, Result)
    assert (array(only.picture) == array(content)[10:50, 20:70]).all()


def test_identity_of_a_whole_picture_is_not_a_copy(tmp_path: Path) -> None:
    content = picture()
    assert result(submit(Identity(), content, Region(0, 0, 96, 80)), tmp_path).picture is content


# ── DeepDream and style transfer ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("channels", "depth"), FORMATS)
def test_a_dream_has_the_content_s_channels_and_depth(models: Path, channels: str, depth: str) -> None:
    content = picture(channels, depth)
    made = result(submit(DREAM, content), models).picture
    assert (made.width, made.height, made.channels, made.depth) == (50, 40, channels, depth)
    before, after = array(crop(content, REGION)), array(made)
    if channels.endswith("A"):
        assert (after[..., -1] == before[..., -1]).all()
    assert (after[:, 28:, 0] != before[:, 28:, 0]).mean() > 0.5  # right of the transparent half


def test_a_gray_picture_gives_the_dream_of_the_same_picture_in_rgb(models: Path) -> None:
    gray = picture("Y", "f32")
    twin = Picture(96, 80, "RGB", "f32", np.repeat(array(gray), 3, axis=2).tobytes())
    of_gray, of_twin = (array(result(submit(DREAM, p), models).picture) for p in (gray, twin))
    assert of_gray[..., 0] == pytest.approx(of_twin @ np.array([0.2126, 0.7152, 0.0722]), abs=1e-5)


def test_the_region_is_cropped_from_the_dream_of_the_whole_picture(models: Path) -> None:
    content = picture()
    whole = result(submit(DREAM, content, Region(0, 0, 96, 80)), models).picture
    assert bytes(result(submit(DREAM, content), models).picture.pixels) == bytes(crop(whole, REGION).pixels)


def test_colours_of_transparent_pixels_have_no_effect(models: Path) -> None:
    content = picture("RGBA")
    values = array(content).copy()
    values[:, :48, :3] = 255 - values[:, :48, :3]
    other = dataclasses.replace(content, pixels=values.tobytes())
    one, two = (array(result(submit(DREAM, p), models).picture) for p in (content, other))
    assert (one[:, 28:] == two[:, 28:]).all()


@pytest.mark.parametrize("method", EVERY)
def test_the_same_request_gives_the_same_pixels(models: Path, method: str) -> None:
    again = result(submit(EVERY[method], picture(), REGION, STYLE), models).picture
    assert bytes(made_of(EVERY[method], models).pixels) == bytes(again.pixels)


@pytest.mark.parametrize("request_", EVERY.values(), ids=EVERY.keys())
def test_progress_counts_to_its_total(models: Path, request_: Request) -> None:
    *progress, last = run.run(submit(request_, picture(), REGION, picture(seed=9)), models)
    steps = [message for message in progress if isinstance(message, Progress)]
    numbers, (total,) = [step.step for step in steps], {step.total for step in steps}
    assert numbers[0] >= 1 and numbers == sorted(numbers) and numbers[-1] == total
    assert isinstance(last, Result)


def change(one: Picture, two: Picture) -> float:
    return float(np.abs(array(one).astype(float) - array(two)).mean())


MATCHED = dataclasses.replace(FAST, colours="matched")
LUMINANCE = dataclasses.replace(FAST, colours="luminance")
KEPT = dataclasses.replace(DREAM, colours="kept")
NOISE = dataclasses.replace(DREAM, start="noise")
GUIDED = dataclasses.replace(DREAM, objective="guide")
OF_A_CLASS = dataclasses.replace(DREAM, objective="class", imagenet_class="tench")
OF_TWO_OCTAVES = dataclasses.replace(DREAM, octaves=2)
OTHER_STYLE = list(gallery_styles.GALLERY)[7]

CHANGES: list[tuple[AnyRequest, dict[str, Any]]] = [
    (FAST, {"method": "light"}),
    (FAST, {"strength": 0.5}),
    (FAST, {"style_size": 0.5}),
    (FAST, {"style_shape": "stretch"}),
    (FAST, {"colours": "luminance"}),
    (FAST, {"colours": "matched"}),
    (FAST, {"size": 64}),
    (LIGHT, {"photo_detail": 1.0}),
    (FINE, {"objective": "statistics"}),
    (FAST, {"objective": "statistics"}),
    (FINE, {"iterations": 4}),
    (FINE, {"start": "content"}),
    (FINE, {"start": "noise"}),
    (FINE, {"optimizer": "adam"}),
    (FINE, {"pooling": "average"}),
    (FINE, {"content_weight": 50.0}),
    (FINE, {"style_weight": 50.0}),
    (FINE, {"smoothness": 50.0}),
    (FINE, {"network": "squeezenet"}),
    (FINE, {"content_layers": "relu3_1"}),
    (FINE, {"style_layers": "relu1_1, relu2_1:0.5"}),
    (FINE, {"seed": 1}),
    (GALLERY, {"gallery_style": OTHER_STYLE}),
    (GALLERY, {"gallery_mix": f"{OTHER_STYLE}:0.5"}),
    (DREAM, {"objective": "guide"}),
    (DREAM, {"layers": "fire2, fire5:0.5"}),
    (DREAM, {"channels": "3-5"}),
    (DREAM, {"strength": 0.5}),
    (DREAM, {"start": "noise"}),
    (DREAM, {"iterations": 2}),
    (DREAM, {"step_size": 0.05}),
    (DREAM, {"octaves": 2}),
    (OF_TWO_OCTAVES, {"octave_scale": 1.8}),
    (DREAM, {"jitter": 0}),
    (DREAM, {"smoothing": "gaussian"}),
    (DREAM, {"colours": "kept"}),
    (DREAM, {"zoom": 1.2}),
    (DREAM, {"size": 64}),
    (dataclasses.replace(DREAM, size=64, iterations=2), {"largest_octave": "working"}),
    (DREAM, {"network": "inception-v3", "layers": ""}),
    (DREAM, {"seed": 1}),
    (OF_A_CLASS, {"imagenet_class": "goldfish"}),
    (CHANNELS_OF_A_LAYER, {"units": "classes"}),
    (CLASSES, {"classes": "tench, goldfish"}),
    (CHANNELS_OF_A_LAYER, {"network": "vgg16", "layer": "relu1_1"}),
    (CHANNELS_OF_A_LAYER, {"layer": "fire3"}),
    (CHANNELS_OF_A_LAYER, {"channels": "3"}),
    (CHANNELS_OF_A_LAYER, {"iterations": 4}),
    (CHANNELS_OF_A_LAYER, {"step_size": 1.5}),
    (CHANNELS_OF_A_LAYER, {"robustness": 0.0}),
    (CHANNELS_OF_A_LAYER, {"smoothness": 0.5}),
    (CHANNELS_OF_A_LAYER, {"saturation": 3.0}),
    (CHANNELS_OF_A_LAYER, {"size": 90}),
    (CHANNELS_OF_A_LAYER, {"seed": 1}),
]
UNCHANGED = {"quality", "style_weights", "tolerance", "device", "coherence", "further_iterations"}
"""These need a larger picture, several styles, many steps, several devices or several frames; other tests
cover them."""


def called(parameter: AnyRequest | dict[str, Any] | tuple[str, ...]) -> str:
    """Return a short name for a parameter of a test."""
    match parameter:
        case StyleTransfer():
            return parameter.method
        case DeepDream():
            return parameter.objective
        case Visualise():
            return parameter.units
    return ", ".join(parameter)


@pytest.mark.parametrize(("base", "changed"), CHANGES, ids=called)
def test_every_setting_changes_the_picture(models: Path, base: AnyRequest, changed: dict[str, Any]) -> None:
    made = made_of(dataclasses.replace(base, **changed), models)
    assert change(made_of(base, models), made) > 0.01


def test_strength_mixes_the_gallery_s_painting_with_the_photo(models: Path) -> None:
    half, full = (array(made_of(dataclasses.replace(GALLERY, strength=s), models)) for s in (0.5, 1.0))
    expected = (array(crop(picture(), REGION)).astype(float) + full) / 2
    assert np.abs(half - expected).max() <= 1


@pytest.mark.parametrize("depth", DEPTH_BYTES)
def test_without_an_effect_a_picture_of_any_colour_space_keeps_every_bit(models: Path, depth: str) -> None:
    """Its random colours, most of them beyond sRGB, are those of Adobe RGB."""
    adobe = (1.3983, -0.3983, 0.0, 0.0, 1.0, 0.0, 0.0, -0.0429, 1.0429)
    values = np.random.default_rng(1).random((80, 96, 4)) * {"u8": 255, "u16": 65535, "f32": 1}[depth]
    pixels = values.astype(DTYPES[depth]).tobytes()
    content = Picture(96, 80, "RGBA", depth, pixels, to_srgb=adobe, gamma=2.2)
    made = result(submit(dataclasses.replace(DREAM, strength=0), content), models).picture
    assert made == crop(content, REGION)


@pytest.mark.slow
def test_a_layer_above_the_working_size_gets_strokes_of_its_own_size(models: Path) -> None:
    """The result has more of the finest detail than the enlarged painting, in a style with a fine texture."""
    small, large = (picture(width=side, height=side) for side in (64, 256))
    style = Canvas.load(SAMPLES / "starry_night.jpg").picture

    def detail(request: StyleTransfer, content: Picture) -> float:
        whole = Region(0, 0, content.width, content.height)
        made = array(result(submit(request, content, whole, style), models).picture).astype(float)
        return float(np.square(np.diff(made, axis=1)).mean())

    for base in (FINE, FAST, GALLERY, LIGHT):
        request = dataclasses.replace(base, size=64)
        assert detail(request, large) > detail(request, small) / 4, "an enlargement by 4 has a sixteenth"


def test_the_quality_determines_the_working_size(models: Path) -> None:
    wide, whole = picture(width=600, height=60), Region(0, 0, 600, 60)
    draft, good, best = (
        result(submit(dataclasses.replace(GALLERY, size=0, quality=quality), wide, whole), models).picture
        for quality in ("draft", "good", "best")
    )
    assert change(draft, good) > 0.01
    assert bytes(good.pixels) == bytes(best.pixels), "both are larger than the picture"


@pytest.mark.parametrize("kind", ALGORITHMS)
def test_every_setting_is_tested(kind: type[AnyRequest]) -> None:
    changed = {name for base, settings in CHANGES if isinstance(base, kind) for name in settings}
    assert not changed & UNCHANGED
    assert changed == {setting.name for setting in settings_of(kind)} - UNCHANGED


def another(setting: Setting, value: object) -> Any:
    """Return another valid value of a setting, as different as possible."""
    match setting:
        case Number():
            return setting.high if value != setting.high else setting.low
        case Choice():
            return [option for option in setting.options if option != value][-1]
    texts = {"style_weights": "1, 2", "classes": "goldfish", "gallery_mix": OTHER_STYLE, "channels": "3-5"}
    return texts.get(setting.name, "fire3")


def without_effect() -> Iterator[tuple[AnyRequest, tuple[str, ...]]]:
    """Yield a request for every value with settings declared as without effect, and these settings."""
    dreams = {"activation": DREAM, "class": OF_A_CLASS, "guide": GUIDED}
    units = {"classes": CLASSES, "channels": CHANNELS_OF_A_LAYER}
    by_value: dict[str, Any] = EVERY | dreams | units
    for kind in (StyleTransfer, DeepDream, Visualise):
        options = {s.name: s.options for s in settings_of(kind) if isinstance(s, Choice)}
        for condition in kind.conditions:
            for value in options[condition.depends_on].keys() - set(condition.values):
                assert getattr(by_value[value], condition.depends_on) == value
                yield by_value[value], condition.settings


@pytest.mark.parametrize(("base", "idle"), sorted(without_effect(), key=str), ids=called)
def test_settings_without_effect_change_no_bit(models: Path, base: AnyRequest, idle: tuple[str, ...]) -> None:
    changed = {s.name: another(s, getattr(base, s.name)) for s in settings_of(type(base)) if s.name in idle}
    assert len(changed) == len(idle)
    made = made_of(dataclasses.replace(base, **changed), models)
    assert bytes(made.pixels) == bytes(made_of(base, models).pixels)


@pytest.mark.slow
@pytest.mark.parametrize(("of", "like"), [("coffee", "starry_night"), ("starry_night", "coffee")])
def test_a_matched_style_gives_the_content_s_colours(models: Path, of: str, like: str) -> None:
    content, style = (picture_tensors.preview(photograph(name), 192) for name in (of, like))
    whole = Region(0, 0, content.width, content.height)
    away = []
    for request in (FAST, MATCHED):
        made = result(submit(request, content, whole, style), models).picture
        mean = array(made).mean(axis=(0, 1)) - array(content).mean(axis=(0, 1))
        away.append(np.abs(mean).mean())
    in_the_styles_colours, matched = away
    assert matched < in_the_styles_colours / 4


def test_the_weights_of_styles_determine_their_effect(models: Path) -> None:
    styles = [picture(seed=seed) for seed in (8, 9)]
    request = dataclasses.replace(FAST, style_weights="1000, 0.001")
    first = result(submit(FAST, picture(), REGION, styles[0]), models).picture
    mixed = result(submit(FAST, picture(), REGION, *styles), models).picture
    weighted = result(submit(request, picture(), REGION, *styles), models).picture
    assert change(first, weighted) < 0.5 < change(first, mixed)


@pytest.mark.parametrize("request_", [FAST, FINE], ids=["fast", "fine"])
def test_hidden_pixels_of_a_style_have_no_effect(models: Path, request_: StyleTransfer) -> None:
    style = picture("RGBA", seed=9)
    values = array(style).copy()
    values[:, :48, :3] = 255 - values[:, :48, :3]
    inverted = dataclasses.replace(style, pixels=values.tobytes())
    one, two = (result(submit(request_, picture(), REGION, s), models).picture for s in (style, inverted))
    assert (array(one) == array(two)).all()
    values[..., 3] = 255
    opaque = dataclasses.replace(style, pixels=values.tobytes())
    assert change(one, result(submit(request_, picture(), REGION, opaque), models).picture) > 1


@pytest.mark.parametrize("request_", [LUMINANCE, KEPT], ids=["luminance", "kept"])
def test_kept_colours_are_the_content_s(models: Path, request_: Request) -> None:
    content = picture(depth="f32")
    made = result(submit(request_, content, REGION, picture(seed=9)), models).picture
    before, after = array(crop(content, REGION)), array(made)
    inside = (after > 0.002).all(axis=-1) & (after < 0.998).all(axis=-1)
    difference = (after - before)[inside]
    assert inside.mean() > 0.3
    assert np.abs(difference - difference.mean(axis=-1, keepdims=True)).max() < 1e-4, "chroma has changed"


def test_noise_makes_an_opaque_picture_of_a_blank_layer(models: Path) -> None:
    blank = Picture(96, 80, "RGBA", "u8", bytes(96 * 80 * 4))
    made = array(result(submit(NOISE, blank), models).picture)
    assert (made[..., 3] == 255).all()
    assert made[..., :3].std() > 1
    other = result(submit(NOISE, picture("RGBA", seed=6)), models).picture
    assert (array(other) == made).all(), "the picture's content is ignored"


def test_transparent_pixels_are_zoomed_and_not_dreamt_upon(models: Path) -> None:
    """A hole of 24 × 20 pixels becomes one of 36 × 30, whose rim covers visible pixels."""
    values = array(picture("RGBA")).copy()
    values[..., 3] = 255
    values[30:50, 36:60, 3] = 0
    content = dataclasses.replace(picture("RGBA"), pixels=values.tobytes())
    request = dataclasses.replace(DREAM, zoom=1.5)
    made = array(result(submit(request, content, Region(0, 0, 96, 80)), models).picture)
    zoomed = deepdream.zoomed(picture_tensors.read(content).image, request.zoom)
    undreamt = array(picture_tensors.write(zoomed, content))
    assert (made[..., 3] == values[..., 3]).all()
    assert (made[28:52, 33:63] == undreamt[28:52, 33:63]).all()
    assert (made[:22] != undreamt[:22]).mean() > 0.5


def test_a_class_to_dream_of_is_given_by_name_or_number(models: Path) -> None:
    named, numbered, other = (
        result(submit(dataclasses.replace(DREAM, objective="class", imagenet_class=text), picture()), models)
        for text in ("Golden Retriever", "207", "tench")
    )
    assert (array(named.picture) == array(numbered.picture)).all()
    assert change(named.picture, other.picture) > 0.01


@pytest.mark.parametrize("asked_for", ["auto", devices.choose("auto").type])
def test_the_speed_is_noted_for_the_device_and_for_auto(models: Path, asked_for: str) -> None:
    request = dataclasses.replace(FAST, device=asked_for)
    (models.parent / home.SLOWNESS_FILE).unlink(missing_ok=True)
    result(submit(request, picture(), REGION, picture(seed=9)), models)
    slowness = estimate.read_slowness(models.parent)
    for device in ("auto", devices.choose("auto").type):
        assert estimate.estimate(dataclasses.replace(request, device=device), 96, 80, slowness)


def finished_early(job: Submit, models: Path, after: int = 1) -> Result:
    """Run a job, finish it early after so many steps and return its result."""
    messages = run.run(job, models)
    *_, message = itertools.islice(messages, after)
    while not isinstance(message, Result):
        message = messages.send(True)
    return message


def test_a_dream_finished_early_equals_a_dream_of_as_many_steps(models: Path) -> None:
    content = picture("RGBA", "u16")
    for changed in (DREAM, dataclasses.replace(DREAM, colours="kept", size=64, largest_octave="working")):
        kept = finished_early(submit(dataclasses.replace(changed, iterations=4), content), models, after=2)
        assert kept == result(submit(dataclasses.replace(changed, iterations=2), content), models)
        assert (kept.picture.width, kept.picture.height, kept.note) == (50, 40, "")


@pytest.mark.parametrize("after", [1, 2])
def test_fine_finished_early_equals_a_run_of_as_many_steps(models: Path, after: int) -> None:
    request = dataclasses.replace(FINE, start="content")
    job = submit(dataclasses.replace(request, iterations=4), picture(), REGION, STYLE)
    fewer = submit(dataclasses.replace(request, iterations=after), picture(), REGION, STYLE)
    assert finished_early(job, models, after) == result(fewer, models)


def test_fine_finished_during_its_draft_gives_the_fast_pastiche(models: Path) -> None:
    fast = result(submit(FAST, picture(), REGION, STYLE), models).picture
    steps = len(list(run.run(submit(FAST, picture(), REGION, STYLE), models))) - 1
    job = submit(NOT_ENLARGED, picture(), REGION, STYLE)
    for after in range(1, steps + 1):
        assert change(finished_early(job, models, after).picture, fast) < 0.01
    assert change(finished_early(job, models, steps + 1).picture, fast) > 0.1


@pytest.mark.parametrize("method", ["fast", "gallery", "light"])
def test_one_pass_methods_finish_their_pass(models: Path, method: str) -> None:
    kept = finished_early(submit(EVERY[method], picture(), REGION, STYLE), models).picture
    assert bytes(kept.pixels) == bytes(made_of(EVERY[method], models).pixels)


@pytest.mark.parametrize("method", EVERY)
def test_the_speed_of_a_job_finished_early_is_not_noted(models: Path, method: str) -> None:
    job = submit(EVERY[method], picture(), REGION, STYLE)
    result(job, models)
    before = (models.parent / home.SLOWNESS_FILE).read_bytes()
    finished_early(job, models)
    assert (models.parent / home.SLOWNESS_FILE).read_bytes() == before
    result(job, models)
    assert (models.parent / home.SLOWNESS_FILE).read_bytes() != before


def test_the_gallery_s_network_has_every_offered_style(models: Path) -> None:
    network = load_gallery(models, torch.device("cpu"))
    lengths = {layer.gamma.in_features for layer in network.layers() if layer.gamma is not None}
    assert lengths == {len(gallery_styles.GALLERY)}


@pytest.mark.parametrize("colours", ["style", "matched"])
def test_the_frame_of_a_style_has_no_effect(models: Path, colours: str) -> None:
    framed = np.zeros((46, 102, 3), np.uint8)
    framed[3:43, 3:99] = array(STYLE)
    request_ = dataclasses.replace(FAST, colours=colours)
    scan = Picture(102, 46, "RGB", "u8", framed.tobytes())
    one, two = (result(submit(request_, picture(), REGION, style), models) for style in (STYLE, scan))
    assert bytes(one.picture.pixels) == bytes(two.picture.pixels)


def test_the_style_changes_the_picture(models: Path) -> None:
    one, two = (
        array(result(submit(FAST, picture(), REGION, picture(seed=s)), models).picture) for s in (8, 9)
    )
    assert (one != two).any()


def test_a_preview_shows_only_the_region(models: Path) -> None:
    wide = picture(width=900, height=90)
    first = next(run.run(submit(DREAM, wide, Region(300, 0, 600, 60)), models))
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
def test_a_span_is_scaled_to_another_size(start: int, length: int, scaled: int, expected: slice) -> None:
    assert run._span(start, length, 100, scaled) == expected


def test_previews_are_limited_in_time_and_steps_are_not(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def quick(content: Tensor, *_: Any, **__: Any) -> Iterator[Step]:
        for index in range(1, 101):
            yield Step(index, 100, content)

    clock = itertools.count(0.0, 0.01)
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    monkeypatch.setattr(deepdream, "dream", quick)
    *progress, _ = run.run(submit(DREAM, picture()), models)
    assert len(progress) == 100
    assert 2 <= sum(isinstance(m, Progress) and m.preview is not None for m in progress) <= 4


def test_cancelling_closes_the_algorithm(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []

    def endless(content: Tensor, *_: Any, **__: Any) -> Iterator[Step]:
        try:
            for index in itertools.count(1):
                yield Step(index, 10**6, content)
        finally:
            closed.append(True)

    monkeypatch.setattr(deepdream, "dream", endless)
    messages = run.run(submit(DREAM, picture()), models)
    next(messages)
    messages.close()
    assert closed == [True]


def traces(models: Path) -> tuple[int, int, int, bool, bytes, dict[Path, bytes]]:
    """Return possible traces of a job: tensors, torch's settings and random state, files."""
    gc.collect()
    alive = [each.numel() for each in gc.get_objects() if type(each) is Tensor]
    files = {file: file.read_bytes() for file in models.parent.iterdir() if file.is_file()}
    settings = torch.get_num_threads(), torch.is_grad_enabled(), torch.get_rng_state().numpy().tobytes()
    return len(alive), sum(alive), *settings, files


@functools.cache
def steps_of(method: str, models: Path) -> int:
    """Run a job, so that its networks are loaded, and return the number of its steps."""
    return len(list(run.run(submit(EVERY[method], picture(), REGION, STYLE), models))) - 1


@pytest.mark.slow
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0], ids=["first", "middle", "last"])
@pytest.mark.parametrize("method", EVERY)
def test_cancelling_at_any_step_leaves_no_traces(models: Path, method: str, place: float) -> None:
    job, steps = submit(EVERY[method], picture(), REGION, STYLE), steps_of(method, models)
    before = traces(models)
    messages = run.run(job, models)
    taken = list(itertools.islice(messages, 1 + round(place * (steps - 1))))
    assert isinstance(taken.pop(), Progress)
    messages.close()
    taken.clear()
    assert traces(models) == before
    assert bytes(result(job, models).picture.pixels) == bytes(made_of(EVERY[method], models).pixels)


@pytest.mark.parametrize(("width", "height"), [(60, 3), (1, 1)])
@pytest.mark.parametrize("method", EVERY)
def test_tiny_pictures_and_styles_are_painted(models: Path, method: str, width: int, height: int) -> None:
    content, whole = picture(width=width, height=height), Region(0, 0, width, height)
    made = result(submit(EVERY[method], content, whole, picture(width=1, height=1)), models).picture
    assert (made.width, made.height) == (width, height)
    assert change(content, made) > 0.01


# ── Errors ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("request_", [FAST, FINE, LIGHT], ids=["fast", "fine", "light"])
def test_style_transfer_without_a_style_is_refused(models: Path, request_: Request) -> None:
    with pytest.raises(ValueError, match="Choose a style picture"):
        result(submit(request_, picture()), models)


def test_a_picture_with_undefined_values_is_refused(models: Path) -> None:
    bad = Picture(96, 80, "Y", "f32", np.full(96 * 80, np.nan, "<f4").tobytes())
    with pytest.raises(ValueError, match="infinite"):
        result(submit(DREAM, bad), models)


WRONG: dict[str, tuple[AnyRequest, str]] = {
    "a layer": (dataclasses.replace(DREAM, layers="Mixed_9z"), "Mixed_9z.*fire2"),
    "a style layer": (dataclasses.replace(FINE, style_layers="relu9_9"), "relu9_9.*relu4_1"),
    "channels": (dataclasses.replace(DREAM, channels="5000"), "channels 0 to"),
    "a class": (
        dataclasses.replace(DREAM, objective="class", imagenet_class="goldn retriver"),
        "golden retriever",
    ),
    "no class": (dataclasses.replace(DREAM, objective="class"), "Enter the name of a class"),
    "no classifier": (
        dataclasses.replace(DREAM, network="inception-v3", objective="class", imagenet_class="tench"),
        "has no classes. Choose one",
    ),
    "weights for more styles": (dataclasses.replace(FAST, style_weights="1, 2"), "2 weights for 1"),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "sentence"), WRONG.values(), ids=WRONG.keys())
def test_an_unknown_value_is_refused_with_the_possible_ones(
    models: Path, request_: AnyRequest, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        result(submit(request_, picture(), REGION, picture(seed=9)), models)


@pytest.mark.parametrize("request_", [MATCHED, FAST, GUIDED], ids=["matched", "fast", "guide"])
def test_a_fully_transparent_style_or_guide_is_refused(models: Path, request_: Request) -> None:
    blank = Picture(96, 40, "RGBA", "u8", bytes(96 * 40 * 4))
    with pytest.raises(ValueError, match=r"The (style|guide) picture is fully transparent"):
        result(submit(request_, picture(), REGION, blank), models)


def test_a_style_cannot_be_matched_to_a_fully_transparent_layer(models: Path) -> None:
    blank = Picture(96, 80, "RGBA", "u8", bytes(96 * 80 * 4))
    with pytest.raises(ValueError, match="fully transparent"):
        result(submit(MATCHED, blank, REGION, STYLE), models)


def test_the_gallery_needs_neither_styles_nor_their_weights(models: Path) -> None:
    request = dataclasses.replace(GALLERY, style_weights="1, 2, 3")
    made = result(submit(request, picture(), REGION), models).picture
    assert bytes(made.pixels) == bytes(made_of(GALLERY, models).pixels)


def test_the_steps_of_fine_include_its_fast_draft(models: Path) -> None:
    *steps, _ = run.run(submit(NOT_ENLARGED, picture(), REGION, STYLE), models)
    assert [(step.step, step.total) for step in steps if isinstance(step, Progress)] == [
        (index, 4) for index in range(1, 5)
    ]
    *steps, _ = run.run(submit(dataclasses.replace(FINE, strength=0), picture(), REGION, STYLE), models)
    assert len(steps) == 1


def test_a_dream_of_a_guide_without_one_is_refused(models: Path) -> None:
    with pytest.raises(ValueError, match="Choose a guide picture"):
        result(submit(GUIDED, picture()), models)


@pytest.mark.parametrize("request_", [LIGHT, DREAM], ids=["light", "dream"])
def test_memory_is_returned_at_once_where_a_layer_is_painted_at_its_own_size(
    models: Path, request_: StyleTransfer | DeepDream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept blocks of a 24-megapixel layer would take gigabytes."""
    pixels: list[int] = []
    monkeypatch.setattr(allocator, "keep_for", pixels.append)
    result(
        submit(
            dataclasses.replace(request_, size=64),
            picture(width=300, height=200),
            Region(0, 0, 300, 200),
            STYLE,
        ),
        models,
    )
    assert pixels[-1] == 300 * 200


BLANK = Picture(96, 80, "RGBA", "u8", bytes(96 * 80 * 4))


@pytest.mark.parametrize("name", sorted(EVERY.keys() - {"visualise"}))
def test_a_fully_transparent_layer_is_refused(models: Path, name: str) -> None:
    with pytest.raises(ValueError, match="transparent"):
        result(submit(EVERY[name], BLANK, REGION, picture(seed=9)), models)


def test_a_visualisation_replaces_even_a_transparent_layer(models: Path) -> None:
    made = array(result(submit(CHANNELS_OF_A_LAYER, BLANK), models).picture)
    assert (made[..., 3] == 255).all() and made[..., :3].std() > 1


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (Visualise(network="vgg16"), "no classes. Choose one with classes, such as efficientnet-lite0"),
        (dataclasses.replace(CHANNELS_OF_A_LAYER, layer="fire99"), "no layer fire99. Choose from conv1"),
        (dataclasses.replace(CHANNELS_OF_A_LAYER, channels="500"), "has the channels 0 to 127, not 500"),
    ],
)
def test_a_visualisation_names_what_the_network_does_not_have(
    models: Path, request_: Visualise, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        result(submit(request_, picture()), models)


def test_without_channels_all_of_a_layer_are_shown(models: Path) -> None:
    request = dataclasses.replace(CHANNELS_OF_A_LAYER, channels="", network="squeezenet", layer="conv1")
    layers = [
        (message.step, message.total)
        for message in run.run(submit(request, picture()), models)
        if isinstance(message, Progress)
    ]
    assert layers[-1] == (2, 2), "64 small pictures are made together"


@pytest.mark.parametrize("request_", EVERY.values(), ids=EVERY.keys())
def test_missing_weights_are_reported(tmp_path: Path, request_: Request) -> None:
    with pytest.raises(JobFailed, match=r"install\.py"):
        result(submit(request_, picture(), REGION, picture()), tmp_path)


def test_fine_works_without_the_weights_of_its_fast_draft(models: Path, tmp_path: Path) -> None:
    network = next(models.glob("vgg19.*"))
    (tmp_path / network.name).symlink_to(network.resolve())
    job = submit(NOT_ENLARGED, picture(), REGION, picture(seed=9))
    assert result(job, tmp_path).picture.width == 50


@pytest.mark.slow
@pytest.mark.parametrize("request_", [DREAM, FAST, dataclasses.replace(FINE, size=320)], ids=str)
def test_out_of_memory_the_job_restarts_with_smaller_tiles_and_notes_it(
    models: Path, monkeypatch: pytest.MonkeyPatch, request_: Request
) -> None:
    job = submit(request_, picture(width=320, height=48), Region(0, 0, 320, 48), STYLE)
    wanted, features, refused = result(job, models), FeatureNetwork.features, list[int]()
    loaded_networks.forget()  # with the remembered features of these pictures

    def with_little_memory(network: FeatureNetwork, part: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        if (longest := max(part.shape[-2:])) > 300:
            refused.append(longest)
            raise RuntimeError("MPS backend out of memory")
        return features(network, part, layers)

    monkeypatch.setattr(FeatureNetwork, "features", with_little_memory)
    made = result(job, models)
    assert 1 <= len(refused) <= 2
    assert change(made.picture, wanted.picture) < 1
    assert (wanted.note, made.note) == ("", run.SMALLER_TILES)


def test_out_of_memory_on_a_graphics_card_the_processor_takes_over(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The "meta" device stands for a card: its tensors have no values."""

    def dream(content: Tensor, *_: Any, **__: Any) -> Iterator[Step]:
        yield Step(1, 2, torch.zeros(1, 3, 80, 96))
        if content.is_meta:
            raise RuntimeError("MPS backend out of memory")
        yield Step(2, 2, content)

    monkeypatch.setattr(devices, "choose", lambda _: torch.device("meta"))
    monkeypatch.setattr(deepdream, "dream", dream)
    content = picture()
    made = result(submit(DREAM, content), models)
    assert bytes(made.picture.pixels) == bytes(crop(content, REGION).pixels)
    assert "processor" in made.note


def test_a_job_finished_early_takes_one_step_on_the_processor_that_takes_over(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dream(content: Tensor, *_: Any, **__: Any) -> Steps:
        finish_early = yield Step(1, 3, torch.zeros(1, 3, 80, 96))
        if content.is_meta:
            raise RuntimeError("MPS backend out of memory")
        if not finish_early:
            yield Step(2, 3, torch.zeros(1, 3, 80, 96))
        yield Step(3, 3, content)

    monkeypatch.setattr(devices, "choose", lambda _: torch.device("meta"))
    monkeypatch.setattr(deepdream, "dream", dream)
    messages = run.run(submit(DREAM, picture()), models)
    said = [next(messages), *(messages.send(True) for _ in range(5))]
    assert [message.step for message in said if isinstance(message, Progress)] == [1, 1, 1, 1, 3]
    assert isinstance(said[-1], Result) and "processor" in said[-1].note


def test_out_of_memory_on_the_processor_the_job_fails(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dream(content: Tensor, *_: Any, **__: Any) -> Iterator[Step]:
        yield Step(1, 2, content)
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    monkeypatch.setattr(deepdream, "dream", dream)
    with pytest.raises(MemoryError):
        result(submit(DREAM, picture()), models)
