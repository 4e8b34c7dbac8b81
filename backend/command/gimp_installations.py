"""Finds the GIMPs of this computer, their users' profiles, and Atelier's plug-in in them.

Standard library alone, for the installer needs it before there is an environment. Knows nothing of
what the plug-in does.

Sources:
    https://docs.gimp.org/3.0/en/gimp-fire-up.html (GIMP3_DIRECTORY, batch mode)
    https://developer.gimp.org/resource/writing-a-plug-in/tutorial-python/ (folder, executable bit)
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

FLATPAK = ("flatpak", "run", "--command=gimp-console", "org.gimp.GIMP")
PROCEDURES = ("plug-in-atelier-style-transfer", "plug-in-atelier-deepdream")
VERSION_S = 60.0


@dataclass(frozen=True)
class Gimp:
    """A GIMP 3: the command that runs it without windows, and its version, as in 3.0.4."""

    command: tuple[str, ...]
    version: str

    def __str__(self) -> str:
        """Name it as a person would."""
        place = "Flatpak" if self.is_flatpak else self.command[0]
        return f"GIMP {self.version} ({place})"

    @property
    def is_flatpak(self) -> bool:
        """Whether it runs in a sandbox, from which no other program can be started."""
        return self.command == FLATPAK

    @property
    def profile(self) -> Path:
        """The folder of its user's settings and plug-ins, which it makes at its first start."""
        if profile := _profile_of_the_environment():
            return profile
        folder = Path.home() / ".config/GIMP" if self.is_flatpak else profiles_folder()
        return folder / ".".join(self.version.split(".")[:2])

    def run(self, code: str, output: IO[str] | int, *, timeout_s: float) -> int:
        """Run Python code in it, without windows, and return its exit status: 0 when all went well.

        Raises:
            subprocess.TimeoutExpired: it took longer than `timeout_s`.
        """
        batch = ("-idf", "--quit", "--batch-interpreter=python-fu-eval", "-b", code)
        done = subprocess.run(
            [*self.command, *batch],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
        )
        return done.returncode


def find_gimps() -> list[Gimp]:
    """Every GIMP 3 that can be run, one for each version and kind of package."""
    found: dict[tuple[Path, bool], Gimp] = {}
    for command in _console_commands():
        version = _version(command)
        if version and version.startswith("3."):
            gimp = Gimp(command, version)
            found.setdefault((gimp.profile, gimp.is_flatpak), gimp)
    return list(found.values())


def find_profiles() -> list[Path]:
    """Every profile of a GIMP 3 that has been started, whether or not that GIMP can be found."""
    folders = dict.fromkeys((profiles_folder(), Path.home() / ".config/GIMP", *_store_folders()))
    profiles = [profile for folder in folders for profile in sorted(folder.glob("3.*")) if profile.is_dir()]
    named = _profile_of_the_environment()
    if named and named.is_dir() and named not in profiles:
        profiles.append(named)
    return profiles


def hindrances() -> Iterator[str]:
    """A sentence for each kind of GIMP here that takes no plug-in of the user's, or may not."""
    if (Path.home() / "snap/gimp").is_dir():
        yield "The GIMP of the Snap store takes no plug-ins of its user: install the Flatpak or the AppImage."
    if any(folder.is_dir() for folder in _store_folders()):
        yield (
            "The GIMP of the Microsoft Store hides its folders from other programs: if it does not show the "
            "filters, install GIMP with the installer from GIMP's own site."
        )


def profiles_folder() -> Path:
    """Where GIMP keeps one profile for each of its versions."""
    if sys.platform == "win32":
        return Path(os.environ["APPDATA"]) / "GIMP"
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/GIMP"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "GIMP"


def _store_folders() -> list[Path]:
    """Where the Microsoft Store's GIMP, which is shown folders of its own, has its profiles in truth."""
    if sys.platform != "win32":
        return []
    packages = Path(os.environ["LOCALAPPDATA"]) / "Packages"
    return sorted(packages.glob("*GIMP*/LocalCache/Roaming/GIMP"))


def plugin_folder(profile: Path) -> Path:
    """Where the plug-in lies in a profile: GIMP wants its file and its folder to have one name."""
    return profile / "plug-ins" / "atelier"


def fingerprint(folder: Path, pattern: str = "*") -> str:
    """A digest of the names and contents of the files that make a plug-in or a package."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob(pattern)):
        if file.is_file() and "__pycache__" not in file.parts and ".egg-info" not in str(file):
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            digest.update(f"{file.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def registered_procedures(profile: Path) -> set[str]:
    """Which of Atelier's procedures GIMP knew when it last looked at its plug-ins."""
    pluginrc = profile / "pluginrc"
    known = pluginrc.read_text(encoding="utf-8", errors="replace") if pluginrc.exists() else ""
    return {name for name in PROCEDURES if f'"{name}"' in known}


def _profile_of_the_environment() -> Path | None:
    """GIMP3_DIRECTORY, if set: GIMP takes it in place of its own, relative to the user's folder."""
    named = os.environ.get("GIMP3_DIRECTORY")
    return Path.home() / named if named else None


def _environment() -> dict[str, str]:
    """This process' environment, as it is outside of a virtual environment.

    GIMP runs plug-ins with the first python3 of the PATH, and needs the one that it came with.
    """
    own = str(Path(sys.executable).parent) if sys.prefix != sys.base_prefix else None
    path = os.pathsep.join(folder for folder in os.get_exec_path() if folder != own)
    return {**os.environ, "PATH": path}


def _console_commands() -> Iterator[tuple[str, ...]]:
    for folder in [*map(Path, os.get_exec_path()), *_usual_folders()]:
        for file in sorted((*folder.glob("gimp-console*"), *folder.glob("GIMP-3*.AppImage"))):
            if file.is_file() and os.access(file, os.X_OK):
                yield (str(file),)
    if shutil.which("flatpak"):
        yield FLATPAK


def _usual_folders() -> list[Path]:
    """Where GIMP's own installers put it, or people do, and where no PATH leads."""
    if sys.platform == "win32":
        programs = [Path(os.environ["PROGRAMFILES"]), Path(os.environ["LOCALAPPDATA"]) / "Programs"]
        return [folder / "GIMP 3" / "bin" for folder in programs]
    if sys.platform == "darwin":
        return [folder / "Applications/GIMP.app/Contents/MacOS" for folder in (Path("/"), Path.home())]
    return [Path.home() / name for name in ("Applications", "AppImages", ".local/bin", "bin")]


def _version(command: tuple[str, ...]) -> str | None:
    try:
        said = subprocess.run(
            [*command, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=VERSION_S,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\b\d+\.\d+\.\d+", said)
    return match and match[0]
