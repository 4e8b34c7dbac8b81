"""The GIMPs of this computer, their profiles, and Atelier's plug-in in them.

Standard library only, because the installer uses it before the environment exists.

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
from typing import IO, Any

from atelier_shared.deferred_translation import N_

FLATPAK = ("flatpak", "run", "--command=gimp-console", "org.gimp.GIMP")
PROCEDURE_PREFIX = "plug-in-atelier-"
"""Precedes the name of a request in the name of its procedure in GIMP."""
VERSION_S = 60.0


@dataclass(frozen=True)
class Gimp:
    """A GIMP 3: the command for running it without windows, and its version, for example 3.0.4."""

    command: tuple[str, ...]
    version: str

    def __str__(self) -> str:
        """Return its name for messages."""
        place = "Flatpak" if self.is_flatpak else self.command[0]
        return f"GIMP {self.version} ({place})"

    @property
    def is_flatpak(self) -> bool:
        """True if it runs in Flatpak's sandbox, so it cannot start other programs."""
        return self.command == FLATPAK

    @property
    def profile(self) -> Path:
        """The folder of the user's settings and plug-ins; GIMP makes it at its first start."""
        if profile := _profile_of_the_environment():
            return profile
        folder = Path.home() / ".config/GIMP" if self.is_flatpak else profiles_folder()
        return folder / ".".join(self.version.split(".")[:2])

    def run(self, code: str, output: IO[Any] | int, *, timeout_s: float) -> int:
        """Run Python code in this GIMP without windows, and return the exit status: 0 for success.

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
    """Find every GIMP 3 with a working command, one for each version and kind of package."""
    found: dict[tuple[Path, bool], Gimp] = {}
    for command in _console_commands():
        version = _version(command)
        if version and version.startswith("3."):
            gimp = Gimp(command, version)
            found.setdefault((gimp.profile, gimp.is_flatpak), gimp)
    return list(found.values())


def find_profiles() -> list[Path]:
    """Find the profile of every GIMP 3 started so far, even if its program is not found."""
    folders = dict.fromkeys((profiles_folder(), Path.home() / ".config/GIMP", *_store_folders()))
    profiles = [profile for folder in folders for profile in sorted(folder.glob("3.*")) if profile.is_dir()]
    named = _profile_of_the_environment()
    if named and named.is_dir() and named not in profiles:
        profiles.append(named)
    return profiles


def package_warnings() -> Iterator[str]:
    """Yield a warning for each kind of GIMP package here with limited support for plug-ins."""
    if (Path.home() / "snap/gimp").is_dir():
        yield N_(
            "GIMP from the Snap store cannot load Atelier. Install GIMP as a Flatpak or an AppImage instead."
        )
    if any(folder.is_dir() for folder in _store_folders()):
        yield N_(
            "GIMP from the Microsoft Store keeps its folders hidden from other programs. If the filters do "
            "not appear in it, install GIMP from gimp.org instead."
        )


def profiles_folder() -> Path:
    """Return the folder with one profile for each version of GIMP."""
    if sys.platform == "win32":
        return Path(os.environ["APPDATA"]) / "GIMP"
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/GIMP"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "GIMP"


def _store_folders() -> list[Path]:
    """Find the profiles' folders of the Microsoft Store's GIMP; Windows redirects it to them."""
    if sys.platform != "win32":
        return []
    packages = Path(os.environ["LOCALAPPDATA"]) / "Packages"
    return sorted(packages.glob("*GIMP*/LocalCache/Roaming/GIMP"))


def plugin_folder(profile: Path) -> Path:
    """Return the plug-in's folder in a profile; GIMP requires the name of the main file."""
    return profile / "plug-ins" / "atelier"


def fingerprint(folder: Path, pattern: str = "*") -> str:
    """Compute a digest of the names and contents of the files of a plug-in or package."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob(pattern)):
        if file.is_file() and "__pycache__" not in file.parts and ".egg-info" not in str(file):
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            digest.update(f"{file.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def registered_procedures(profile: Path) -> set[str]:
    """Return Atelier's procedures in GIMP's cache of plug-ins, written at its last start."""
    pluginrc = profile / "pluginrc"
    cache = pluginrc.read_text(encoding="utf-8", errors="replace") if pluginrc.exists() else ""
    return set(re.findall(rf'"({PROCEDURE_PREFIX}[\w-]+)"', cache))


def _profile_of_the_environment() -> Path | None:
    """Return the profile of GIMP3_DIRECTORY, if set; it is relative to the user's folder."""
    named = os.environ.get("GIMP3_DIRECTORY")
    return Path.home() / named if named else None


def _environment() -> dict[str, str]:
    """Return the environment variables without this virtual environment on the PATH.

    GIMP runs plug-ins with the first python3 on the PATH, and they need the Python of GIMP.
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
    """Return the folders of GIMP's installers and of AppImages; they are usually not on the PATH."""
    if sys.platform == "win32":
        programs = [Path(os.environ["PROGRAMFILES"]), Path(os.environ["LOCALAPPDATA"]) / "Programs"]
        return [folder / "GIMP 3" / "bin" for folder in programs]
    if sys.platform == "darwin":
        return [folder / "Applications/GIMP.app/Contents/MacOS" for folder in (Path("/"), Path.home())]
    return [Path.home() / name for name in ("Applications", "AppImages", ".local/bin", "bin")]


def _version(command: tuple[str, ...]) -> str | None:
    try:
        output = subprocess.run(
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
    match = re.search(r"\b\d+\.\d+\.\d+", output)
    return match and match[0]
