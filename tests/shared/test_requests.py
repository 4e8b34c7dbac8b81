"""Requests: defaults and bounds, notations of texts, qualities."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier_shared.deepdream import DeepDream
from atelier_shared.gallery_styles import GALLERY
from atelier_shared.request import Request
from atelier_shared.requests import REQUESTS
from atelier_shared.settings import LONGEST_TEXT, Choice, Number, settings
from atelier_shared.style_transfer import QUALITIES, StyleTransfer
from atelier_shared.text_settings import channel_range, gallery_mix, weights_by_name, weights_in_order


@pytest.mark.parametrize("kind", REQUESTS.values(), ids=REQUESTS.keys())
def test_every_default_and_bound_is_allowed(kind: type[Request]) -> None:
    kind()
    for setting in settings(kind):
        if isinstance(setting, Number):
            edges: list[object] = [setting.low, setting.high]
        else:
            edges = list(setting.options) if isinstance(setting, Choice) else [setting.default]
        for value in edges:
            kind(**{setting.name: value})


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("", {}),
        ("relu1_1", {"relu1_1": 1.0}),
        ("relu1_1:1, relu2_1:0.5", {"relu1_1": 1.0, "relu2_1": 0.5}),
        (" layer2.0 : 3 ,, Mixed_5d ", {"layer2.0": 3.0, "Mixed_5d": 1.0}),
    ],
)
def test_weights_by_name_default_to_1(text: str, weights: dict[str, float]) -> None:
    assert weights_by_name(text) == weights


@pytest.mark.parametrize("text", ["a:", ":1", "a:b", "a:0", "a:-1", "a:nan", "a:inf", "a, a", "a:1:2"])
def test_another_notation_of_weights_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="“"):
        weights_by_name(text)


@given(st.dictionaries(st.from_regex(r"[A-Za-z0-9_.]+", fullmatch=True), st.floats(1e-3, 1e3), max_size=5))
def test_written_weights_by_name_are_parsed_again(weights: dict[str, float]) -> None:
    assert weights_by_name(", ".join(f"{name}:{weight!r}" for name, weight in weights.items())) == weights


def test_weights_in_order_are_numbers_above_0() -> None:
    assert weights_in_order("2, 1,0.5") == [2.0, 1.0, 0.5]
    assert weights_in_order("") == []
    with pytest.raises(ValueError, match="“0” is not a weight"):
        weights_in_order("1, 0")


@pytest.mark.parametrize(
    ("text", "channels"),
    [("", None), ("12", range(12, 13)), ("12-20", range(12, 21)), (" 3 - 3 ", range(3, 4))],
)
def test_a_channel_range_is_one_channel_or_a_span(text: str, channels: range | None) -> None:
    assert channel_range(text) == channels


@pytest.mark.parametrize("text", ["x", "3-", "-3", "5-4", "1-2-3", "²"])
def test_another_notation_of_channels_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a channel range"):
        channel_range(text)


def test_an_unknown_gallery_style_is_refused_with_a_list_of_all_styles() -> None:
    first, *_, last = GALLERY
    assert gallery_mix(f"{first}:0.5, {last}") == {first: 0.5, last: 1.0}
    with pytest.raises(ValueError, match=rf"^gallery_mix: There is no style nonsense. .*{first}.*{last}"):
        StyleTransfer(gallery_mix="nonsense")


@pytest.mark.parametrize("value", [3, None, "x" * (LONGEST_TEXT + 1)])
def test_a_text_setting_is_a_text_of_limited_length(value: object) -> None:
    with pytest.raises(ValueError, match="layers must be a text"):
        DeepDream(layers=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", QUALITIES)
def test_a_quality_sets_size_and_steps_unless_they_are_set(method: str) -> None:
    efforts = [StyleTransfer(method=method, quality=quality) for quality in ("draft", "good", "best")]
    sizes, steps = [e.working_px for e in efforts], [e.steps for e in efforts]
    assert sizes == sorted(set(sizes))
    assert steps == sorted(set(steps)) if method == "fine" else steps == [1, 1, 1]
    assert StyleTransfer(method=method, size=300, iterations=7).working_px == 300
    assert StyleTransfer(method=method, size=3).working_px == 64
    assert StyleTransfer(method=method, iterations=7).steps == (7 if method == "fine" else 1)


def test_every_method_has_every_quality() -> None:
    choices = {c.name: list(c.options) for c in settings(StyleTransfer) if isinstance(c, Choice)}
    assert list(QUALITIES) == choices["method"]
    assert all(list(efforts) == choices["quality"] for efforts in QUALITIES.values())
