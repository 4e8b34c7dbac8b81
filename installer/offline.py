"""A folder that stands for the network: made on one machine, installed from on another of its kind.

It holds `wheels`, `models` (the converted weights), `kind.txt` and, where there is one, the note of the
index that torch was taken from. Whoever carries it carries the
checkout too. What it brings is checked as a download is: packages against the lock, weights against
their hashes.
"""

from __future__ import annotations

import filecmp
import platform
import shutil
from pathlib import Path

from .builds import note_index
from .environment import make_environment
from .packages import download_packages
from .paths import Home, Plan
from .process import InstallError, say
from .weights import fetch_weights


def prepare(plan: Plan, folder: Path) -> None:
    """Make the environment and the weights here, and of them the folder."""
    plan.home.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    make_environment(plan)
    fetch_weights(plan)
    say(f"Filling {folder} …")
    fill(folder, plan)
    say(f"Carry {folder} and this checkout to a machine with {kind()}, and run there:")
    say(f"python3 install.py --offline {folder}")


def fill(folder: Path, plan: Plan) -> None:
    """Put into the folder what another machine needs; the note of its kind is written last."""
    (folder / "wheels").mkdir(parents=True, exist_ok=True)
    download_packages(plan, folder / "wheels")
    copy_weights(plan.home.models, folder / "models")
    note_index(folder, plan.torch_index)
    (folder / "kind.txt").write_text(f"{kind()}\n", encoding="utf-8")


def open_folder(folder: Path, home: Home) -> None:
    """Take the weights out of the folder; the packages are taken by pip, where it finds none here.

    Raises:
        InstallError: it is no such folder, or one for machines of another kind.
    """
    note = folder / "kind.txt"
    if not note.exists():
        raise InstallError(f"{folder} was not filled to its end: run install.py --prepare-offline with it.")
    if (made_for := note.read_text(encoding="utf-8").strip()) != kind():
        raise InstallError(
            f"{folder} is for {made_for}, and this is {kind()}: prepare one on such a machine."
        )
    copy_weights(folder / "models", home.models)


def kind() -> str:
    """What two machines must have in common for the same wheels."""
    python = ".".join(platform.python_version_tuple()[:2])
    return f"Python {python} on {platform.system()} {platform.machine()}"


def copy_weights(source: Path, target: Path) -> None:
    """Copy each file of weights, and of their hashes, that is not there already, whole or not at all."""
    target.mkdir(parents=True, exist_ok=True)
    for file in (*source.glob("*.sha256"), *sorted(source.glob("*.safetensors"))):
        place, unfinished = target / file.name, target / f"{file.name}.unfinished"
        if place.exists() and filecmp.cmp(file, place, shallow=False):
            continue
        try:
            shutil.copyfile(file, unfinished)
            unfinished.replace(place)
        finally:
            unfinished.unlink(missing_ok=True)
