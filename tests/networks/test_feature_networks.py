"""Features by layer name are torchvision's own, and nothing deeper is computed."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Literal

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from backend.compat.torchvision_import import torchvision
from backend.networks import registry
from backend.networks.registry import Network, load_decoder, load_network
from backend.networks.torchvision_models import use_average_pooling
from backend.weights import fetch
from backend.weights.fetch import MissingWeights

normalize = torchvision.transforms.functional.normalize
pil_to_tensor = torchvision.transforms.functional.pil_to_tensor

CPU = torch.device("cpu")
POOLINGS: tuple[Literal["max", "average"], ...] = ("max", "average")
SAMPLES = Path(__file__).parents[2] / "samples"
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
    source = fetch.SOURCES[name]
    assert isinstance(source, fetch.Official)
    file = Path(torchvision.models.get_weight(source.checkpoint).url).name
    torch.save(network.state_dict(), models / file)
    monkeypatch.setattr(fetch, "SOURCES", {name: source})
    fetch.fetch(models, official=True)


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
    with pytest.raises(ValueError, match="no layer relu9_9 in this network; it has first"):
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
"""The layers that leave the picture's border unseen unless they reflect it, as ours do."""


@pytest.mark.parametrize("name", OFFICIAL)
def test_an_official_network_gives_torchvisions_features_and_classes(
    name: str, image: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    definition, options, layers = OFFICIAL[name]
    torch.manual_seed(1)
    theirs = definition(weights=None, **options)
    with torch.no_grad():
        theirs(torch.rand(2, 3, 299, 299))  # gives the batch norms statistics other than 0 and 1
    theirs.eval()
    install(name, theirs, tmp_path, monkeypatch)
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


@pytest.mark.parametrize("name", registry.NETWORKS)
def test_a_network_has_its_default_layers(name: str, models: Path) -> None:
    network = any_network(name, models)
    content, style, dream = registry.DEFAULTS[name]
    assert {*content, *style, dream} <= set(network.layers)
    assert registry.DEFAULTS.keys() == registry.NETWORKS.keys()


def any_network(name: str, models: Path) -> Network:
    """With its weights, or with zeros for those that only a download would bring."""
    if isinstance(fetch.SOURCES[name], fetch.Packed):
        return load_network(name, models, CPU)
    vgg = getattr(torchvision.models, name.partition("-")[0], None)
    definition, options, _ = OFFICIAL.get(name, (vgg, {}, {}))
    with torch.device("meta"):
        state = definition(weights=None, **options).state_dict()
    zeros = {key: torch.zeros(values.shape) for key, values in state.items() if "classifier" not in key}
    source = fetch.SOURCES[name]
    assert isinstance(source, fetch.Official)
    return registry.NETWORKS[name](source.convert(zeros))


def test_a_network_that_was_not_fetched_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(
        MissingWeights, match=r"googlenet are not installed; run `python3 install\.py --official-w"
    ):
        load_network("googlenet", tmp_path, CPU)


def test_squeezenet_knows_a_cat(models: Path) -> None:
    with Image.open(SAMPLES / "chelsea.jpg") as picture:
        chelsea = torch.as_tensor(pil_to_tensor(picture.convert("RGB"))[None] / 255)
    network = load_network("squeezenet", models, CPU)
    logits = network.features(chelsea, ["classes"])["classes"].mean(dim=(2, 3))[0]
    likeliest = [network.classes[int(index)] for index in logits.topk(3).indices]
    assert set(likeliest) == {"tabby", "tiger cat", "Egyptian cat"}
    cats = sum(logits.softmax(0)[network.classes.index(name)] for name in likeliest)
    assert cats > 0.9


def test_average_pooling_takes_means(models: Path, image: Tensor) -> None:
    network = load_network("vgg16", models, CPU, pooling="average")
    found = network.features(image, ["relu1_2", "pool1"])
    expected = nn.functional.avg_pool2d(found["relu1_2"], 2)
    torch.testing.assert_close(found["pool1"], expected)


@pytest.mark.parametrize("name", registry.NETWORKS)
def test_every_network_can_take_means_between_its_layers(name: str, models: Path) -> None:
    body = any_network(name, models).body
    use_average_pooling(body)
    between = [*body, *(part for layer in body if type(layer) is nn.Sequential for part in layer)]
    assert any(isinstance(layer, nn.AvgPool2d) for layer in between)
    assert not any(isinstance(layer, nn.MaxPool2d) for layer in between)


@pytest.mark.parametrize("name", ["vgg19", "vgg16", "squeezenet", "inception-v3"])
def test_means_give_other_features_than_maxima(name: str, models: Path, image: Tensor) -> None:
    layer = registry.DEFAULTS[name].dream
    of_maxima, of_means = (
        load_network(name, models, CPU, pooling=pooling).features(image, [layer])[layer]
        for pooling in POOLINGS
    )
    assert of_maxima.shape == of_means.shape
    assert not of_maxima.allclose(of_means, rtol=0.1)


@pytest.mark.parametrize(("name", "layer"), [("vgg19", "relu4_1"), ("inception-v3", "Mixed_5b")])
def test_the_border_of_a_picture_is_seen_as_well_as_the_rest(models: Path, name: str, layer: str) -> None:
    """Else whatever is made of the features has a frame."""
    network = load_network(name, models, CPU)
    image = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(1)).requires_grad_()
    network.features(image, [layer])[layer].sum().backward()  # type: ignore[no-untyped-call]
    assert image.grad is not None
    seen = image.grad.abs().mean(dim=(0, 1))
    border = torch.stack([seen[0].mean(), seen[-1].mean(), seen[:, 0].mean(), seen[:, -1].mean()])
    assert border.min() > 0.3 * seen[8:-8, 8:-8].mean()


# ── What a layer sees ────────────────────────────────────────────────────────────────────────────

HALOS = [
    ("vgg19", "relu5_1", 80, 16),
    ("vgg16", "relu3_3", 20, 4),
    ("squeezenet", "fire5", 32, 8),
    ("inception-v3", "Mixed_5d", 64, 8),
]


@pytest.mark.parametrize(("name", "layer", "halo", "stride"), HALOS)
def test_a_halo_is_what_the_gradient_of_a_position_covers(
    models: Path, name: str, layer: str, halo: int, stride: int
) -> None:
    network = load_network(name, models, CPU, accelerated=False)  # which rounds to 0 what is 0
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
def test_a_tile_with_its_halo_has_the_features_of_the_whole_picture(
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


def test_branches_and_shortcuts_count_by_the_one_that_sees_furthest(models: Path) -> None:
    """By hand: 3 px of conv1, 2 of its pool, then 4 for every 3×3 at stride 4, and 8 at stride 8."""
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
