"""The plug-in in every profile of a GIMP 3.

GIMP on Windows may run a plug-in with whatever Python comes first on the PATH. There the copy asks for
an interpreter by a name of its own, and the profile says that this is the Python of that GIMP.

Source: GIMP, app/plug-in/gimpinterpreterdb.c (a line NAME=PROGRAM of a file in a profile's interpreters)
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from backend.command import gimp_installations
from backend.command.gimp_installations import Gimp

from .environment import LITTER
from .paths import CHECKOUT, WINDOWS, Home, Plan
from .process import InstallError, say
from .self_check import run_gimp
from .tracked_files import make_folder, remember, remove, signature

INTERPRETER = "atelier-gimp-python"
PLUGIN = CHECKOUT / "plugin" / "atelier"


def install_plugin(plan: Plan, found: list[Gimp]) -> None:
    """The plug-in, in every profile of a GIMP 3."""
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
        say(f"The plug-in is in {profile}")
    if not profiles:
        say("No GIMP 3 was found; once it is there, run install.py again to give it the plug-in.")
    for sentence in gimp_installations.hindrances():
        say(sentence)


def make_profile(gimp: Gimp, home: Home) -> None:
    """Have a GIMP that was never started make its profile, for it takes over older settings then."""
    say(f"{gimp} makes its first profile …")
    run_gimp(gimp, "", home)


def place_plugin(target: Path, plan: Plan, *, shebang: str | None = None) -> None:
    """Put the plug-in at `target` in place of an older one, at once and whole."""
    if os.path.lexists(target) and not (target / "atelier_shared").exists():
        raise InstallError(f"{target} belongs to another plug-in: move it away and run install.py again.")
    make_folder(target.parent, plan.home)
    remember(target, plan.home)
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


def link_plugin(folder: Path) -> None:
    """Link `folder` to the checkout, as if its main file had just been changed: GIMP looks at that alone."""
    os.utime(PLUGIN / "atelier.py")
    folder.symlink_to(PLUGIN, target_is_directory=True)


def copy_plugin(folder: Path, home: Home, shebang: str | None) -> None:
    """Copy the plug-in to `folder`, its main file executable and new, or GIMP passes it over."""
    shutil.copytree(PLUGIN, folder, copy_function=shutil.copyfile, ignore=LITTER)
    main = folder / "atelier.py"
    if shebang:
        _, _, code = main.read_text(encoding="utf-8").partition("\n")
        main.write_text(f"{shebang}\n{code}", encoding="utf-8", newline="\n")
    main.chmod(0o755)
    (folder / "atelier-home.txt").write_text(f"{home.folder}\n", encoding="utf-8")
    home.plugin_fingerprint.write_text(gimp_installations.fingerprint(folder), encoding="utf-8")


def python_of_gimp(profile: Path, found: list[Gimp]) -> Path | None:
    """The Python that came with the GIMP of a profile; where that was not found, with another GIMP."""
    own_first = sorted(found, key=lambda gimp: gimp.profile != profile)
    return Path(own_first[0].command[0]).parent / "python.exe" if own_first else None


def name_interpreter(profile: Path, python: Path, home: Home) -> None:
    """Say in a profile which Python the plug-in asks for, without and with windows."""
    folder = profile / "interpreters"
    make_folder(folder, home)
    for suffix, program in (("", python), ("_win", python.with_name(f"pythonw{python.suffix}"))):
        file = folder / f"{INTERPRETER}{suffix}.interp"
        remember(file, home)
        file.write_text(f"{signature(home)}\n{INTERPRETER}={program.as_posix()}\n", encoding="utf-8")
