"""DeepDream: gradient, octaves, tiles, visibility and sizes."""

from __future__ import annotations

import gc
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from backend.dream import deepdream
from backend.dream.deepdream import DreamSettings, dream, layer_gradient, shifted_gradient, step, zoomed
from backend.dream.objectives import DreamObjective, activation
from backend.imaging.resize import resize, size_of
from backend.networks.feature_network import FeatureNetwork
from backend.networks.registry import load_network

SAMPLES = Path(__file__).parents[2] / "samples"
SECOND = activation({"second": 1.0})
SETTINGS = DreamSettings(
    size=64,
    octaves=2,
    octave_scale=1.5,
    to_full_size=False,
    iterations=3,
    step_size=0.02,
    jitter=5,
    smoothing="none",
    strength=1.0,
    seed=7,
)


class WithoutHalo(FeatureNetwork):
    """A network with a halo that is wrong: 0."""

    def halo_px(self, layers: Sequence[str]) -> int:
        return 0 * super().halo_px(layers)


def tiny(kind: type[FeatureNetwork] = FeatureNetwork, scale: float = 1.0) -> FeatureNetwork:
    """Return two seeded, smooth convolutions, with a stride of 4; `scale` scales the first's features."""
    torch.manual_seed(0)
    first = nn.Sequential(nn.Conv2d(3, 4, kernel_size=3, stride=2, padding=1), nn.Tanh())
    second = nn.Sequential(nn.Conv2d(4, 5, kernel_size=5, stride=2, padding=2), nn.Tanh())
    first.append(Times(scale))
    second.insert(0, Times(1 / scale))
    return kind(nn.Identity(), nn.Sequential(OrderedDict(first=first, second=second)), minimum_px=12)


class Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, values: Tensor) -> Tensor:
        return self.factor * values


def brightness(layer: nn.Module | None = None) -> FeatureNetwork:
    """Return a network whose only layer is the image (or `layer` of it), so results can be predicted."""
    return FeatureNetwork(nn.Identity(), nn.Sequential(OrderedDict(it=layer or nn.Identity())), minimum_px=1)


@pytest.fixture
def network() -> FeatureNetwork:
    return tiny()


def noise(height: int, width: int, seed: int = 1) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def final(
    image: Tensor,
    network: FeatureNetwork,
    objective: DreamObjective = SECOND,
    visible: Tensor | None = None,
    **changed: Any,
) -> Tensor:
    """Return the result of a dream with SETTINGS except for `changed`."""
    *_, last = dream(image, objective, replace(SETTINGS, **changed), network=network, visible=visible)
    return last.image


def test_the_step_size_is_the_mean_change_of_a_value() -> None:
    image = torch.tensor([0.1, 0.2, 0.6]).reshape(1, 3, 1, 1)
    direction = torch.tensor([1.0, 2.0, 6.0]).reshape(1, 3, 1, 1)  # 3 in the mean
    stepped = step(image, direction, 0.03, torch.ones(1, 1, 1, 1))
    assert stepped.flatten().tolist() == pytest.approx([0.11, 0.22, 0.66])


def test_the_step_size_is_the_mean_over_visible_pixels() -> None:
    image, visible = torch.full((1, 3, 1, 4), 0.5), torch.tensor([1.0, 0.0, 0.0, 0.0]).reshape(1, 1, 1, 4)
    stepped = step(image, torch.ones_like(image), 0.03, visible)
    assert stepped[0, 0, 0].tolist() == pytest.approx([0.53, 0.5, 0.5, 0.5])


def test_a_step_is_clipped_to_black_and_white() -> None:
    image = torch.tensor([0.0, 0.5, 1.0]).reshape(1, 3, 1, 1)
    direction = torch.tensor([-1.0, 1.0, 1.0]).reshape(1, 3, 1, 1)
    assert step(image, direction, 9.0, torch.ones(1, 1, 1, 1)).flatten().tolist() == [0, 1, 1]


