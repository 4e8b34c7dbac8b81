"""The backend's own Python environment: the packages, then the backend itself.

A new environment is made beside the present one, which works until the new one is complete.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from atelier_shared.errors import BackendUnavailable
from atelier_shared.home import NOTE_OF_THE_HOME, check_home
from backend.command import gimp_installations

from .builds import check_requested_device, note_index, noted_index
from .output import log_to
from .packages import install_packages, installed_packages, repair_packages, state
from .paths import CHECKOUT, WINDOWS, Home, Plan
from .process import InstallError, environment, explain_failure, pip, run
from .progress import LongStep
from .tracked_files import remove, track

PACKAGES_NOTE, BACKEND_NOTE = "requirements.lock", "backend.txt"
"""In the environment: the state of its packages and of its backend."""
BACKEND_SOURCES = ("pyproject.toml", "README.md", "LICENSE", "backend", "plugin")
IGNORED = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.po", "*.pot")


def make_home(home: Home, *, verbose: bool = False) -> None:
    """Make the home folder for this user alone, and begin the log in it.

    An empty folder that others could use becomes private too.

    Raises:
        InstallError: others may have changed the files in it.
    """
    home.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not any(home.folder.iterdir()):
        home.folder.chmod(0o700)
    try:
        check_home(home.folder)
    except BackendUnavailable as error:
        raise InstallError(str(error)) from error
    log_to(home.install_log, verbose=verbose)


def make_environment(plan: Plan) -> None:
    """Make the environment, or update the present one to this checkout."""
    restore_earlier(plan.home)
    if needs_new_environment(plan):
        with new_environment(plan.home) as home:
            make_venv(home)
            fill_environment(dataclasses.replace(plan, home=home))
        if WINDOWS:
            install_backend(plan)  # because a program there has the path of its environment in it
        note_index(plan.home.folder, plan.torch_index)
    else:
        fill_environment(plan)


def needs_new_environment(plan: Plan) -> bool:
    """Return True if there is no working environment, or if the options require a new one."""
    other_torch = plan.torch_index != noted_index(plan.home.folder)
    return plan.upgrade or other_torch or not works(plan.home.python)


def works(python: Path) -> bool:
    """Return True if an environment's Python runs; the Python it was made from may be uninstalled."""
    try:
        return subprocess.run([python, "-I", "-m", "pip", "--version"], capture_output=True).returncode == 0
    except OSError:
        return False


@contextlib.contextmanager
def new_environment(home: Home) -> Iterator[Home]:
    """Yield the home with a new environment, which takes the place of the present one after the block.

    Until then the present one works, also if the block raises or this process is killed.
    """
    new = home.with_new_venv()
    remove(new.venv)
    try:
        yield new
    except BaseException:
        remove(new.venv)
        raise
    move_scripts(new.venv, home.venv)
    stop_backend(home)
    if os.path.lexists(home.venv):
        home.venv.rename(home.earlier_venv)
    new.venv.rename(home.venv)
    remove(home.earlier_venv)


def move_scripts(venv: Path, place: Path) -> None:
    """Replace the path of an environment by another one in its scripts; their first lines name its Python."""
    for script in (venv / "bin").glob("*"):
        if script.is_file() and not script.is_symlink():
            script.write_bytes(script.read_bytes().replace(bytes(venv), bytes(place)))


def restore_earlier(home: Home) -> None:
    """Complete an interrupted exchange of environments: keep the complete one."""
    if not home.earlier_venv.exists():
        return
    if (home.venv / BACKEND_NOTE).exists():
        remove(home.earlier_venv)
    else:
        remove(home.venv)
        home.earlier_venv.rename(home.venv)


def make_venv(home: Home) -> None:
    """Make an empty environment with pip."""
    if importlib.util.find_spec("ensurepip") is None:
        raise InstallError(
            f"{sys.executable} cannot make environments, because its modules venv and ensurepip are not "
            "complete. On Debian and Ubuntu, run 'sudo apt install python3-venv'. Then run install.py again."
        )
    with LongStep(f"Making an environment with Python {platform.python_version()}"):
        run([sys.executable, "-I", "-m", "venv", "--without-pip", str(home.venv)])
        run([str(home.python), "-I", "-m", "ensurepip"])  # by itself, because venv hides the error


