"""The backend's own Python environment, whole or not at all: the packages, then the backend itself."""

from __future__ import annotations

import contextlib
import importlib.util
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from backend.command import gimp_installations

from .builds import check_asked_for, note_index, noted_index
from .packages import install_packages, noted_packages, repair_packages, state
from .paths import CHECKOUT, Home, Plan
from .process import InstallError, environment, pip, run, say, why_failed
from .tracked_files import remember, remove

BACKEND_SOURCES = ("pyproject.toml", "README.md", "LICENSE", "backend", "plugin")
LITTER = shutil.ignore_patterns("__pycache__", "*.egg-info")


def make_environment(plan: Plan) -> None:
    """Make the environment, or bring the one that is there to what this checkout wants."""
    restore_earlier(plan.home)
    if is_to_be_made_anew(plan):
        with made_anew(plan.home):
            make_venv(plan.home)
            fill_environment(plan)
        note_index(plan.home.folder, plan.torch_index)
    else:
        fill_environment(plan)


def is_to_be_made_anew(plan: Plan) -> bool:
    """Whether there is no environment that works, or another one is asked for."""
    other_torch = plan.torch_index != noted_index(plan.home.folder)
    return plan.upgrade or other_torch or not works(plan.home.python)


def works(python: Path) -> bool:
    """Whether an environment's Python still runs: the one it was made from may be gone."""
    try:
        return subprocess.run([python, "-I", "-m", "pip", "--version"], capture_output=True).returncode == 0
    except OSError:
        return False


@contextlib.contextmanager
def made_anew(home: Home) -> Iterator[None]:
    """A place for a new environment; if that does not come to be whole, the earlier one comes back."""
    stop_backend(home)
    if home.venv.exists():
        home.venv.rename(home.earlier_venv)
    try:
        yield
    except BaseException:
        remove(home.venv)
        restore_earlier(home)
        raise
    remove(home.earlier_venv)


def restore_earlier(home: Home) -> None:
    """Put back the environment that was set aside for one that never came to be whole."""
    if home.earlier_venv.exists():
        remove(home.venv)
        home.earlier_venv.rename(home.venv)


def make_venv(home: Home) -> None:
    """An empty environment."""
    if importlib.util.find_spec("ensurepip") is None:
        raise InstallError(
            f"{sys.executable} cannot make environments: install the package that adds venv to it "
            "(python3-venv on Debian and Ubuntu) and run install.py again."
        )
    say(f"Making an environment with Python {platform.python_version()} …")
    run([sys.executable, "-I", "-m", "venv", "--without-pip", str(home.venv)])
    run([str(home.python), "-I", "-m", "ensurepip"])  # venv would keep to itself why that failed


def fill_environment(plan: Plan) -> None:
    """The packages and the backend, as far as they are not there already or damaged."""
    with step_done_once(plan.home, "requirements.lock", state()) as needed:
        if needed:
            say("Installing the packages that requirements.lock names; torch takes a while …")
            install_packages(plan)
        else:
            check_asked_for(plan, noted_packages(plan))
    if plan.repair:
        say("Comparing the packages' files with what was installed …")
        repair_packages(plan)
        (plan.home.venv / "backend.txt").unlink(missing_ok=True)
    with step_done_once(plan.home, "backend.txt", backend_state(plan)) as needed:
        if needed:
            say("Installing the backend …")
            install_backend(plan)


@contextlib.contextmanager
def step_done_once(home: Home, note: str, state: str) -> Iterator[bool]:
    """Whether a step must be done to bring the environment into `state`; noted once it is done."""
    file = home.venv / note
    needed = is_needed(file, state)
    if needed:
        stop_backend(home)
        file.unlink(missing_ok=True)
    yield needed
    file.write_text(state, encoding="utf-8")


def is_needed(note: Path, state: str) -> bool:
    """Whether a step was not done yet that leads to `state`."""
    return not note.exists() or note.read_text(encoding="utf-8") != state


def backend_state(plan: Plan) -> str:
    """What the installed backend was made from, and how."""
    sources = [gimp_installations.fingerprint(CHECKOUT / folder, "*.py") for folder in ("backend", "plugin")]
    return "\n".join([f"{CHECKOUT} {'linked' if plan.link else 'copied'}", *sources])


def install_backend(plan: Plan) -> None:
    """The backend and the command line, built from a copy so that no litter stays in the checkout."""
    options = ("--no-deps", "--no-index", "--no-build-isolation", "--force-reinstall", "--quiet")
    if plan.link:
        pip(plan, "install", *options, "--editable", str(CHECKOUT))
    else:
        with tempfile.TemporaryDirectory(prefix="atelier-") as folder:
            copy_sources(Path(folder))
            pip(plan, "install", *options, folder)
    write_home_note(folder_of_modules(plan.home), plan.home)


def copy_sources(folder: Path) -> None:
    """Copy what the backend is built from."""
    for source in (CHECKOUT / name for name in BACKEND_SOURCES):
        if source.is_dir():
            shutil.copytree(source, folder / source.name, ignore=LITTER)
        else:
            shutil.copy(source, folder)


def folder_of_modules(home: Home) -> Path:
    """Where the backend's modules are: in its environment, or in the checkout that it is linked to."""
    find = [str(home.python), "-I", "-c", "import atelier_shared; print(atelier_shared.__file__)"]
    done = subprocess.run(find, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstallError(why_failed(done.stderr))
    return Path(done.stdout.strip()).parent.parent


def write_home_note(folder: Path, home: Home) -> None:
    """Tell the package in `folder` where Atelier's home is; `atelier_shared.home` reads it."""
    note = folder / "atelier-home.txt"
    if not note.is_relative_to(home.venv):
        remember(note, home)
    note.write_text(f"{home.folder}\n", encoding="utf-8")


def stop_backend(home: Home) -> None:
    """End the backend that runs, if one does, before its files change under it."""
    if (
        home.python.exists()
        and home.program("atelier").exists()
        and (home.folder / "connection.json").exists()
    ):
        subprocess.run([home.program("atelier"), "stop"], env=environment(home), check=False)
