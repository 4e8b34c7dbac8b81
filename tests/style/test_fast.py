"""The fast method: AdaIN's formula, tiles without seams, sizes, strength and the decoder's grid."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from atelier_shared.sizes import fit
from backend.command.picture_files import Canvas
from backend.imaging.resize import resize, size_of
from backend.imaging.style_image import Style
from backend.jobs.picture_tensors import read
from backend.networks.feature_memory import FeatureMemory
from backend.networks.feature_network import FeatureNetwork
from backend.networks.registry import load_decoder, load_network
from backend.style import fast
from backend.style.fast import (
    STRIDE,
    FastSettings,
    Statistics,
    adain,
    blend_with_neighbours,
    remove_grid,
    statistics,
    stylize,
)

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network(models: Path) -> FeatureNetwork:
    return load_network("vgg19", models, CPU)


@pytest.fixture(scope="module")
def decoder(models: Path) -> nn.Module:
    return load_decoder(models, CPU)


def smooth(height: int, width: int, seed: int) -> Tensor:
    coarse = torch.rand(1, 3, 5, 6, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(coarse, (height, width), mode="bilinear")


def result(
    content: Tensor,
    *styles: Tensor | Style,
    strength: float = 1.0,
    size: int = 512,
    visible: Tensor | None = None,
    **options: Any,
) -> Tensor:
    given = [style if isinstance(style, Style) else Style(style) for style in styles]
    *_, last = stylize(content, given, FastSettings(strength, size), visible=visible, **options)
    assert last.index == last.total
    return last.image


def framed(image: Tensor) -> Tensor:
    return nn.functional.pad(image, [8] * 4, mode="reflect")


def unframed(image: Tensor) -> Tensor:
    return image[..., 8:-8, 8:-8]


class CountingNetwork:
    """A network that counts the images whose features it computes."""

    def __init__(self, network: FeatureNetwork) -> None:
        self.network, self.memory, self.computed = network, FeatureMemory(), 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)

    def features(self, *arguments: Any) -> Any:
        self.computed += 1
        return self.network.features(*arguments)


def test_another_style_or_setting_takes_no_features_of_the_same_photo(
    network: FeatureNetwork, decoder: nn.Module
) -> None:
    counting = CountingNetwork(network)
    photo, *styles = (smooth(64, 80, seed) for seed in range(5))
    networks: dict[str, Any] = {"network": counting, "decoder": decoder}
    first = result(photo, styles[0], **networks)
    assert counting.computed == 2
    assert not torch.equal(result(photo.clone(), styles[0].clone(), strength=0.5, **networks), first)
    assert counting.computed == 2
    for style in styles[1:]:
        result(photo, style, **networks)
    assert counting.computed == 2 + 3
    assert torch.equal(result(photo, styles[0], **networks), first), "remembered features are other ones"
    assert counting.computed == 2 + 3 + 1, "only the last pictures are remembered"
    result(photo + 1e-3, styles[0], **networks)
    assert counting.computed == 2 + 3 + 2


def test_the_features_of_large_pictures_and_of_tiles_are_not_remembered(
    network: FeatureNetwork, decoder: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = CountingNetwork(network)
    photo, style = smooth(64, 80, 1), smooth(64, 80, 2)
    networks: dict[str, Any] = {"network": counting, "decoder": decoder}
    monkeypatch.setattr("backend.networks.feature_memory.MOST_PIXELS", 64 * 80 - 1)
    result(photo, style, **networks)
    result(photo, style, **networks)
    assert counting.computed == 4
    monkeypatch.undo()
    for _ in range(2):
        result(photo, style, **networks, tile_scale=1 / 16)
    assert counting.computed == 4 + 2 * (4 + 4)


def test_statistics_by_hand() -> None:
    # Mean of 1, 3, 5, 7 is 4; the squared distances 9, 1, 1, 9 have the mean 5.
    found = statistics(torch.tensor([[[[1.0, 3.0], [5.0, 7.0]]]]))
    assert found.mean.item() == 4
    assert found.deviation.item() == pytest.approx((5 + 1e-5) ** 0.5)


def test_hidden_columns_do_not_change_the_statistics() -> None:
    features = torch.randn(1, 4, 5, 6, generator=torch.Generator().manual_seed(1))
    visible = torch.ones(1, 1, 5, 6)
    visible[..., 4:] = 0
    torch.testing.assert_close(statistics(features, visible), statistics(features[..., :4]))


def test_adain_gives_the_content_the_style_s_statistics() -> None:
    features = torch.randn(1, 4, 20, 30, generator=torch.Generator().manual_seed(1)) * 7 + 3
    mean, deviation = torch.tensor([[1.0, 2, 3, 4]]), torch.tensor([[5.0, 6, 7, 8]])
    style = Statistics(mean[..., None, None], deviation[..., None, None])
    made = adain(features, statistics(features), style)
    torch.testing.assert_close(made.mean(dim=(2, 3)), mean, atol=1e-4, rtol=0)
    torch.testing.assert_close(made.std(dim=(2, 3), correction=0), deviation, atol=1e-4, rtol=0)


def test_neighbours_by_hand() -> None:
    """Normalised to mean 0 and deviation 1, the features are (1, -1) and (-1, 1)."""
    features = torch.tensor([[[[3.0, 1.0]], [[2.0, 6.0]]]])  # (1, 2, 1, 2)
    bank = torch.tensor([[3.0, -2.0, 9.0], [-3.0, 2.5, 9.0]])  # (2, 3): nearest are the first two
    expected = torch.tensor([[[[2.0, -1.5]], [[-2.0, 1.75]]]])  # the means of (1, -1), (3, -3) and so on
    torch.testing.assert_close(blend_with_neighbours(features, bank), expected, atol=1e-4, rtol=0)


def test_without_neighbours_the_method_is_adain(network: FeatureNetwork, decoder: nn.Module) -> None:
    content, style = smooth(64, 64, seed=1), smooth(64, 64, seed=2)
    images = (framed(content), style)
    own, theirs = (network.features(image, ["relu4_1"])["relu4_1"] for image in images)
    expected = unframed(remove_grid(decoder(adain(own, statistics(own), statistics(theirs))))).clamp(0, 1)
    settings = FastSettings(1.0, 64, neighbours=False)
    *_, last = stylize(content, [Style(style)], settings, network=network, decoder=decoder, visible=None)
    torch.testing.assert_close(last.image, expected, atol=1e-4, rtol=0)


@pytest.mark.slow
def test_tiles_make_the_same_picture_as_one_piece(
    network: FeatureNetwork, decoder: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, style = smooth(203, 150, seed=1), smooth(90, 110, seed=2)
    whole = result(content, style, network=network, decoder=decoder)
    monkeypatch.setattr(fast, "TILE_PX", 64)
    painting = stylize(
        content, [Style(style)], FastSettings(1.0, 512), network=network, decoder=decoder, visible=None
    )
    steps = list(painting)
    assert [step.index for step in steps] == list(range(1, 2 * 4 * 3 + 1))
    torch.testing.assert_close(steps[-1].image, whole, atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [(20, 20), (1, 1), (1, 60), (75, 64), (300, 200)])
def test_the_painting_has_the_working_size(
    network: FeatureNetwork, decoder: nn.Module, size: tuple[int, int]
) -> None:
    content = smooth(*size, seed=1)
    made = result(content, smooth(1, 1, seed=2), size=64, network=network, decoder=decoder)
    assert size_of(made) == fit(size, 64)
    assert made.isfinite().all() and made.min() >= 0 and made.max() <= 1
    assert not torch.allclose(made, resize(content, size_of(made)), atol=0.01)


def test_strength_0_returns_the_content(network: FeatureNetwork, decoder: nn.Module) -> None:
    content = smooth(40, 50, seed=1)
    made = result(content, smooth(40, 50, seed=2), strength=0, network=network, decoder=decoder)
    assert torch.equal(made, content)


def test_more_strength_comes_closer_to_the_style(network: FeatureNetwork, decoder: nn.Module) -> None:
    content, style = smooth(64, 64, seed=1), smooth(64, 64, seed=2) * 0.2
    distances = []
    for strength in (0.0, 0.5, 1.0):
        made = result(content, style, strength=strength, network=network, decoder=decoder)
        distances.append((made.mean() - style.mean()).abs().item())
    assert distances == sorted(distances, reverse=True)


def test_two_styles_are_mixed(network: FeatureNetwork, decoder: nn.Module) -> None:
    content, style = smooth(64, 64, seed=1), smooth(64, 64, seed=2)
    dark, bright = style * 0.2, style * 0.2 + 0.8
    parts: dict[str, Any] = {"network": network, "decoder": decoder}
    both = result(content, dark, bright, **parts).mean()
    assert result(content, dark, **parts).mean() < both < result(content, bright, **parts).mean()


def test_a_style_with_more_weight_has_more_effect(network: FeatureNetwork, decoder: nn.Module) -> None:
    content, style = smooth(64, 64, seed=1), smooth(64, 64, seed=2)
    dark, bright = style * 0.2, style * 0.2 + 0.8
    parts: dict[str, Any] = {"network": network, "decoder": decoder}
    made = [result(content, Style(dark, w), Style(bright, 1.0), **parts).mean() for w in (0.2, 1.0, 5.0)]
    assert made[0] > made[1] > made[2]


def test_hidden_pixels_of_content_and_style_have_no_effect(
    network: FeatureNetwork, decoder: nn.Module
) -> None:
    """The hidden pixels are outside the receptive fields of all visible features."""
    content, style = smooth(64, 192, seed=1), smooth(64, 192, seed=2)
    visible = torch.zeros(1, 1, 64, 192)
    visible[..., :64] = 1
    made = []
    for hidden in (0.0, 1.0):
        contents, styles = content.clone(), style.clone()
        contents[..., 128:] = styles[..., 128:] = hidden
        learnt = Style(styles, 1.0, visible)
        made.append(result(contents, learnt, network=network, decoder=decoder, visible=visible))
    torch.testing.assert_close(made[0][..., :32], made[1][..., :32], atol=1e-3, rtol=0)
    nothing = torch.zeros_like(visible)
    assert torch.equal(
        result(content, Style(style), network=network, decoder=decoder, visible=nothing), content
    )


@pytest.mark.parametrize("neighbours", [True, False])
def test_one_set_of_features_is_in_memory_while_it_decodes(
    network: FeatureNetwork, decoder: nn.Module, neighbours: bool
) -> None:
    content, style = smooth(200, 264, seed=1), smooth(64, 80, seed=2)
    settings = FastSettings(1.0, 264, neighbours)
    networks: dict[str, Any] = {"network": network, "decoder": decoder}
    for step in stylize(content, [Style(style)], settings, visible=None, tile_scale=1 / 4, **networks):
        if step.is_painted and step.index < step.total:
            found = [each for each in gc.get_objects() if type(each) is Tensor and each.shape[:2] == (1, 512)]
            assert sum(each.shape[2:] == (27, 35) for each in found) == 1, "more take gigabytes"


def test_a_grey_style_makes_a_grey_painting(network: FeatureNetwork, decoder: nn.Module) -> None:
    content, style = smooth(64, 80, seed=1), smooth(64, 80, seed=2).mean(dim=1, keepdim=True)
    made = result(content, style.expand(-1, 3, -1, -1), network=network, decoder=decoder)
    assert (made.amax(dim=1) - made.amin(dim=1)).max() < 0.01
    assert made.std() > 0.01


def border_lines(image: Tensor) -> float:
    """Return the power of straight lines that lead from the border to the inside, 24 px long."""
    sides = [image.mean(dim=1)[0].rot90(turn)[:24, 24:-24] for turn in range(4)]
    return sum(side.mean(dim=0).diff().square().mean().item() for side in sides)


@pytest.mark.slow
def test_no_straight_lines_lead_from_the_border_into_the_painting(
    network: FeatureNetwork, decoder: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = [photograph(name, 256, 384) for name in ("chelsea.jpg", "coffee.jpg")]
    style = photograph("starry_night.jpg", 304, 384)
    painted = [result(content, style, network=network, decoder=decoder) for content in contents]
    for step in ("_framed", "_unframed"):
        monkeypatch.setattr(fast, step, lambda image: image)
    without = [result(content, style, network=network, decoder=decoder) for content in contents]
    assert sum(map(border_lines, painted)) < 0.9 * sum(map(border_lines, without))


# ── The decoder's grid ─────────────────────────────────────────────────────────────────────────────


def photograph(name: str, height: int, width: int) -> Tensor:
    return resize(read(Canvas.load(SAMPLES / name).picture).image, (height, width)).clamp(0, 1)


def grid_power(image: Tensor) -> float:
    """Return the power at the periods of 8 and 4 px, both ways, divided by the power at nearby periods."""
    inside = image[..., 16:-16, 16:-16].mean(dim=(0, 1))
    height, width = (side // 16 * 16 for side in inside.shape)
    inside = inside[:height, :width]
    window = torch.outer(torch.hann_window(height), torch.hann_window(width))
    power = torch.fft.fft2((inside - inside.mean()) * window).abs().square()
    peaks = [
        (line[peak - 1 : peak + 2], torch.cat([line[peak - 4 : peak - 1], line[peak + 2 : peak + 5]]))
        for line in (power[0], power[:, 0])
        for peak in (len(line) // STRIDE, 2 * len(line) // STRIDE)
    ]
    found, usual = (torch.cat(parts).mean().item() for parts in zip(*peaks, strict=True))
    return found / usual


@pytest.mark.slow
@pytest.mark.parametrize("name", ["chelsea.jpg", "coffee.jpg"])
def test_a_painted_photograph_has_no_decoder_grid(
    name: str, network: FeatureNetwork, decoder: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, style = photograph(name, 256, 384), photograph("starry_night.jpg", 304, 384)
    parts: dict[str, Any] = {"network": network, "decoder": decoder}
    painted = result(content, style, **parts)
    monkeypatch.setattr(fast, "remove_grid", lambda image: image)
    assert grid_power(painted) < 0.4 * grid_power(result(content, style, **parts))


def test_removing_the_grid_leaves_no_ghosts_beside_strokes() -> None:
    rows, columns = torch.meshgrid(torch.arange(160), torch.arange(160), indexing="ij")
    strokes = ((columns - 0.35 * rows) % 50 < 4) | ((rows + 0.2 * columns) % 47 < 4)
    image = torch.where(strokes, 0.15, 0.7).repeat(1, 3, 1, 1)
    near = nn.functional.max_pool2d(strokes[None].float(), 2 * STRIDE + 1, stride=1, padding=STRIDE)
    beside = (remove_grid(image) - image)[:, :, near[0] == 0]
    assert beside.square().mean().sqrt() < 0.5 / 255


def test_a_grid_is_removed_and_a_photograph_keeps_its_detail() -> None:
    image = photograph("chelsea.jpg", 203, 150)
    pattern = 0.1 * torch.rand(1, 3, STRIDE, STRIDE, generator=torch.Generator().manual_seed(1))
    pattern -= pattern.mean()
    gridded = image + pattern.repeat(1, 1, 26, 19)[..., :203, :150]
    left, taken = remove_grid(gridded) - remove_grid(image), image - remove_grid(image)
    assert left.square().mean() < 0.05 * pattern.square().mean()
    detail = image - nn.functional.avg_pool2d(image, 9, 1, 4, count_include_pad=False)
    assert taken.square().mean() < 0.1 * detail.square().mean()
