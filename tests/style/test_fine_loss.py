"""The total loss of the fine method and its gradient, in one tile and in many."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy
import pytest
import torch
from torch import Tensor

from atelier_shared.networks import NETWORKS
from backend.command.picture_files import Canvas
from backend.compat import devices
from backend.imaging.resize import resize
from backend.imaging.style_image import Style
from backend.jobs.picture_tensors import read
from backend.networks.feature_network import FeatureNetwork
from backend.networks.registry import load_network
from backend.networks.tiled_features import TiledFeatures
from backend.style import fine_loss
from backend.style.fine_loss import (
    CONTENT_WEIGHT,
    NEIGHBOUR_WEIGHT,
    SMOOTHNESS,
    STYLE_WEIGHT,
    LossWeights,
    StyleObjective,
)
from backend.style.losses import content_loss, gram_matrix, style_loss, total_variation

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
WEIGHTS = LossWeights(1.0, 1.0, 1.0, {"relu4_2": 1.0}, dict.fromkeys(STYLE_LAYERS, 1.0))
NEIGHBOURS = replace(WEIGHTS, neighbour_layers={"relu3_1": 1.0, "relu4_1": 3.0})
TILE_PX = 96
BORDERS = (64, 144, 224)
"""Borders of tiles of this side in a picture 304 px wide, on the network's grid of 16 px."""


@pytest.fixture(scope="module")
def network(models: Path) -> FeatureNetwork:
    return load_network("vgg19", models, torch.device("cpu"))


@pytest.fixture(scope="module")
def content() -> Tensor:
    return photograph("chelsea.jpg", 32, 304)


@pytest.fixture(scope="module")
def style() -> Style:
    return Style(photograph("starry_night.jpg", 32, 240))


@pytest.fixture(scope="module")
def image(content: Tensor) -> Tensor:
    grain = torch.randn(content.shape, generator=torch.Generator().manual_seed(1))
    return (content + 0.05 * grain).clamp(0, 1)


def photograph(name: str, height: int, width: int) -> Tensor:
    return resize(read(Canvas.load(SAMPLES / name).picture).image, (height, width)).clamp(0, 1)


def evaluated(
    image: Tensor, content: Tensor, style: Style, network: FeatureNetwork, visible: Tensor | None = None
) -> tuple[float, Tensor]:
    objective = StyleObjective(
        content, [style], network=network, visible=visible, strength=1.0, weights=WEIGHTS
    )
    loss, gradient = objective(image)
    return loss.item(), gradient


def in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fine_loss, "WHOLE_PIXELS", 0)
    monkeypatch.setattr(fine_loss, "TILE_PX", TILE_PX)


def by_autograd(
    image: Tensor, content: Tensor, style: Tensor, network: FeatureNetwork
) -> tuple[float, Tensor]:
    """Compute the loss and its gradient: Gatys et al. 2016, eq. 7, by autograd."""
    image = image.clone().requires_grad_()
    layers = (*STYLE_LAYERS, "relu4_2")
    features, of_content, of_style = (network.features(x, layers) for x in (image, content, style))
    content_term = content_loss(features["relu4_2"], of_content["relu4_2"])
    content_term = content_term / of_content["relu4_2"].square().mean()
    style_term = torch.zeros((), dtype=image.dtype)
    for layer in STYLE_LAYERS:
        target = gram_matrix(of_style[layer])
        style_term += style_loss(gram_matrix(features[layer]), target) / target.square().mean() / 5
    loss = CONTENT_WEIGHT * content_term + STYLE_WEIGHT * style_term + SMOOTHNESS * total_variation(image)
    loss.backward()  # type: ignore[no-untyped-call]
    assert image.grad is not None
    return loss.item(), image.grad


@pytest.fixture(scope="module")
def exact(image: Tensor, content: Tensor, style: Style, models: Path) -> tuple[float, Tensor]:
    """Return the whole picture's loss and gradient in double precision."""
    network = load_network("vgg19", models, torch.device("cpu")).double()
    return by_autograd(image.double(), content.double(), style.image.double(), network)


def error(gradient: Tensor, exact: Tensor) -> float:
    return float((gradient - exact).norm() / exact.norm())


def test_loss_and_gradient_equal_eq_7(
    image: Tensor, content: Tensor, style: Style, network: FeatureNetwork, exact: tuple[float, Tensor]
) -> None:
    loss, gradient = evaluated(image, content, style, network)
    assert loss == pytest.approx(exact[0], rel=1e-5)
    assert error(gradient, exact[1]) < 5e-4


