"""Features by layer name are torchvision's own, and nothing deeper is computed."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from backend import weights
from backend.networks import Network, load_decoder, load_network
from backend.vision import torchvision

normalize = torchvision.transforms.functional.normalize
pil_to_tensor = torchvision.transforms.functional.pil_to_tensor

CPU = torch.device("cpu")
SAMPLES = Path(__file__).parents[1] / "samples"
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


class Fuse(nn.Module):
    """A layer that must never be reached."""

    def forward(self, _: Tensor) -> Tensor:
        raise AssertionError("A layer past the deepest one asked for was computed.")


@pytest.fixture
def image() -> Tensor:
    return torch.rand(1, 3, 80, 96, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def cat() -> Tensor:
    with Image.open(SAMPLES / "chelsea.jpg") as picture:
        return torch.as_tensor(pil_to_tensor(picture.resize((160, 120)))[None] / 255)


def install(name: str, network: nn.Module, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the network's values torchvision's official ones, by way of its cache."""
    source = weights.SOURCES[name]
    assert isinstance(source, weights.Official)
    file = Path(torchvision.models.get_weight(source.checkpoint).url).name
    torch.save(network.state_dict(), models / file)
    monkeypatch.setattr(weights, "SOURCES", {name: source})
    weights.fetch(models, official=True)


def test_nothing_past_the_deepest_layer_is_computed() -> None:
    body = nn.Sequential(OrderedDict(first=nn.Identity(), second=nn.ReLU(), third=Fuse()))
    network = Network(nn.Identity(), body, minimum_px=1)
    image = torch.tensor([[[[-1.0, 2.0]]]])
    found = network.features(image, ["second", "first", "second"])
    assert {name: values.tolist() for name, values in found.items()} == {
        "first": [[[[-1.0, 2.0]]]],
        "second": [[[[0.0, 2.0]]]],
    }


def test_an_unknown_layer_is_refused_by_name(image: Tensor) -> None:
    network = Network(nn.Identity(), nn.Sequential(OrderedDict(first=nn.Identity())), minimum_px=1)
    with pytest.raises(ValueError, match="no layer relu9_9"):
        network.features(image, ["first", "relu9_9"])


def test_vgg19_of_torchvision_gives_torchvisions_features(
    image: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    theirs = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["E"])
    install("vgg19-torchvision", nn.ModuleDict({"features": theirs}), tmp_path, monkeypatch)
    network = load_network("vgg19-torchvision", tmp_path, CPU)

    normalized = normalize(image, **IMAGENET)
    # Layer numbers of torchvision's sequence: conv1_2, relu1_2, relu4_2, relu5_1.
    expected = {"conv1_2": 3, "relu1_2": 4, "relu4_2": 23, "relu5_1": 30}
    found = network.features(image, list(expected))
    for layer, count in expected.items():
        torch.testing.assert_close(found[layer], theirs[:count](normalized))


def test_inception_v3_of_torchvision_gives_torchvisions_features(
    image: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    theirs = torchvision.models.inception_v3(weights=None, init_weights=False, transform_input=True)
    with torch.no_grad():
        theirs(torch.rand(4, 3, 299, 299))  # gives the batch norms statistics other than 0 and 1
    theirs.eval()
    install("inception-v3-torchvision", theirs, tmp_path, monkeypatch)
    network = load_network("inception-v3-torchvision", tmp_path, CPU)

    layers = ["Conv2d_1a_3x3", "Conv2d_4a_3x3", "Mixed_5d", "Mixed_6e", "Mixed_7c"]
    expected: dict[str, Tensor] = {}
    for layer in layers:
        theirs.get_submodule(layer).register_forward_hook(
            lambda _module, _inputs, output, layer=layer: expected.update({layer: output})
        )
    with torch.no_grad():
        theirs(normalize(image, **IMAGENET))
    found = network.features(image, layers)
    for layer in layers:
        torch.testing.assert_close(found[layer], expected[layer], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("name", "deepest"), [("vgg19", "relu5_4"), ("inception-v3", "Mixed_7c")])
def test_the_smallest_image_is_the_smallest_that_can_be_computed(
    models: Path, name: str, deepest: str
) -> None:
    network = load_network(name, models, CPU)
    side = network.minimum_px
    assert network.layers[-1] == deepest
    assert network.features(torch.rand(1, 3, side, side), [deepest])[deepest].isfinite().all()
    with pytest.raises(ValueError, match=f"takes {side} px and more, not {side} × {side - 1} px"):
        network.features(torch.rand(1, 3, side - 1, side), [deepest])
    network.minimum_px = 1
    with pytest.raises(RuntimeError):
        network.features(torch.rand(1, 3, side - 1, side), [deepest])


@pytest.mark.parametrize(("name", "layer"), [("vgg19", "relu3_1"), ("inception-v3", "Mixed_5b")])
def test_features_depend_on_the_image_and_nothing_else_can_change(
    models: Path, name: str, layer: str, image: Tensor
) -> None:
    network = load_network(name, models, CPU)
    network.features(image.requires_grad_(), [layer])[layer].square().mean().backward()  # type: ignore[no-untyped-call]
    assert image.grad is not None and image.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not any(module.training for module in network.modules())


def test_the_normalised_vgg19_has_even_activations(models: Path, cat: Tensor) -> None:
    """Gatys et al. 2016, section 2: scaled so that the mean activation of each layer is about one."""
    network = load_network("vgg19", models, CPU)
    for layer, features in network.features(cat, [n for n in network.layers if "relu" in n]).items():
        assert 0.1 < features.mean().item() < 3, layer


def test_the_decoder_undoes_the_encoder(models: Path, cat: Tensor) -> None:
    features = load_network("vgg19", models, CPU).features(cat, ["relu4_1"])["relu4_1"]
    decoded = load_decoder(models, CPU)(features)
    assert decoded.shape == cat.shape
    grays = torch.stack([image.mean(dim=1).flatten() for image in (cat, decoded, decoded.flip(-1))])
    _, as_decoded, as_mirrored = torch.corrcoef(grays)[0]
    assert as_decoded > 0.5 > as_mirrored
