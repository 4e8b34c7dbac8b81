"""The plug-in, installed into every profile of a GIMP 3.

GIMP on Windows may run a plug-in with the first Python on the PATH. Therefore the copy there requests an
interpreter by a name of its own, and a file in the profile defines this name as the Python of that GIMP.

Source: GIMP, app/plug-in/gimpinterpreterdb.c (a line NAME=PROGRAM of a file in a profile's interpreters)
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from atelier_shared.home import NOTE_OF_THE_HOME
from backend.command import gimp_installations
from backend.command.gimp_installations import Gimp

from .environment import IGNORED
from .output import report
from .paths import CHECKOUT, WINDOWS, Home, Plan
from .process import InstallError
from .progress import LongStep
from .self_check import run_gimp
from .tracked_files import make_folder, remove, signature, track
from .translations import SOURCES, compile_translations

INTERPRETER = "atelier-gimp-python"
PLUGIN = CHECKOUT / "plugin" / "atelier"


def install_plugin(plan: Plan, found: list[Gimp]) -> None:
    """Install the plug-in into every profile of a GIMP 3."""
    for gimp in found:
        if not gimp.profile.exists():
            make_profile(gimp, plan.home)
    profiles = gimp_installations.find_profiles()
    for profile in profiles:
        python = python_of_gimp(profile, found) if WINDOWS and not plan.link else None
        place_plugin(
            gimp_installations.plugin_folder(profile), plan, shebang=f"#!{INTERPRETER}" if python else None
        )
        if python:
            name_interpreter(profile, python, plan.home)
        report(f"The plug-in is in {profile}")
    if not profiles:
        report("No GIMP 3 was found. After you have installed it, run install.py again to add the plug-in.")
    for warning in gimp_installations.package_warnings():
        report(warning)


def make_profile(gimp: Gimp, home: Home) -> None:
    """Start a new GIMP once, because only GIMP itself imports older settings into its profile."""
    with LongStep(f"Starting {gimp} once to make its profile"):
        run_gimp(gimp, "", home)


def place_plugin(target: Path, plan: Plan, *, shebang: str | None = None) -> None:
    """Replace the plug-in at `target` in one step.

    Raises:
        InstallError: another plug-in is there.
    """
    if os.path.lexists(target) and not is_atelier(target):
        raise InstallError(f"{target} is another plug-in. Move it elsewhere and run install.py again.")
    make_folder(target.parent, plan.home)
    track(target, plan.home)
    new, old = target.with_name(".atelier-new"), target.with_name(".atelier-old")
    remove(new)
    remove(old)
    if plan.link:
        link_plugin(new)
    else:
        copy_plugin(new, plan.home, shebang)
    if os.path.lexists(target):
        target.rename(old)
    new.rename(target)
    remove(old)


def is_atelier(folder: Path) -> bool:
    """Return True if a plug-in's folder contains Atelier of this or an earlier version."""
    return any((folder / name).exists() for name in (NOTE_OF_THE_HOME, "atelier_shared"))


def link_plugin(folder: Path) -> None:
    """Link `folder` to the checkout.

    The time of the main file is updated because GIMP reloads a plug-in only if that is newer.
    """
    compile_translations(SOURCES)
    os.utime(PLUGIN / "atelier.py")
    folder.symlink_to(PLUGIN, target_is_directory=True)


def copy_plugin(folder: Path, home: Home, shebang: str | None) -> None:
    """Copy the plug-in to `folder`.

    The main file is made executable and new, because otherwise GIMP ignores it.
    """
    shutil.copytree(PLUGIN, folder, copy_function=shutil.copyfile, ignore=IGNORED)
    compile_translations(folder / SOURCES.name)
    main = folder / "atelier.py"
    if shebang:
        _, _, code = main.read_text(encoding="utf-8").partition("\n")
        main.write_text(f"{shebang}\n{code}", encoding="utf-8", newline="\n")
    main.chmod(0o755)
    (folder / NOTE_OF_THE_HOME).write_text(home.note, encoding="utf-8")
    home.plugin_fingerprint.write_text(gimp_installations.fingerprint(folder), encoding="utf-8")


def python_of_gimp(profile: Path, found: list[Gimp]) -> Path | None:
    """Return the Python of a profile's GIMP; if that GIMP was not found, of another GIMP."""
    own_first = sorted(found, key=lambda gimp: gimp.profile != profile)
    return Path(own_first[0].command[0]).parent / "python.exe" if own_first else None


def name_interpreter(profile: Path, python: Path, home: Home) -> None:
    """Define the plug-in's interpreter in a profile, for GIMP without and with windows."""
    folder = profile / "interpreters"
    make_folder(folder, home)
    for suffix, program in (("", python), ("_win", python.with_name(f"pythonw{python.suffix}"))):
        file = folder / f"{INTERPRETER}{suffix}.interp"
        track(file, home)
        file.write_text(f"{signature(home)}\n{INTERPRETER}={program.as_posix()}\n", encoding="utf-8")