def fill_environment(plan: Plan) -> None:
    """Install the packages and the backend if they are missing, outdated or damaged."""
    with step_done_once(plan.home, PACKAGES_NOTE, state(plan)) as needed:
        if needed:
            install_packages(plan)
        else:
            check_requested_device(plan, installed_packages(plan))
    if plan.repair:
        repair_packages(plan)
        (plan.home.venv / BACKEND_NOTE).unlink(missing_ok=True)
    with step_done_once(plan.home, BACKEND_NOTE, backend_state(plan)) as needed:
        if needed:
            with LongStep("Installing the backend"):
                install_backend(plan)


@contextlib.contextmanager
def step_done_once(home: Home, note: str, state: str) -> Iterator[bool]:
    """Yield whether `state` differs from the note; record it after the block."""
    file = home.venv / note
    needed = is_needed(file, state)
    if needed:
        stop_backend(home)
        file.unlink(missing_ok=True)
    yield needed
    file.write_text(state, encoding="utf-8")


def is_needed(note: Path, state: str) -> bool:
    """Return True if the note of the last step is missing or of another state."""
    return not note.exists() or note.read_text(encoding="utf-8") != state


def backend_state(plan: Plan) -> str:
    """Describe the backend to be installed: its checkout, copied or linked, and the sources' digests."""
    sources = [gimp_installations.fingerprint(CHECKOUT / folder, "*.py") for folder in ("backend", "plugin")]
    return "\n".join([f"{CHECKOUT} {'linked' if plan.link else 'copied'}", *sources])


def install_backend(plan: Plan) -> None:
    """Install the backend and the command line, built from a copy to keep the checkout clean."""
    remove_backend(plan.home)
    options = ("--no-deps", "--no-index", "--no-build-isolation", "--force-reinstall")
    if plan.link:
        pip(plan, "install", *options, "--editable", str(CHECKOUT))
    else:
        with tempfile.TemporaryDirectory(prefix="atelier-") as folder:
            copy_sources(Path(folder))
            pip(plan, "install", *options, folder)
    write_home_note(packages_folder(plan.home), plan.home)


def remove_backend(home: Home) -> None:
    """Remove the installed backend. pip itself could not if its record of the files was lost."""
    site = Path(python_says(home, "import sysconfig; print(sysconfig.get_path('purelib'))"))
    for pattern in ("backend", "atelier_shared", "atelier-*", "__editable__*atelier*"):
        for path in site.glob(pattern):
            remove(path)


def copy_sources(folder: Path) -> None:
    """Copy the sources of the backend."""
    for source in (CHECKOUT / name for name in BACKEND_SOURCES):
        if source.is_dir():
            shutil.copytree(source, folder / source.name, ignore=IGNORED)
        else:
            shutil.copy(source, folder)


def packages_folder(home: Home) -> Path:
    """Find the folder of the backend's packages: in its environment, or in the linked checkout."""
    file = python_says(home, "import atelier_shared; print(atelier_shared.__file__)")
    return Path(file).parent.parent


def python_says(home: Home, code: str) -> str:
    """Run code in the environment's Python, and return its output."""
    command = [str(home.python), "-I", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstallError(explain_failure(done.stderr))
    return done.stdout.strip()


def write_home_note(folder: Path, home: Home) -> None:
    """Note the home and the installer beside the packages, for `atelier_shared.home`."""
    note = folder / NOTE_OF_THE_HOME
    if not note.is_relative_to(home.venv):
        track(note, home)
    note.write_text(home.note, encoding="utf-8")


def stop_backend(home: Home) -> None:
    """Stop a running backend before its files are replaced."""
    atelier = home.program("atelier")
    if home.python.exists() and atelier.exists() and home.connection.exists():
        subprocess.run([atelier, "stop"], env=environment(home), check=False)
