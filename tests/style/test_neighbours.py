"""Nearest neighbours of features, with values computed by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from atelier_shared.networks import DefaultLayers
from backend.imaging.style_image import Style
from backend.networks.fast_paths import EXACT
from backend.networks.tiled_features import Piece, TiledFeatures
from backend.style import neighbours
from backend.style.neighbours import feature_banks, nearest_neighbours


class Pixels(nn.Module):
    """A network whose one layer is the picture itself."""

    path = EXACT

    def features(self, image: Tensor, layers: list[str]) -> dict[str, Tensor]:
        return dict.fromkeys(layers, image)

    def halo_px(self, _: list[str]) -> int:
        return 0

    def stride_px(self, _: list[str]) -> int:
        return 1


RED, GREEN, BLUE = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
DARK_RED, DARK_GREEN = (0.3, 0.1, 0.1), (0.1, 0.3, 0.1)


def row(*colours: tuple[float, float, float]) -> Tensor:
    """Return an image one pixel high, (1, 3, 1, n)."""
    return torch.tensor(colours).T[None, :, None, :]


def matched(content: Tensor, *styles: Style, init: Tensor | None = None, strength: float = 1.0) -> Tensor:
    network = Pixels()
    banks = feature_banks(styles, ["pixels"], TiledFeatures(network, ["pixels"], 512))  # type: ignore[arg-type]
    own, first = ({"pixels": Piece(image, None)} for image in (content, content if init is None else init))
    (found,) = nearest_neighbours([own], [first], banks, strength)
    return found["pixels"].features


def test_each_position_takes_the_feature_with_the_nearest_direction() -> None:
    """Its length and the mean do not matter, so a dark picture finds bright neighbours."""
    assert matched(row(DARK_GREEN, DARK_RED), Style(row(RED, GREEN))).equal(row(GREEN, RED))


def test_strength_interpolates_from_the_content_s_own_features() -> None:
    content = row(DARK_GREEN, DARK_RED)
    assert matched(content, Style(row(RED, GREEN)), strength=0).equal(content)
    half = matched(content, Style(row(RED, GREEN)), strength=0.5)
    torch.testing.assert_close(half, (content + row(GREEN, RED)) / 2)


def test_hidden_positions_of_a_style_are_no_neighbours() -> None:
    style = Style(row(RED, GREEN, BLUE), visible=torch.tensor([1.0, 0.0, 1.0]).view(1, 1, 1, 3))
    found = matched(row(DARK_GREEN, DARK_RED), style)
    assert found[..., 1].flatten().tolist() == list(RED)
    assert found[..., 0].flatten().tolist() == list(BLUE)


def test_the_weights_of_styles_are_their_shares_of_the_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "MOST_POSITIONS", 40)
    many, few = (torch.full((1, 3, 8, 8), value) for value in (0.25, 0.75))
    features = TiledFeatures(Pixels(), ["pixels"], 512)  # type: ignore[arg-type]
    bank = feature_banks([Style(many, weight=3.0), Style(few, weight=1.0)], ["pixels"], features)["pixels"]
    counts = {value: int((bank[0] == value).sum()) for value in (0.25, 0.75)}
    assert counts == {0.25: 26, 0.75: 10}  # every fifth and every 13th of 64 positions, in both images


def test_neighbours_also_depend_on_the_first_image() -> None:
    """A plain content takes neighbours that suit the strokes of the first image."""
    content, init = row(RED, RED, BLUE), row(RED, GREEN, BLUE)
    style = Style(row(RED, GREEN, BLUE, (0.5, 0.5, 0.0)))
    alone, together = matched(content, style), matched(content, style, init=init)
    assert alone[..., 0].equal(alone[..., 1]) and not together[..., 0].equal(together[..., 1])


def test_a_style_of_weight_0_has_no_neighbours() -> None:
    assert matched(row(DARK_GREEN, DARK_RED), Style(row(BLUE), 0.0), Style(row(RED, GREEN))).equal(
        row(GREEN, RED)
    )


def test_the_default_layers_are_those_before_the_deepest() -> None:
    layers = DefaultLayers(content={}, style=dict.fromkeys("abcde", 1.0), dream="e")
    assert layers.neighbours == {"c": 1.0, "d": 1.0}
    assert list(layers.style_beside_neighbours) == [*"abcd"]
