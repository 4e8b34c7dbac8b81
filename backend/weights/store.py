"""Trained weights on the disk: MODELS/NAME.safetensors, checked against a hash at every load.

The table of networks has the hash of converted weights from packages. The hash of converted weights from
torchvision's checkpoints is noted beside them, in MODELS/NAME.sha256.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import safetensors.torch

from atelier_shared.deferred_translation import N_
from atelier_shared.errors import AtelierError
from atelier_shared.home import install_command, replacing

from .convert import Tensors
from .sources import SOURCES


class MissingWeights(AtelierError):
    """A network's weights are missing, or differ from the ones that were installed."""


def load(name: str, models: Path) -> Tensors:
    """Load the weights called `name`.

    Raises:
        MissingWeights: they are not in `models`, or their file is damaged.
    """
    file, install = file_of(name, models), install_command(SOURCES[name].installer_option)
    if not file.exists():
        template = N_("The weights of {name} are not installed. Run `{install}` to install them.")
        raise MissingWeights(template, name=name, install=install)
    content = file.read_bytes()
    if _sha256(content) != _expected_sha256(name, models):
        template = N_("{file} is damaged. Run `{install}` to install it again.")
        raise MissingWeights(template, file=file, install=install)
    return safetensors.torch.load(content)


def write(name: str, tensors: Tensors, models: Path) -> Path:
    """Write the weights called `name`, completely or not at all, and return their file.

    Raises:
        ValueError: their hash is not the expected one.
        OSError: the file cannot be written.
    """
    content = safetensors.torch.save(tensors)
    if SOURCES[name].sha256 not in (None, _sha256(content)):
        raise ValueError(name)
    file = file_of(name, models)
    with replacing(file) as draft:
        draft.write_bytes(content)
        if SOURCES[name].sha256 is None:
            _note_of(name, models).write_text(_sha256(content), encoding="ascii")
    return file


def installed(models: Path) -> dict[str, bool]:
    """Map each name of weights to whether they are in `models` and undamaged."""
    return {name: _is_installed(name, models) for name in SOURCES}


def file_of(name: str, models: Path) -> Path:
    """Return the file of the weights called `name`."""
    return models / f"{name}.safetensors"


def _note_of(name: str, models: Path) -> Path:
    return models / f"{name}.sha256"


def _expected_sha256(name: str, models: Path) -> str | None:
    """Return the hash from the table or from the note; None if there is neither."""
    note = _note_of(name, models)
    return SOURCES[name].sha256 or (note.read_text(encoding="ascii") if note.exists() else None)


def _is_installed(name: str, models: Path) -> bool:
    file = file_of(name, models)
    return file.exists() and _sha256(file.read_bytes()) == _expected_sha256(name, models)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