def test_the_picture_is_rolled_and_the_gradient_rolled_back() -> None:
    class Corner(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            only = torch.zeros_like(image)
            only[..., 0, 0] = 1
            return image * only

    image = torch.full((1, 3, 4, 5), 0.5)
    gradient = shifted_gradient(
        image, torch.ones(1, 1, 4, 5), brightness(Corner()), activation({"it": 1.0}), [1, 2]
    )
    assert gradient[0, 0].nonzero().tolist() == [[3, 3]]  # rolled by 1 and 2 to the corner


def test_weights_of_layers_are_independent_of_the_scale_of_features(network: FeatureNetwork) -> None:
    image, whole = noise(32, 40), torch.ones(1, 1, 32, 40)

    def gradient(network: FeatureNetwork, **layers: float) -> Tensor:
        return shifted_gradient(image, whole, network, activation(layers), [3, -2])

    first, second = gradient(network, first=1.0), gradient(network, second=1.0)
    assert first.abs().mean().item() == pytest.approx(1)
    both = gradient(network, first=0.5, second=2.0)
    torch.testing.assert_close(both, 0.5 * first + 2 * second)
    torch.testing.assert_close(gradient(tiny(scale=1e3), first=0.5, second=2.0), both)


def test_a_picture_without_a_gradient_is_unchanged() -> None:
    black = torch.zeros(1, 3, 16, 16)
    assert final(black, brightness(), activation({"it": 1.0})).equal(black)


@pytest.mark.parametrize("smoothing", ["none", "gaussian", "laplacian"])
def test_the_objective_increases_in_every_step_of_an_octave(network: FeatureNetwork, smoothing: str) -> None:
    image = noise(32, 40)
    changed: dict[str, Any] = {
        "octaves": 1,
        "iterations": 8,
        "jitter": 0,
        "smoothing": smoothing,
        "step_size": 0.01,
    }
    steps = dream(image, SECOND, replace(SETTINGS, **changed), network=network)
    values = [value(step.image, network) for step in steps]
    assert values == sorted(values)
    assert values[-1] > 1.05 * value(image, network)


def value(image: Tensor, network: FeatureNetwork, objective: DreamObjective = SECOND) -> float:
    """Compute the objective: the sum of the scores of all layers and positions."""
    found = network.features(image, objective.layers)
    return sum(objective.scores(layer, found[layer]).sum().item() for layer in objective.layers)


@pytest.mark.parametrize("side", [8, 32, 64])
def test_tiles_have_the_gradient_of_the_whole_picture(
    network: FeatureNetwork, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, visible = noise(100, 170), noise(100, 170)[:, :1]
    whole = layer_gradient(image, visible, network, SECOND, "second")
    cut_tiles(monkeypatch, side)
    torch.testing.assert_close(
        layer_gradient(image, visible, network, SECOND, "second"), whole, rtol=1e-4, atol=1e-7
    )


def test_a_halo_that_is_too_small_changes_the_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    image, visible = noise(100, 170), torch.ones(1, 1, 100, 170)
    whole = layer_gradient(image, visible, tiny(), SECOND, "second")
    cut_tiles(monkeypatch, 32)
    gradient = layer_gradient(image, visible, tiny(WithoutHalo), SECOND, "second")
    assert (gradient - whole).norm() > 1e-2 * whole.norm()


def cut_tiles(monkeypatch: pytest.MonkeyPatch, side: int) -> None:
    monkeypatch.setattr(deepdream, "TILE_PX", side)
    monkeypatch.setattr(deepdream, "MIN_INNER_TILE_PX", side)


def test_steps_count_every_iteration_of_every_octave(network: FeatureNetwork) -> None:
    steps = list(dream(noise(30, 48), SECOND, SETTINGS, network=network))
    assert [(step.index, step.total) for step in steps] == [(i, 6) for i in range(1, 7)]
    assert [step.image.shape[-2:] for step in steps] == [(20, 32)] * 3 + [(30, 48)] * 3
    assert not any(step.image.requires_grad for step in steps)


def test_octaves_too_small_for_the_network_are_left_out(network: FeatureNetwork) -> None:
    steps = list(dream(noise(20, 40), SECOND, replace(SETTINGS, octaves=6), network=network))
    assert {step.total for step in steps} == {2 * 3}  # 20 px and 13 px; 9 px is less than 12


@pytest.mark.parametrize(("height", "width"), [(3, 50), (50, 1), (1, 1), (200, 90)])
def test_the_result_has_the_size_of_the_picture(network: FeatureNetwork, height: int, width: int) -> None:
    image = noise(height, width)
    made = final(image, network)
    assert made.shape == image.shape
    assert not made.equal(image)


def smooth_noise(height: int, width: int) -> Tensor:
    return resize(0.2 + 0.6 * noise(8, 6), (height, width)).clamp(0, 1)


def detail_of(image: Tensor) -> float:
    """Return the mean square of the difference between neighbouring rows."""
    return image.diff(dim=-2).square().mean().item()


def test_a_picture_larger_than_the_working_size_keeps_its_fine_detail(network: FeatureNetwork) -> None:
    stripes = torch.zeros(1, 3, 128, 128)
    stripes[..., ::2] = 0.2
    stripes += 0.4
    made = final(stripes, network, size=32)
    difference = (made[..., ::2] - made[..., 1::2]).mean()
    assert difference.item() == pytest.approx(0.2, abs=0.01)
    assert not made.allclose(stripes, atol=0.01)


def test_more_octaves_dream_up_to_the_picture_s_own_size(network: FeatureNetwork) -> None:
    image = smooth_noise(128, 96)
    changed: dict[str, Any] = {"size": 32, "iterations": 4}
    steps = list(dream(image, SECOND, replace(SETTINGS, to_full_size=True, **changed), network=network))
    assert [size_of(step.image) for step in steps] == (
        [(21, 16)] * 4 + [(32, 24)] * 4 + [(64, 48)] * 2 + [(128, 96)] * 2
    )
    assert [step.index for step in steps] == list(range(1, 13))
    enlarged = final(image, network, **changed)
    assert detail_of(steps[-1].image - image) > 4 * detail_of(enlarged - image)


def test_more_octaves_of_a_flat_picture_are_not_too_small_for_the_network(network: FeatureNetwork) -> None:
    image = noise(3, 200)
    made = final(image, network, to_full_size=True, size=64)
    assert size_of(made) == (3, 200) and not made.equal(image)


def test_strength_interpolates_between_the_picture_and_the_dream(network: FeatureNetwork) -> None:
    image = 0.3 + 0.4 * noise(30, 30)
    nothing, half, full = (final(image, network, strength=s, octaves=1) for s in (0.0, 0.5, 1.0))
    assert nothing.equal(image)
    torch.testing.assert_close(half, (image + full) / 2)


def test_the_values_stay_in_range(network: FeatureNetwork) -> None:
    made = final(noise(40, 40), network, step_size=0.5)
    assert made.min() >= 0
    assert made.max() <= 1


def test_the_result_depends_on_the_seed_only(network: FeatureNetwork) -> None:
    image = noise(40, 40)
    first = final(image, network, seed=3)
    torch.rand(5)  # must not depend on the global generator
    assert final(image, network, seed=3).equal(first)
    assert not final(image, network, seed=4).equal(first)


def test_the_input_is_not_changed(network: FeatureNetwork) -> None:
    image = noise(40, 40)
    before = image.clone()
    final(image, network)
    assert image.equal(before)


@pytest.mark.parametrize("taken", [1, 4, 6])
def test_cancelling_at_any_step_frees_the_memory(network: FeatureNetwork, taken: int) -> None:
    steps = dream(noise(40, 40), SECOND, SETTINGS, network=network)
    *_, held = [weakref.ref(step.image) for step in islice(steps, taken)]
    steps.close()
    gc.collect()
    assert held() is None


def finished_early(
    after: int, image: Tensor, network: FeatureNetwork, visible: Tensor | None = None, **changed: Any
) -> Tensor:
    """Return the result of a dream that is finished early after `after` steps."""
    steps = dream(image, SECOND, replace(SETTINGS, **changed), network=network, visible=visible)
    *_, _latest = islice(steps, after)
    last = steps.send(True)
    assert last.index == last.total
    assert not list(steps)
    return last.image


@pytest.mark.parametrize("after", [1, 3])
def test_finishing_in_a_coarse_octave_gives_the_dream_of_that_size(
    network: FeatureNetwork, after: int
) -> None:
    image, visible = noise(30, 48), noise(30, 48)[:, :1].round()
    coarse = {"iterations": after, "octaves": 1, "size": 32}
    cases: list[dict[str, Any]] = [{"strength": 0.5}, {"visible": visible}]
    for changed in cases:
        made = finished_early(after, image, network, iterations=4, **changed)
        assert made.equal(final(image, network, **changed | coarse))
        assert not made.equal(image)


@pytest.mark.parametrize("after", [1, 2])
def test_finishing_in_the_only_octave_gives_the_dream_of_fewer_steps(
    network: FeatureNetwork, after: int
) -> None:
    image, visible = noise(60, 48), noise(60, 48)[:, :1]
    changed: dict[str, Any] = {"octaves": 1, "size": 40, "visible": visible}  # enlarged at the end
    assert finished_early(after, image, network, **changed).equal(
        final(image, network, **changed | {"iterations": after})
    )


@pytest.mark.parametrize("after", [4, 5])
def test_finishing_in_the_last_octave_keeps_the_detail_of_coarser_ones(
    network: FeatureNetwork, after: int
) -> None:
    image = noise(30, 48)
    *_, latest = islice(dream(image, SECOND, SETTINGS, network=network), after)
    made = finished_early(after, image, network)
    torch.testing.assert_close(made, latest.image)
    assert not made.allclose(final(image, network), atol=0.01)


def test_finishing_after_the_last_step_changes_nothing(network: FeatureNetwork) -> None:
    image = noise(30, 48)
    steps = dream(image, SECOND, SETTINGS, network=network)
    *_, last = islice(steps, 6)
    with pytest.raises(StopIteration):
        steps.send(True)
    assert last.image.equal(final(image, network))


# ── Hidden pixels ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def visible() -> Tensor:
    """The left half of 40 × 60 px, with a soft edge, (1, 1, 40, 60)."""
    return torch.cat([torch.ones(30), torch.tensor([0.7, 0.3]), torch.zeros(28)]).expand(1, 1, 40, 60)


@pytest.mark.parametrize("smoothing", ["none", "gaussian", "laplacian"])
def test_hidden_pixels_are_unchanged(network: FeatureNetwork, visible: Tensor, smoothing: str) -> None:
    image = noise(40, 60)
    hidden = visible.expand_as(image) == 0
    made = final(image, network, visible=visible, smoothing=smoothing)
    assert made[hidden].equal(image[hidden])
    assert not made[~hidden].allclose(image[~hidden], atol=0.01)


def test_hidden_pixels_have_no_weight(network: FeatureNetwork, visible: Tensor) -> None:
    image, striking = noise(40, 60), noise(40, 60).round()
    near = max_pool2d(visible, kernel_size=33, stride=1, padding=16) > 0  # receptive fields
    other = torch.where(near, image, striking)
    changed: dict[str, Any] = {"visible": visible, "octaves": 1, "jitter": 0}
    made, also = final(image, network, **changed), final(other, network, **changed)
    assert not other.equal(image)
    seen = visible.expand_as(image) > 0
    assert also[seen].equal(made[seen])


def test_a_fully_visible_picture_equals_one_without_transparency(
    network: FeatureNetwork,
) -> None:
    image = noise(40, 60)
    made = final(image, network, visible=torch.ones(1, 1, 40, 60))
    torch.testing.assert_close(made, final(image, network))


def test_a_fully_transparent_picture_is_unchanged(network: FeatureNetwork) -> None:
    image = noise(40, 60)
    assert final(image, network, visible=torch.zeros(1, 1, 40, 60)).equal(image)


# ── Starting images ───────────────────────────────────────────────────────────────────────────────


def test_noise_depends_on_the_seed_and_is_grey_in_the_mean() -> None:
    first = deepdream.noise((60, 80), 3, torch.device("cpu"))
    assert first.shape == (1, 3, 60, 80)
    assert first.mean().item() == pytest.approx(0.5, abs=0.01)
    assert deepdream.noise((60, 80), 3, torch.device("cpu")).equal(first)
    assert not deepdream.noise((60, 80), 4, torch.device("cpu")).equal(first)


def test_a_zoom_of_two_doubles_the_distance_from_the_centre() -> None:
    image = torch.zeros(1, 3, 41, 41)
    image[..., 18:23, 24:29] = 1  # its centre 6 px right of the picture's
    twice = zoomed(image, 2.0)
    assert twice.shape == image.shape
    rows, columns = (twice[0, 0] > 0.5).nonzero(as_tuple=True)
    assert rows.double().mean().item() == pytest.approx(20, abs=0.1)
    assert columns.double().mean().item() == pytest.approx(20 + 2 * 6, abs=0.1)
    assert twice[0, 0].sum().item() == pytest.approx(4 * 25, rel=0.05)


def test_a_zoom_of_one_changes_nothing() -> None:
    image = noise(20, 31)
    torch.testing.assert_close(zoomed(image, 1.0), image, rtol=0, atol=1e-5)


# ── The real networks ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def cat() -> Tensor:
    with Image.open(SAMPLES / "chelsea.jpg") as photograph:
        return torch.from_numpy(np.array(photograph)).permute(2, 0, 1)[None] / 255


DREAMS = {"inception-v3": "Mixed_5d", "vgg19": "relu4_2", "vgg16": "relu4_2", "squeezenet": "fire8"}


@pytest.mark.parametrize(("name", "layer"), DREAMS.items())
def test_the_objective_of_every_network_increases(models: Path, cat: Tensor, name: str, layer: str) -> None:
    face = cat[..., 60:180, 100:220]
    network = load_network(name, models, torch.device("cpu"))
    objective = activation({layer: 1.0})
    *_, last = dream(face, objective, replace(SETTINGS, size=120), network=network)
    assert value(last.image, network, objective) > 1.2 * value(face, network, objective)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layer"),
    [("inception-v3", "Mixed_5d"), ("inception-v3", "Mixed_7c"), ("vgg19", "relu5_4"), ("vgg16", "relu5_3"),
     ("squeezenet", "classes")],
)  # fmt: skip
@pytest.mark.parametrize(
    ("accelerated", "difference"),
    [(False, 1e-4), (True, 3e-3)],  # fast kernels round differently; a value near 0 may change its sign
)
def test_tiles_of_every_network_have_no_seams(
    models: Path,
    cat: Tensor,
    name: str,
    layer: str,
    accelerated: bool,
    difference: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = load_network(name, models, torch.device("cpu"), accelerated=accelerated)
    objective = activation({layer: 1.0})
    wide = torch.cat([cat, cat.flip(3), cat], dim=3)  # the halo of the deepest layer is 672 px
    strip = wide[..., 80 : 85 + network.minimum_px, :]
    visible = strip[:, :1].round()
    whole = layer_gradient(strip, visible, network, objective, layer)
    cut_tiles(monkeypatch, 256)
    tiled = layer_gradient(strip, visible, network, objective, layer)
    assert (tiled - whole).norm() < difference * whole.norm()
