"""The light method: equal to the published networks, tiles without seams, effect of its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from published_networks import published
from torch import Tensor, nn

from atelier_shared.sizes import fit
from backend.compat.torchvision_import import torchvision
from backend.imaging.resize import size_of
from backend.imaging.style_image import Style
from backend.networks import painter_layers
from backend.networks.registry import load_light
from backend.networks.style_painter import Painter, paint
from backend.networks.style_predictor import StylePredictor
from backend.style.light import LightSettings, stylize

CPU = torch.device("cpu")
SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture(scope="module")
def networks(models: Path) -> tuple[StylePredictor, Painter]:
    return load_light(models, CPU)


@pytest.fixture(scope="module")
def parts(networks: tuple[StylePredictor, Painter]) -> dict[str, Any]:
    """Return the arguments common to all calls."""
    predictor, painter = networks
    return {"predictor": predictor, "painter": painter}


def photograph(name: str, width: int, height: int) -> Tensor:
    with Image.open(SAMPLES / name) as picture:
        pixels = torchvision.transforms.functional.pil_to_tensor(
            picture.convert("RGB").resize((width, height))
        )
    return torch.as_tensor(pixels[None] / 255)


def smooth(height: int, width: int, seed: int) -> Tensor:
    coarse = torch.rand(1, 3, 5, 6, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(coarse, (height, width), mode="bilinear")


def result(content: Tensor, *styles: Style, strength: float = 1.0, size: int = 512, **parts: Any) -> Tensor:
    *_, last = stylize(content, styles, LightSettings(strength, size), **parts)
    assert last.index == last.total
    return last.image


def rows_first(image: Tensor) -> Any:
    return image.permute(0, 2, 3, 1).contiguous().numpy()


def test_the_style_vector_and_the_picture_are_the_published_networks(
    networks: tuple[StylePredictor, Painter],
) -> None:
    predictor, painter = networks
    style, content = photograph("starry_night.jpg", 256, 256), photograph("coffee.jpg", 384, 384)
    (theirs,) = published("arbitrary_predict").run(None, {"style_image": rows_first(style)})
    expected = torch.from_numpy(theirs).flatten(1)
    vector = predictor(style)
    assert vector.shape == (1, 100)
    assert (vector - expected).abs().mean() < 0.02 * expected.std()

    inputs = {"content_image": rows_first(content), "mobilenet_conv/Conv/BiasAdd": theirs}
    (painted,) = published("arbitrary_transform").run(None, inputs)
    *_, made = paint(content, expected, painter=painter, longest_px=384)
    difference = made.image - torch.from_numpy(painted).permute(0, 3, 1, 2)
    assert difference.abs().mean() < 0.04
    assert difference.mean(dim=(2, 3)).abs().max() < 0.02


def test_tiles_make_the_same_picture_as_one_piece(
    parts: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    content, style = smooth(203, 150, seed=1), Style(smooth(90, 110, seed=2))
    monkeypatch.setattr(painter_layers, "TILE_PX", 1024)
    whole = result(content, style, **parts)
    monkeypatch.setattr(painter_layers, "TILE_PX", 32)
    torch.testing.assert_close(result(content, style, **parts), whole, atol=1e-3, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (1, 60), (75, 64), (150, 101)])
def test_the_painting_has_the_working_size(parts: dict[str, Any], size: tuple[int, int]) -> None:
    content = smooth(*size, seed=1)
    made = result(content, Style(smooth(1, 1, seed=2)), size=64, **parts)
    assert size_of(made) == fit(size, 64)
    assert made.isfinite().all() and made.min() >= 0 and made.max() <= 1


def test_strength_0_returns_the_content(parts: dict[str, Any]) -> None:
    content = smooth(40, 50, seed=1)
    assert torch.equal(result(content, Style(smooth(40, 50, seed=2)), strength=0, **parts), content)


def test_more_strength_comes_closer_to_the_style(parts: dict[str, Any]) -> None:
    content, style = photograph("coffee.jpg", 192, 128), Style(photograph("starry_night.jpg", 192, 152))
    weak, middle, full = (result(content, style, strength=s, **parts) for s in (0.2, 0.6, 1.0))
    distances = [(made - full).abs().mean() for made in (weak, middle)]
    assert distances[0] > distances[1] > 0
    blueness = [(made[:, 2] - made[:, 0]).mean() for made in (content, weak, middle, full)]
    assert blueness == sorted(blueness)


def test_styles_are_mixed_by_weight(parts: dict[str, Any]) -> None:
    content = photograph("chelsea.jpg", 128, 96)
    night, coffee = photograph("starry_night.jpg", 128, 100), photograph("coffee.jpg", 128, 96)
    alone = result(content, Style(night), **parts)
    mostly, less = (
        (result(content, Style(night, weight), Style(coffee, 1.0), **parts) - alone).abs().mean()
        for weight in (9.0, 1.0)
    )
    assert 0 < mostly < less
    torch.testing.assert_close(result(content, Style(night), Style(coffee, 0.0), **parts), alone)


def test_hidden_pixels_of_a_style_have_no_effect(parts: dict[str, Any]) -> None:
    predictor = parts["predictor"]
    night, coffee = photograph("starry_night.jpg", 128, 128), photograph("coffee.jpg", 128, 128)
    visible = torch.cat([torch.ones(1, 1, 128, 128), torch.zeros(1, 1, 128, 128)], dim=3)
    vector = predictor(torch.cat([night, coffee], dim=3), visible)
    torch.testing.assert_close(predictor(torch.cat([night, 1 - coffee], dim=3), visible), vector)
    assert (vector - predictor(night)).norm() < (predictor(coffee) - predictor(night)).norm() / 2


def test_hidden_pixels_of_the_content_have_no_effect(parts: dict[str, Any]) -> None:
    content, style = photograph("chelsea.jpg", 384, 64), Style(photograph("starry_night.jpg", 128, 96))
    visible = torch.zeros(1, 1, 64, 384)
    visible[..., :64] = 1
    made = []
    for hidden in (0.0, 1.0):
        changed = content.clone()
        changed[..., 320:] = hidden
        made.append(result(changed, style, strength=0.5, visible=visible, **parts)[..., :64])
    torch.testing.assert_close(made[0], made[1], atol=2e-2, rtol=0)
    assert not made[0].allclose(result(content, style, strength=0.5, **parts)[..., :64], atol=0.05)


def test_the_scale_of_a_style_changes_its_strokes(parts: dict[str, Any]) -> None:
    content, style = photograph("chelsea.jpg", 128, 96), photograph("starry_night.jpg", 320, 256)
    small, large = (result(content, Style(style, scale=scale), **parts) for scale in (0.25, 2.0))
    assert (small - large).abs().mean() > 0.01


@pytest.mark.parametrize("name", ["chelsea.jpg", "coffee.jpg"])
def test_the_upper_edge_has_no_pale_line(parts: dict[str, Any], name: str) -> None:
    content, style = photograph(name, 384, 256), Style(photograph("starry_night.jpg", 320, 256))
    change = (result(content, style, **parts) - content).mean(dim=(0, 1, 3))
    assert (change[:2].mean() - change[4:12].mean()).abs() < 0.06
