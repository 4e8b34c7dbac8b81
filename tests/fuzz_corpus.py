"""The inputs that fuzzing has kept: one zip archive for each target in tests/fuzz/corpus."""

from __future__ import annotations

import zipfile
from pathlib import Path

FOLDER = Path(__file__).parent / "fuzz" / "corpus"
FOUND = "found-"
"""Inputs of such names once broke a promise and stay in the corpus."""


def archive(target: str) -> Path:
    """Return the archive of a target."""
    return FOLDER / f"{target}.zip"


def read(target: str) -> dict[str, bytes]:
    """Return a target's inputs by name; none if it has no archive yet."""
    if not archive(target).exists():
        return {}
    with zipfile.ZipFile(archive(target)) as inputs:
        return {name: inputs.read(name) for name in inputs.namelist()}


def write(target: str, inputs: dict[str, bytes]) -> None:
    """Replace a target's archive; the same inputs always give the same bytes."""
    FOLDER.mkdir(exist_ok=True)
    with zipfile.ZipFile(archive(target), "w") as file:  # stored: compressors differ between versions
        for name in sorted(inputs):
            file.writestr(zipfile.ZipInfo(name), inputs[name])


def extract(target: str, folder: Path) -> None:
    """Write each of a target's inputs into a file in `folder`."""
    for name, data in read(target).items():
        (folder / name).write_bytes(data)