@pytest.mark.slow
def test_neighbours_add_the_distance_to_the_most_similar_features_of_the_style(
    image: Tensor, content: Tensor, style: Style, network: FeatureNetwork
) -> None:
    """Compared with autograd and with neighbours found one by one in double precision."""
    plain, neighbours = (
        StyleObjective(content, [style], network=network, visible=None, strength=1.0, weights=weights)(image)
        for weights in (WEIGHTS, NEIGHBOURS)
    )
    image = image.clone().requires_grad_()
    term = torch.zeros(())
    for layer, share in (("relu3_1", 0.25), ("relu4_1", 0.75)):
        seen = [network.features(x, [layer])[layer] for x in (content, style.image, style.image.flip(-1))]
        target = neighbours_one_by_one(seen[0], seen[1:])
        squares = (network.features(image, [layer])[layer] - target).square().mean()
        term = term + NEIGHBOUR_WEIGHT * share * squares / target.square().mean()
    (gradient,) = torch.autograd.grad(term, image)
    assert neighbours[0] - plain[0] == pytest.approx(term.item(), rel=1e-3)
    assert error(neighbours[1] - plain[1], gradient) < 5e-3


def neighbours_one_by_one(content: Tensor, styles: list[Tensor]) -> Tensor:
    bank = torch.cat([style[0].flatten(1) for style in styles], dim=1).double().T
    positions = content[0].flatten(1).double().T
    theirs = (bank - bank.mean(0)).numpy()
    found = []
    for position in (positions - positions.mean(0)).numpy():
        cosines = theirs @ position / numpy.linalg.norm(theirs, axis=1) / numpy.linalg.norm(position)
        found.append(bank[int(cosines.argmax())])
    return torch.stack(found, dim=1).view_as(content).float()


