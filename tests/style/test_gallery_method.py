"""The gallery method: equal to the published network, tiles without seams, mixtures, strength."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from published_networks import published
from torch import Tensor, nn

from atelier_shared.gallery_styles import GALLERY
from atelier_shared.sizes import fit
from backend.imaging.resize import resize, size_of
from backend.networks import painter_layers
from backend.networks.registry import load_gallery
from backend.networks.style_painter import Painter
from backend.networks.tile_moments import Moments
from backend.style.gallery import GallerySettings, mixture, stylize

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network(models: Path) -> Painter:
    return load_gallery(models, CPU)


@pytest.fixture(scope="module")
def gallery_network() -> Any:
    return published("multistyle26")


def smooth(height: int, width: int, seed: int) -> Tensor:
    coarse = torch.rand(1, 3, 5, 6, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(coarse, (height, width), mode="bilinear")


def result(content: Tensor, mix: dict[str, float], size: int = 512, **parts: Any) -> Tensor:
    *_, last = stylize(content, GallerySettings(by_number(mix), size), **parts)
    assert last.index == last.total
    return last.image


def by_number(mix: dict[str, float]) -> list[float]:
    return [mix.get(name, 0.0) for name in GALLERY]


@pytest.mark.parametrize("mix", [*({name: 1.0} for name in GALLERY), {"starry": 0.3, "woven": 0.7}], ids=str)
def test_pictures_equal_the_published_network_s(
    network: Painter, gallery_network: Any, mix: dict[str, float]
) -> None:
    content = smooth(48, 64, seed=1)
    weights = torch.tensor(by_number(mix))
    (expected,) = gallery_network.run(None, {"image": content.numpy(), "style_weights": weights.numpy()})
    made = result(content, mix, network=network)
    torch.testing.assert_close(made, torch.from_numpy(expected), atol=1e-3, rtol=0)


def test_tiles_make_the_same_picture_as_one_piece(network: Painter, monkeypatch: pytest.MonkeyPatch) -> None:
    content = smooth(203, 150, seed=1)
    monkeypatch.setattr(painter_layers, "TILE_PX", 1024)
    whole = result(content, {"great wave": 1.0}, network=network)
    monkeypatch.setattr(painter_layers, "TILE_PX", 32)
    settings = GallerySettings(by_number({"great wave": 1.0}), 512)
    steps = list(stylize(content, settings, network=network))
    assert [step.index for step in steps] == list(range(1, steps[-1].total + 1))
    torch.testing.assert_close(steps[-1].image, whole, atol=1e-3, rtol=0)


def test_moments_merged_from_tiles_equal_the_whole_picture_s() -> None:
    features = (
        torch.rand(1, 4, 30, 20, generator=torch.Generator().manual_seed(1))
        + torch.arange(4.0)[:, None, None]
    )
    visible = torch.zeros(1, 1, 30, 20)
    visible[..., 10:, :] = smooth(20, 20, seed=2)[:, :1]
    rows = slice(0, 10), slice(10, 13), slice(13, 30)
    moments = Moments.allocate(len(rows), 4, features)
    for part, within in enumerate(rows):
        moments.measure(part, features[..., within, :], visible[..., within, :])
    of_all = torch.stack(moments.of_picture())
    weights = (visible / visible.sum()).double()
    mean = (weights * features).sum(dim=(2, 3))
    variance = (weights * (features - mean[..., None, None]).square()).sum(dim=(2, 3))
    torch.testing.assert_close(of_all, torch.cat([mean, variance]).float())
    assert moments.weight[0] == 0


@pytest.mark.parametrize("size", [(1, 1), (20, 20), (1, 60), (75, 64), (150, 101)])
def test_the_painting_has_the_working_size(network: Painter, size: tuple[int, int]) -> None:
    content = smooth(*size, seed=1)
    made = result(content, {"linocut": 1.0}, size=64, network=network)
    assert size_of(made) == fit(size, 64)
    assert made.isfinite().all() and made.min() >= 0 and made.max() <= 1
    assert not torch.allclose(made, resize(content, size_of(made)), atol=0.01)


def test_a_mixture_lies_between_its_styles(network: Painter) -> None:
    content = smooth(64, 64, seed=1)
    dark, both, bright = (
        result(content, mix, network=network).mean()
        for mix in (
            {"indigo speckle": 1.0},
            {"indigo speckle": 1.0, "coloured pencil": 1.0},
            {"coloured pencil": 1.0},
        )
    )
    assert dark < both < bright


def test_only_the_proportions_of_a_mixture_matter() -> None:
    assert mixture([3.0, 0.0, 1.0]).tolist() == [[0.75, 0.0, 0.25]]


def test_weights_that_are_all_0_are_refused() -> None:
    with pytest.raises(ValueError, match=r"weights of all styles are 0\. Give at least one style a weight"):
        mixture([0.0] * 26)


def test_a_flat_picture_has_no_colour_noise(network: Painter) -> None:
    made = result(torch.full((1, 3, 96, 96), 0.6), {"pale fresco": 1.0}, network=network)
    assert made[..., 24:-24, 24:-24].std(dim=(2, 3)).max() < 0.02


def test_a_nearly_flat_picture_is_normalised_as_in_double_precision(network: Painter) -> None:
    content = 0.7 + 0.002 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    made = result(content, {"starry": 1.0}, network=network)
    exact = result(content.double(), {"starry": 1.0}, network=copy.deepcopy(network).double())
    assert (made - exact).abs().max() < 2 / 255


def test_hidden_pixels_have_no_effect(network: Painter) -> None:
    """The hidden pixels are outside the receptive fields of all visible positions."""
    content = smooth(64, 320, seed=1)
    visible = torch.zeros(1, 1, 64, 320)
    visible[..., :64] = 1
    made = []
    for hidden in (0.0, 1.0):
        changed = content.clone()
        changed[..., 256:] = hidden
        made.append(result(changed, {"starry": 1.0}, network=network, visible=visible))
    torch.testing.assert_close(made[0][..., :64], made[1][..., :64], atol=1e-3, rtol=0)
    everything = result(content, {"starry": 1.0}, network=network, visible=torch.ones_like(visible))
    plain = result(content, {"starry": 1.0}, network=network)
    torch.testing.assert_close(everything, plain, atol=1e-3, rtol=0)
    assert not made[0][..., :64].allclose(plain[..., :64], atol=0.01)
    nothing = result(content, {"starry": 1.0}, network=network, visible=torch.zeros_like(visible))
    assert nothing.equal(content)
