"""Feature networks: their features equal torchvision's, and no layer deeper than necessary is computed."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Literal
from unittest.mock import patch

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from atelier_shared.networks import NETWORKS, OfficialWeights, PackagedWeights, network_layers
from backend.compat.torchvision_import import torchvision
from backend.networks.feature_network import FeatureNetwork
from backend.networks.registry import build_network, load_decoder, load_network
from backend.networks.torchvision_models import use_average_pooling
from backend.weights import convert, store
from backend.weights.fetch import fetch
from backend.weights.sources import SOURCES
from backend.weights.store import MissingWeights

normalize = torchvision.transforms.functional.normalize
pil_to_tensor = torchvision.transforms.functional.pil_to_tensor

CPU = torch.device("cpu")
POOLINGS: tuple[Literal["max", "average"], ...] = ("max", "average")
SAMPLES = Path(__file__).parents[2] / "samples"
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


class Forbidden(nn.Module):
    """A layer that must not be computed."""

    def forward(self, _: Tensor) -> Tensor:
        raise AssertionError("A layer after the deepest requested one was computed.")


@pytest.fixture
def image() -> Tensor:
    return torch.rand(1, 3, 80, 96, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def cat() -> Tensor:
    with Image.open(SAMPLES / "chelsea.jpg") as picture:
        return torch.as_tensor(pil_to_tensor(picture.resize((160, 120)))[None] / 255)


def install(name: str, network: nn.Module, models: Path) -> None:
    """Install the network's values as torchvision's official ones, through its cache of checkpoints."""
    source = SOURCES[name]
    assert isinstance(source, OfficialWeights)
    file = Path(torchvision.models.get_weight(source.checkpoint).url).name
    torch.save(network.state_dict(), models / file)
    with patch.dict(SOURCES, {name: source}, clear=True):
        fetch(models, official=True)


def test_no_layer_after_the_deepest_requested_one_is_computed() -> None:
    body = nn.Sequential(OrderedDict(first=nn.Identity(), second=nn.ReLU(), third=Forbidden()))
    network = FeatureNetwork(nn.Identity(), body, minimum_px=1)
    image = torch.tensor([[[[-1.0, 2.0]]]])
    found = network.features(image, ["second", "first", "second"])
    assert {name: values.tolist() for name, values in found.items()} == {
        "first": [[[[-1.0, 2.0]]]],
        "second": [[[[0.0, 2.0]]]],
    }


def test_an_error_names_an_unknown_layer_and_the_layers_of_the_network(image: Tensor) -> None:
    network = FeatureNetwork(nn.Identity(), nn.Sequential(OrderedDict(first=nn.Identity())), minimum_px=1)
    with pytest.raises(ValueError, match=r"This network has no layer relu9_9\. Choose from first\."):
        network.features(image, ["first", "relu9_9"])


def test_vgg19_of_torchvision_has_torchvision_s_features(image: Tensor, tmp_path: Path) -> None:
    torch.manual_seed(1)
    theirs = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["E"])
    install("vgg19-torchvision", nn.ModuleDict({"features": theirs}), tmp_path)
    network = load_network("vgg19-torchvision", tmp_path, CPU)

    normalized = normalize(image, **IMAGENET)
    # Layer numbers of torchvision's sequence: conv1_2, relu1_2, relu4_2, relu5_1.
    expected = {"conv1_2": 3, "relu1_2": 4, "relu4_2": 23, "relu5_1": 30}
    found = network.features(image, list(expected))
    for layer, count in expected.items():
        torch.testing.assert_close(found[layer], theirs[:count](normalized))


OFFICIAL = {
    "inception-v3-torchvision": (
        torchvision.models.inception_v3,
        {"init_weights": False, "transform_input": True},
        {"Conv2d_1a_3x3": "Conv2d_1a_3x3", "Mixed_5d": "Mixed_5d", "Mixed_7c": "Mixed_7c"},
    ),
    "googlenet": (
        torchvision.models.googlenet,
        {"init_weights": False, "transform_input": True},
        {
            "conv1": "conv1",
            "maxpool3": "maxpool3",
            "inception4c": "inception4c",
            "inception5b": "inception5b",
        },
    ),
    "resnet50": (
        torchvision.models.resnet50,
        {},
        {
            "maxpool": "maxpool",
            "layer1": "layer1",
            "layer3_2": "layer3.1",
            "layer3": "layer3",
            "layer4": "layer4",
        },
    ),
}


UNPADDED = {
    "inception-v3-torchvision": ("Conv2d_1a_3x3", "maxpool1", "Conv2d_2a_3x3", "Conv2d_4a_3x3", "maxpool2")
}
"""Layers without padding in torchvision; ours reflect the image at its border."""


@pytest.mark.slow
@pytest.mark.parametrize("name", OFFICIAL)
def test_an_official_network_has_torchvision_s_features_and_classes(
    name: str, image: Tensor, tmp_path: Path
) -> None:
    definition, options, layers = OFFICIAL[name]
    torch.manual_seed(1)
    theirs = definition(weights=None, **options)
    with torch.no_grad():
        theirs(torch.rand(2, 3, 299, 299))  # gives the batch norms statistics other than 0 and 1
    theirs.eval()
    install(name, theirs, tmp_path)
    network = load_network(name, tmp_path, CPU)
    for layer in UNPADDED.get(name, ()):
        setattr(theirs, layer, nn.Sequential(nn.ReflectionPad2d(1), theirs.get_submodule(layer)))

    expected: dict[str, Tensor] = {}
    for layer, their_layer in layers.items():
        theirs.get_submodule(their_layer).register_forward_hook(
            lambda _module, _inputs, output, layer=layer: expected.update({layer: output.clone()})
        )
    with torch.no_grad():
        logits = theirs(normalize(image, **IMAGENET))
    found = network.features(image, [*layers, "classes"])
    for layer in layers:
        torch.testing.assert_close(found[layer], expected[layer], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found["classes"].mean(dim=(2, 3)), logits, rtol=1e-3, atol=1e-4)
    assert network.layers[-1] == "classes"
    assert network.classes[281:283] == ("tabby", "tiger cat")


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_has_the_layers_of_its_row_in_their_order(name: str, models: Path) -> None:
    listed = [layer for layer, _ in network_layers(name)]
    assert listed == [layer for layer in any_network(name, models).layers if layer in listed]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_has_classes_if_it_has_a_classifier(name: str, models: Path) -> None:
    network = any_network(name, models)
    assert len(network.classes) == (1000 if "classes" in network.layers else 0)


def any_network(name: str, models: Path) -> FeatureNetwork:
    """Load a network with its weights, or build it with zeros if only torchvision has its weights."""
    weights = NETWORKS[name].weights
    if isinstance(weights, PackagedWeights):
        return load_network(name, models, CPU)
    model = weights.checkpoint.partition("_Weights")[0].lower()
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of GoogLeNet, about the initial values
        state = torchvision.models.get_model(model, weights=None).state_dict()
    zeros = {key: torch.zeros(values.shape) for key, values in state.items() if "classifier" not in key}
    return build_network(name, getattr(convert, weights.conversion)(zeros))


def test_a_network_without_weights_names_the_command_that_installs_them(tmp_path: Path) -> None:
    with pytest.raises(
        MissingWeights, match=r"googlenet are not installed\. Run `python3 install\.py --official-w"
    ):
        load_network("googlenet", tmp_path, CPU)


def test_squeezenet_recognises_a_cat(models: Path) -> None:
    with Image.open(SAMPLES / "chelsea.jpg") as picture:
        chelsea = torch.as_tensor(pil_to_tensor(picture.convert("RGB"))[None] / 255)
    network = load_network("squeezenet", models, CPU)
    logits = network.features(chelsea, ["classes"])["classes"].mean(dim=(2, 3))[0]
    likeliest = [network.classes[int(index)] for index in logits.topk(3).indices]
    assert set(likeliest) == {"tabby", "tiger cat", "Egyptian cat"}
    cats = sum(logits.softmax(0)[network.classes.index(name)] for name in likeliest)
    assert cats > 0.9


def test_average_pooling_is_torch_s(models: Path, image: Tensor) -> None:
    network = load_network("vgg16", models, CPU, pooling="average")
    found = network.features(image, ["relu1_2", "pool1"])
    expected = nn.functional.avg_pool2d(found["relu1_2"], 2)
    torch.testing.assert_close(found["pool1"], expected)


@pytest.mark.parametrize("name", sorted(NETWORKS.keys() - {"efficientnet-lite0"}))  # it has no pools
def test_every_network_can_use_average_pooling(name: str, models: Path) -> None:
    body = any_network(name, models).body
    use_average_pooling(body)
    between = [*body, *(part for layer in body if type(layer) is nn.Sequential for part in layer)]
    assert any(isinstance(layer, nn.AvgPool2d) for layer in between)
    assert not any(isinstance(layer, nn.MaxPool2d) for layer in between)


def test_efficientnet_lite0_recognises_the_cat(models: Path, cat: Tensor) -> None:
    network = load_network("efficientnet-lite0", models, CPU)
    large = nn.functional.interpolate(cat, (224, 224), mode="bicubic", antialias=True).clamp(0, 1)
    logits = network.features(large, ["classes"])["classes"].mean(dim=(0, 2, 3))
    assert "cat" in network.classes[int(logits.argmax())]


def test_efficientnet_lite0_has_the_sizes_and_channels_of_its_paper(models: Path) -> None:
    # Tan and Le 2019, table 1: the resolution and the channels after each stage.
    network = load_network("efficientnet-lite0", models, CPU)
    found = network.features(torch.rand(1, 3, 224, 224), network.layers)
    ends = ("stem", "block1", "block3", "block5", "block8", "block11", "block15", "block16", "head")
    channels = (32, 16, 24, 40, 80, 112, 192, 320, 1280)
    sides = (112, 112, 56, 28, 14, 14, 7, 7, 7)
    for layer, count, side in zip(ends, channels, sides, strict=True):
        assert found[layer].shape == (1, count, side, side), layer


def test_folded_batch_norms_give_the_values_of_torch_s_own(models: Path) -> None:
    tensors = store.load("efficientnet-lite0", models)
    norm = nn.BatchNorm2d(32, eps=1e-3).eval()
    norm.load_state_dict(
        {key.removeprefix("stem.1.bn."): value for key, value in tensors.items() if "stem.1.bn." in key},
        strict=False,
    )
    image = torch.rand(1, 3, 32, 32)
    values = nn.functional.conv2d(
        nn.functional.pad((image - 127 / 255) / (128 / 255), (0, 1, 0, 1)), tensors["stem.1.weight"], stride=2
    )
    found = load_network("efficientnet-lite0", models, CPU).features(image, ["stem"])["stem"]
    torch.testing.assert_close(found, nn.functional.relu6(norm(values)))


def test_channels_of_a_layer_are_counted(models: Path) -> None:
    network = load_network("inception-v3", models, CPU)
    assert (network.channels_of("Mixed_5d"), network.channels_of("Mixed_6b")) == (288, 768)


@pytest.mark.parametrize("name", ["vgg19", "vgg16", "squeezenet", "inception-v3"])
def test_average_pooling_changes_the_features(name: str, models: Path, image: Tensor) -> None:
    layer = NETWORKS[name].defaults.dream
    maximum, average = (
        load_network(name, models, CPU, pooling=pooling).features(image, [layer])[layer]
        for pooling in POOLINGS
    )
    assert maximum.shape == average.shape
    assert not maximum.allclose(average, rtol=0.1)


@pytest.mark.parametrize(("name", "layer"), [("vgg19", "relu4_1"), ("inception-v3", "Mixed_5b")])
def test_features_depend_on_the_border_of_an_image_as_much_as_on_the_rest(
    models: Path, name: str, layer: str
) -> None:
    # Otherwise a result optimised through the features has a frame.
    network = load_network(name, models, CPU)
    image = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(1)).requires_grad_()
    network.features(image, [layer])[layer].sum().backward()  # type: ignore[no-untyped-call]
    assert image.grad is not None
    seen = image.grad.abs().mean(dim=(0, 1))
    border = torch.stack([seen[0].mean(), seen[-1].mean(), seen[:, 0].mean(), seen[:, -1].mean()])
    assert border.min() > 0.3 * seen[8:-8, 8:-8].mean()


# ── Receptive fields ────────────────────────────────────────────────────────────────────────────

HALOS = [
    ("vgg19", "relu5_1", 80, 16),
    ("vgg16", "relu3_3", 20, 4),
    ("squeezenet", "fire5", 32, 8),
    ("inception-v3", "Mixed_5d", 64, 8),
]


@pytest.mark.parametrize(("name", "layer", "halo", "stride"), HALOS)
def test_a_halo_covers_the_gradient_of_a_position(
    models: Path, name: str, layer: str, halo: int, stride: int
) -> None:
    network = load_network(name, models, CPU, accelerated=False)  # its zeros are exact
    assert (network.halo_px([layer]), network.stride_px([layer])) == (halo, stride)
    middle = 192 // stride
    strip = torch.rand(1, 3, network.minimum_px, 384, generator=torch.Generator().manual_seed(1))
    strip.requires_grad_()
    position = network.features(strip, [layer])[layer][..., middle].sum()
    (gradient,) = torch.autograd.grad(position, strip)
    columns = gradient.abs().sum(dim=(0, 1, 2)).nonzero()
    before, after = 192 - int(columns.min()), int(columns.max()) - 192 - stride + 1
    assert halo - stride < max(before, after) <= halo


@pytest.mark.parametrize(("name", "layer", "halo", "stride"), HALOS)
def test_a_tile_with_its_halo_has_the_features_of_the_whole_image(
    models: Path, name: str, layer: str, halo: int, stride: int
) -> None:
    network = load_network(name, models, CPU)
    strip = torch.rand(1, 3, network.minimum_px, 512, generator=torch.Generator().manual_seed(1))
    whole = network.features(strip, [layer])[layer][..., 224 // stride : 288 // stride]
    differences = []
    for margin in (halo, halo - stride):
        tile = network.features(strip[..., 224 - margin : 288 + margin], [layer])[layer]
        own = tile[..., margin // stride : (margin + 64) // stride]
        differences.append(float((own - whole).abs().max() / whole.abs().max()))
    assert differences[0] < 1e-5 < differences[1]


def test_a_tile_of_efficientnet_lite0_with_its_halo_has_the_features_of_the_whole_image(models: Path) -> None:
    # Its padding is not symmetric, so on one side the halo is wider than necessary.
    network = load_network("efficientnet-lite0", models, CPU)
    strip = torch.rand(1, 3, 32, 512, generator=torch.Generator().manual_seed(1))
    halo = network.halo_px(["block5"])
    whole = network.features(strip, ["block5"])["block5"][..., 224 // 8 : 288 // 8]
    tile = network.features(strip[..., 224 - halo : 288 + halo], ["block5"])["block5"]
    torch.testing.assert_close(tile[..., halo // 8 : (halo + 64) // 8], whole, rtol=0, atol=1e-4)


def test_a_layer_after_branches_has_the_largest_halo_of_them(models: Path) -> None:
    # Calculated: 3 px of conv1, 2 of its pool, then 4 for every 3×3 at stride 4, and 8 at stride 8.
    network = any_network("resnet50", models)
    reach = {layer: (network.halo_px([layer]), network.stride_px([layer])) for layer in network.layers}
    assert reach["conv1"] == (4, 2)
    assert reach["layer1"] == (20, 4)
    assert reach["layer2"] == (48, 8)
    assert network.halo_px(["layer2", "conv1"]) == 48


@pytest.mark.parametrize(
    ("name", "deepest"),
    [("vgg19", "relu5_4"), ("vgg16", "relu5_3"), ("squeezenet", "classes"), ("inception-v3", "Mixed_7c")],
)
def test_a_network_accepts_the_smallest_image_that_torch_accepts(
    models: Path, name: str, deepest: str
) -> None:
    network = load_network(name, models, CPU)
    side = network.minimum_px
    assert network.layers[-1] == deepest
    assert network.features(torch.rand(1, 3, side, side), [deepest])[deepest].isfinite().all()
    with pytest.raises(ValueError, match=f"at least {side} px, not {side} × {side - 1} px"):
        network.features(torch.rand(1, 3, side - 1, side), [deepest])
    network.minimum_px = 1
    with pytest.raises(RuntimeError):
        network.features(torch.rand(1, 3, side - 1, side), [deepest])


@pytest.mark.parametrize(("name", "layer"), [("vgg19", "relu3_1"), ("inception-v3", "Mixed_5b")])
def test_features_are_differentiable_by_the_image_alone(
    models: Path, name: str, layer: str, image: Tensor
) -> None:
    network = load_network(name, models, CPU)
    network.features(image.requires_grad_(), [layer])[layer].square().mean().backward()  # type: ignore[no-untyped-call]
    assert image.grad is not None and image.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not any(module.training for module in network.modules())


def test_the_normalised_vgg19_has_even_activations(models: Path, cat: Tensor) -> None:
    # Gatys et al. 2016, section 2: scaled to a mean activation of about one in each layer.
    network = load_network("vgg19", models, CPU)
    for layer, features in network.features(cat, [n for n in network.layers if "relu" in n]).items():
        assert 0.1 < features.mean().item() < 3, layer


def test_the_decoder_inverts_the_encoder(models: Path, cat: Tensor) -> None:
    features = load_network("vgg19", models, CPU).features(cat, ["relu4_1"])["relu4_1"]
    decoded = load_decoder(models, CPU)(features)
    assert decoded.shape == cat.shape
    grays = torch.stack([image.mean(dim=1).flatten() for image in (cat, decoded, decoded.flip(-1))])
    _, as_decoded, as_mirrored = torch.corrcoef(grays)[0]
    assert as_decoded > 0.5 > as_mirrored