@pytest.mark.slow
def test_neighbours_are_the_same_in_tiles(
    image: Tensor, content: Tensor, style: Style, network: FeatureNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loss_and_gradient() -> tuple[float, Tensor]:
        loss, gradient = StyleObjective(
            content, [style], network=network, visible=None, strength=1.0, weights=NEIGHBOURS
        )(image)
        return loss.item(), gradient

    loss, whole = loss_and_gradient()
    in_tiles(monkeypatch)
    tiled_loss, tiled = loss_and_gradient()
    assert tiled_loss == pytest.approx(loss, rel=1e-4)
    assert error(tiled, whole) < 5e-3


@pytest.mark.slow
def test_the_tiled_gradient_is_as_exact_as_the_untiled_one(
    image: Tensor,
    content: Tensor,
    style: Style,
    network: FeatureNetwork,
    exact: tuple[float, Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, whole = evaluated(image, content, style, network)
    in_tiles(monkeypatch)
    loss, gradient = evaluated(image, content, style, network)
    assert loss == pytest.approx(exact[0], rel=1e-5)
    assert error(gradient, exact[1]) < max(1.2 * error(whole, exact[1]), 1e-5)


@pytest.mark.slow
def test_a_grid_of_tiles_gives_the_untiled_gradient(
    network: FeatureNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, image = photograph("chelsea.jpg", 112, 144), photograph("coffee.jpg", 112, 144)
    style = Style(photograph("starry_night.jpg", 48, 64))
    loss, whole = evaluated(image, content, style, network)
    in_tiles(monkeypatch)
    assert len(TiledFeatures(network, STYLE_LAYERS, TILE_PX).tiles(image)) == 4
    tiled_loss, tiled = evaluated(image, content, style, network)
    assert tiled_loss == pytest.approx(loss, rel=1e-5)
    assert error(tiled, whole) < 5e-4


@pytest.mark.parametrize("name", ["vgg19", "vgg16", "squeezenet", "inception-v3"])
def test_only_the_last_pixels_of_a_picture_can_be_visible(models: Path, name: str) -> None:
    """They belong to a position even if the network's grid ends before them."""
    layers = NETWORKS[name].defaults
    weights = LossWeights(1.0, 1.0, 1.0, layers.content, layers.style)
    picture, painting = photograph("chelsea.jpg", 64, 125), photograph("starry_night.jpg", 64, 125)
    visible = torch.zeros(1, 1, 64, 125)
    visible[..., -4:] = 1
    objective = StyleObjective(
        picture,
        [Style(painting, 1.0, visible)],
        network=load_network(name, models, torch.device("cpu")),
        visible=visible,
        strength=1.0,
        weights=weights,
    )
    loss, gradient = objective(picture)
    assert 0 < loss < 1e6
    assert gradient.isfinite().all() and gradient[..., -4:].any()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("free", "count"),
    [(None, 1), (1 << 40, 1), (20 << 20, 3), (0, 3)],
    ids=["unknown", "enough", "too little", "none"],
)
def test_tiles_fit_into_the_free_memory_and_give_the_whole_picture_s_gradient(
    free: int | None,
    count: int,
    network: FeatureNetwork,
    content: Tensor,
    style: Style,
    image: Tensor,
    exact: tuple[float, Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(devices, "free_bytes", lambda _: free)
    objective = StyleObjective(content, [style], network=network, visible=None, strength=1.0, weights=WEIGHTS)
    loss, gradient = objective(image)
    assert len(objective._features(image).tiles(image)) == count
    assert loss.item() == pytest.approx(exact[0], rel=1e-4)
    assert error(gradient, exact[1]) < 2e-3


def test_a_large_style_is_tiled_independently_of_the_content_s_size(
    network: FeatureNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide, square = photograph("chelsea.jpg", 32, 128), Style(photograph("starry_night.jpg", 128, 128))
    seen, features = [], network.features

    def watched(part: Tensor, layers: list[str]) -> dict[str, Tensor]:
        seen.append(tuple(part.shape[-2:]))
        return features(part, layers)

    monkeypatch.setattr(fine_loss, "WHOLE_PIXELS", 32 * 128)
    monkeypatch.setattr(fine_loss, "TILE_PX", 64)
    monkeypatch.setattr(network, "features", watched)
    evaluated(wide, wide, square, network)
    assert seen == [(32, 128)] + [(128, 128)] * 4 + [
        (32, 128)
    ]  # the halo of 80 px covers every tile's picture


@pytest.mark.parametrize(
    "weights",
    [
        replace(WEIGHTS, content_layers={"relu9_9": 1.0}),
        replace(WEIGHTS, style_layers={"relu9_9": 1.0}),
    ],
    ids=["content", "style"],
)
def test_an_unknown_layer_is_named_in_the_error(
    weights: LossWeights, content: Tensor, style: Style, network: FeatureNetwork
) -> None:
    with pytest.raises(ValueError, match=r"This network has no layer relu9_9\. Choose from conv1_1"):
        StyleObjective(content, [style], network=network, visible=None, strength=1.0, weights=weights)


@pytest.mark.slow
def test_tiles_with_too_small_a_halo_give_a_wrong_gradient(
    image: Tensor,
    content: Tensor,
    style: Style,
    network: FeatureNetwork,
    exact: tuple[float, Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_tiles(monkeypatch)
    monkeypatch.setattr(network, "halo_px", lambda _: 32)
    _, gradient = evaluated(image, content, style, network)
    assert error(gradient, exact[1]) > 0.03


@pytest.mark.slow
def test_the_gradient_has_no_seams_along_tile_borders(
    image: Tensor, content: Tensor, style: Style, network: FeatureNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compared with the untiled gradient, because a photograph may have edges of its own there."""
    _, whole = evaluated(image, content, style, network)
    in_tiles(monkeypatch)
    _, tiled = evaluated(image, content, style, network)
    borders = [edge + side for edge in BORDERS for side in (-1, 0)]
    energies = [gradient[..., borders].square().sum() for gradient in (tiled, whole)]
    assert energies[0] / energies[1] == pytest.approx(1, abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("tiled", [False, True], ids=["whole", "in tiles"])
def test_hidden_pixels_do_not_change_the_loss(
    image: Tensor,
    content: Tensor,
    style: Style,
    network: FeatureNetwork,
    tiled: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The hidden pixels are outside the receptive fields of all visible features."""
    if tiled:
        in_tiles(monkeypatch)
    visible = torch.zeros(1, 1, 32, 304)
    visible[..., :64] = 1
    other = image.clone()
    other[..., 160:] = 0
    loss, gradient = evaluated(image, content, style, network, visible)
    assert evaluated(other, content, style, network, visible)[0] == pytest.approx(loss, rel=1e-5)
    assert gradient[..., :64].abs().sum() > 0 and not gradient[..., 160:].any()
    assert evaluated(image, content, style, network)[0] != pytest.approx(loss, rel=1e-2)


def test_hidden_pixels_of_a_style_have_no_effect(
    image: Tensor, content: Tensor, style: Style, network: FeatureNetwork
) -> None:
    visible = torch.zeros(1, 1, 32, 240)
    visible[..., :48] = 1
    losses = []
    for hidden in (0.0, 1.0):
        painted = style.image.clone()
        painted[..., 160:] = hidden
        losses.append(evaluated(image, content, Style(painted, 1.0, visible), network)[0])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
