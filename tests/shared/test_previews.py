"""The requests of previews: less than a second of work, and otherwise like the run's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atelier_shared.deepdream import LARGEST_PREVIEW_STEP, DeepDream
from atelier_shared.networks import DEEPDREAM, NETWORKS, network_options
from atelier_shared.presets import PRESETS
from atelier_shared.request import PREVIEW_PX
from atelier_shared.requests import Identity
from atelier_shared.style_transfer import StyleTransfer

PRESETTED = {name: replace(DeepDream(), **preset.settings) for name, preset in PRESETS.items()}  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["fine", "fast", "light"])
def test_every_method_except_gallery_is_previewed_by_light(method: str) -> None:
    request = StyleTransfer(
        method=method, strength=0.4, style_size=2.0, colours="matched", style_weights="2, 1"
    )
    asked = request.for_preview(PREVIEW_PX, 200)
    assert asked == replace(request, method="light", size=PREVIEW_PX)


def test_gallery_is_previewed_by_gallery() -> None:
    request = StyleTransfer(method="gallery", gallery_style="woodcut", gallery_mix="dusk:0.5")
    assert request.for_preview(PREVIEW_PX, 200) == replace(request, size=PREVIEW_PX)


def test_a_smaller_working_size_is_kept() -> None:
    assert StyleTransfer(size=100).for_preview(PREVIEW_PX, 200) == StyleTransfer(method="light", size=100)
    asked = DeepDream(size=80, iterations=2).for_preview(PREVIEW_PX, 200)
    assert asked == DeepDream(size=80, iterations=2, largest_octave="working")


def test_a_detail_has_strokes_of_the_same_size_as_the_whole() -> None:
    asked = StyleTransfer(size=1200, style_size=0.5).for_preview(PREVIEW_PX, PREVIEW_PX, part=0.25)
    assert asked == StyleTransfer(method="light", size=300, style_size=2.0)
    asked = StyleTransfer(style_size=4.0).for_preview(PREVIEW_PX, PREVIEW_PX, part=0.1)
    assert isinstance(asked, StyleTransfer) and (asked.size, asked.style_size) == (102, 4.0)


@pytest.mark.parametrize("name", PRESETTED)
def test_a_preset_s_preview_differs_only_in_size_and_steps(name: str) -> None:
    request = PRESETTED[name]
    asked = request.for_preview(PREVIEW_PX, 227)
    assert isinstance(asked, DeepDream)
    assert asked.largest_octave == "working"
    quicker = ("size", "iterations", "step_size", "largest_octave")
    assert replace(asked, **{name: getattr(request, name) for name in quicker}) == request
    assert request.step_size <= asked.step_size <= LARGEST_PREVIEW_STEP * request.step_size


def test_a_detail_of_a_dream_has_the_octaves_of_its_own_size() -> None:
    quick = DeepDream(network="squeezenet", octaves=1, iterations=2)
    assert quick.for_preview(PREVIEW_PX, 200, part=0.2) == replace(quick, size=205)


@pytest.mark.parametrize("network", network_options(DEEPDREAM, ""))
@pytest.mark.parametrize("part", [1.0, 0.3])
def test_a_dream_s_preview_takes_at_most_half_a_second(network: str, part: float) -> None:
    for layers in ("", "a, b, c"):
        request = DeepDream(network=network, layers=layers, octaves=12, octave_scale=1.1, iterations=500)
        asked = request.for_preview(PREVIEW_PX + 192, PREVIEW_PX + 192, part)
        assert isinstance(asked, DeepDream)
        assert (
            asked.size == 64
            or asked.work(PREVIEW_PX + 192, PREVIEW_PX + 192) <= NETWORKS[network].work_in_half_second
        )


def test_the_identity_is_its_own_preview() -> None:
    assert Identity().for_preview(10, 10) == Identity()
