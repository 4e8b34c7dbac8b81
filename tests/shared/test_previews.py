"""The requests of previews: a quick one, and one like the run's at the size of a preview."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atelier_shared.deepdream import LARGEST_PREVIEW_STEP, VISIBLE_OCTAVE_PX, DeepDream
from atelier_shared.networks import DEEPDREAM, NETWORKS, network_options
from atelier_shared.presets import PRESETS
from atelier_shared.request import LARGEST_PREVIEW_PX, PREVIEW_PX, Preview
from atelier_shared.requests import Identity
from atelier_shared.sizes import fit
from atelier_shared.style_transfer import QUICK_PIXELS, QUICK_STYLE, STYLE_WORK, StyleTransfer, quick_px
from atelier_shared.visualise import Visualise

LAYER = 4000, 2000
PRESETTED = {name: replace(DeepDream(), **preset.settings) for name, preset in PRESETS.items()}  # type: ignore[arg-type]


def dreams(request: DeepDream, part: float = 1.0) -> list[DeepDream]:
    made = [preview.request for preview in request.previews(*LAYER, part)]
    assert all(isinstance(each, DeepDream) for each in made)
    return made  # type: ignore[return-value]


@pytest.mark.parametrize("method", ["gallery", "light"])
def test_a_quick_method_is_previewed_at_its_working_size(method: str) -> None:
    request = StyleTransfer(method=method, strength=0.4, gallery_mix="dusk:0.5")
    px = request.working_px
    assert request.previews(*LAYER) == [Preview(replace(request, size=px), px)]


def test_fast_is_previewed_by_fast_and_then_at_its_working_size() -> None:
    request = StyleTransfer(method="fast", style_size=2.0, colours="matched", style_weights="2, 1")
    px = quick_px(*LAYER, style_size=2.0)
    assert request.previews(*LAYER) == [
        Preview(replace(request, size=px, style_size=2.0 * QUICK_STYLE), px),
        Preview(replace(request, size=1024), 1024),
    ]


def test_fine_is_previewed_by_its_starting_picture_and_then_by_its_own_steps() -> None:
    request = StyleTransfer(iterations=70, content_layers="relu3_1")
    assert request.previews(*LAYER) == [
        Preview(
            replace(request, method="fast", size=quick_px(*LAYER), style_size=QUICK_STYLE), quick_px(*LAYER)
        ),
        Preview(replace(request, size=PREVIEW_PX), PREVIEW_PX),
    ]


@pytest.mark.parametrize("style_size", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("sides", [(600, 600), (1200, 800), (4000, 500), (20, 3000)])
def test_a_quick_preview_by_fast_takes_about_the_same_work(sides: tuple[int, int], style_size: float) -> None:
    width, height = sides
    scale = quick_px(width, height, style_size) / max(sides)
    style_px = quick_px(width, height, style_size) * style_size * QUICK_STYLE
    work = width * scale * height * scale + STYLE_WORK * style_px**2
    assert work == pytest.approx(QUICK_PIXELS, rel=0.01)


def test_a_small_picture_by_fast_is_previewed_once_as_it_is() -> None:
    quick = quick_px(*LAYER)
    small, larger = (StyleTransfer(method="fast", size=size) for size in (quick, quick + 1))
    assert small.previews(*LAYER) == [Preview(small, quick)]
    assert [preview.request for preview in larger.previews(*LAYER)][1:] == [larger]


def test_a_preview_is_no_larger_than_a_thumbnail_of_gimp() -> None:
    best = StyleTransfer(method="gallery", quality="best")
    assert best.previews(*LAYER) == [Preview(replace(best, size=LARGEST_PREVIEW_PX), LARGEST_PREVIEW_PX)]
    (_quick, (request, longest_px)) = DeepDream(size=4000, octaves=1).previews(*LAYER)
    assert isinstance(request, DeepDream) and (request.size, longest_px) == (LARGEST_PREVIEW_PX,) * 2


def test_a_smaller_working_size_is_kept() -> None:
    small = StyleTransfer(method="fast", size=100)
    assert small.previews(*LAYER) == [Preview(small, PREVIEW_PX)]
    assert dreams(DeepDream(size=80, iterations=2)) == [
        DeepDream(size=80, iterations=2, largest_octave="working")
    ]


def test_a_detail_has_strokes_of_the_same_size_as_the_whole() -> None:
    detail = StyleTransfer(method="gallery", size=1200, style_size=0.5).previews(532, 532, part=0.25)
    assert detail == [Preview(StyleTransfer(method="gallery", size=300, style_size=2.0), LARGEST_PREVIEW_PX)]
    ((request, _px),) = StyleTransfer(method="light", style_size=4.0).previews(532, 532, part=0.1)
    assert isinstance(request, StyleTransfer) and (request.size, request.style_size) == (77, 4.0)


@pytest.mark.parametrize("name", PRESETTED)
def test_the_last_preview_of_a_preset_has_the_octaves_that_can_be_seen(name: str) -> None:
    request = PRESETTED[name]
    quick, last = dreams(request)[0], dreams(request)[-1]
    assert last.largest_octave == quick.largest_octave == "working"
    assert replace(last, size=request.size, octaves=request.octaves, largest_octave="layer") == request
    assert last.octaves < request.octaves
    assert VISIBLE_OCTAVE_PX / request.octave_scale < last.size <= VISIBLE_OCTAVE_PX
    left_out = request.octaves - last.octaves
    assert last.size == pytest.approx(request.size / request.octave_scale**left_out, abs=1)
    quicker = ("size", "iterations", "step_size", "octaves")
    assert replace(quick, **{name: getattr(last, name) for name in quicker}) == last
    assert request.step_size <= quick.step_size <= LARGEST_PREVIEW_STEP * request.step_size


def test_a_detail_of_a_dream_has_the_octaves_of_its_own_size() -> None:
    request = DeepDream(network="squeezenet", octaves=1, iterations=2)
    assert dreams(request, part=0.2)[-1] == replace(request, size=205)


@pytest.mark.parametrize("network", network_options(DEEPDREAM, ""))
@pytest.mark.parametrize("part", [1.0, 0.3])
def test_the_first_preview_of_a_dream_takes_at_most_half_a_second(network: str, part: float) -> None:
    for layers in ("", "a, b, c"):
        request = DeepDream(network=network, layers=layers, octaves=12, octave_scale=1.1, iterations=500)
        asked, longest_px = request.previews(*LAYER, part)[0]
        height, width = fit((LAYER[1], LAYER[0]), longest_px)
        assert isinstance(asked, DeepDream)
        assert asked.size == 64 or asked.work(width, height) <= NETWORKS[network].work_in_half_second


def test_the_identity_is_its_own_preview() -> None:
    assert Identity().previews(10, 10) == [Preview(Identity(), PREVIEW_PX)]


def test_a_short_visualisation_is_previewed_as_it_is() -> None:
    short, long = Visualise(), Visualise(units="channels")
    assert short.previews(*LAYER) == [Preview(short, LARGEST_PREVIEW_PX)]
    for request, _px in long.previews(*LAYER):
        assert isinstance(request, Visualise) and request.size < long.size
