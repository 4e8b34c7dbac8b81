"""A folder for installing without a network, filled on one computer for others of the same kind.

It contains `wheels`, `models` (the converted weights), `kind.txt` and, if another package index was used
for torch, the note of it. The checkout is needed too. The contents are verified like downloads: packages
against the lock, weights against their hashes.
"""

from __future__ import annotations

import filecmp
import platform
import shutil
from pathlib import Path

from atelier_shared.home import MODELS_FOLDER, replacing

from .builds import note_index
from .environment import make_environment, make_home
from .output import report
from .packages import download_packages
from .paths import WHEELS_FOLDER, Home, Plan
from .process import InstallError
from .weights import fetch_weights

KIND_FILE = "kind.txt"


def prepare(plan: Plan, folder: Path) -> None:
    """Install the environment and the weights here, and fill the folder with them."""
    make_home(plan.home, verbose=plan.verbose)
    make_environment(plan)
    fetch_weights(plan)
    report(f"Filling {folder} …")
    fill(folder, plan)
    report(f"Copy {folder} and this checkout to a computer with {kind()}, and run there:")
    report(f"python3 install.py --offline {folder}")


def fill(folder: Path, plan: Plan) -> None:
    """Fill the folder; the note of its kind comes last and marks it as complete."""
    (folder / WHEELS_FOLDER).mkdir(parents=True, exist_ok=True)
    download_packages(plan, folder / WHEELS_FOLDER)
    copy_weights(plan.home.models, folder / MODELS_FOLDER)
    note_index(folder, plan.torch_index)
    (folder / KIND_FILE).write_text(f"{kind()}\n", encoding="utf-8")


def open_folder(folder: Path, home: Home) -> None:
    """Copy the weights out of the folder; pip takes the packages directly from it.

    Raises:
        InstallError: the folder is not complete, or is for computers of another kind.
    """
    note = folder / KIND_FILE
    if not note.exists():
        raise InstallError(f"{folder} is not complete. Fill it with install.py --prepare-offline.")
    if (made_for := note.read_text(encoding="utf-8").strip()) != kind():
        raise InstallError(
            f"{folder} is for {made_for}, but this computer has {kind()}. Prepare it on such a computer."
        )
    copy_weights(folder / MODELS_FOLDER, home.models)


def kind() -> str:
    """Describe this kind of computer: others of the same kind can use the same wheels."""
    python = ".".join(platform.python_version_tuple()[:2])
    return f"Python {python} on {platform.system()} {platform.machine()}"


def copy_weights(source: Path, target: Path) -> None:
    """Copy missing and different files of weights and of their hashes."""
    target.mkdir(parents=True, exist_ok=True)
    for file in (*source.glob("[!.]*.sha256"), *sorted(source.glob("[!.]*.safetensors"))):
        copy = target / file.name
        if not (copy.exists() and filecmp.cmp(file, copy, shallow=False)):
            with replacing(copy) as draft:
                shutil.copyfile(file, draft)
