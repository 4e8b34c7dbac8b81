"""What `atelier doctor` looks at: environment, device, weights, backend, GIMPs, command.

Each finding says in a sentence what is there, or what is wrong and what mends it. Torch is imported
where it is examined, so that the other commands of `atelier` start without it. Mends nothing.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import random
import re
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from atelier_shared import launcher
from atelier_shared.errors import AtelierError
from atelier_shared.home import atelier_home, log_file
from atelier_shared.messages import Picture, Region, Result
from atelier_shared.requests import Identity

from . import gimp_installations

PACKAGES = ("torch", "torchvision", "numpy", "pillow", "pyzmq", "safetensors")
AGAIN = "run 'python3 install.py' again"
REPAIR = "run 'python3 install.py --repair'"
LOG_BYTES = 100_000
BROKEN = (ImportError, OSError, RuntimeError)  # what importing a damaged torch or torchvision raises


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: whether it is well, and a sentence about it."""

    name: str
    ok: bool
    sentence: str

    def __str__(self) -> str:
        """As a line of a list."""
        return f"{'ok ' if self.ok else 'NO '} {self.name}: {self.sentence}"


def examine() -> Iterator[Finding]:
    """Look at everything, one finding after the other; the slow ones come as they are done."""
    home = atelier_home()
    yield examine_environment(home / "venv" / "packages.txt")
    yield examine_device()
    yield examine_weights(home / "models")
    yield examine_backend()
    yield examine_gimps()
    for profile in gimp_installations.find_profiles():
        yield examine_plugin(profile, home)
    yield examine_command(home)


def examine_environment(noted: Path) -> Finding:
    """Whether the packages are at the versions that the installer noted."""
    name = "environment"
    if not noted.exists():
        return Finding(name, False, f"{noted} is missing, so it is not whole: {AGAIN}.")
    installed = [line.partition("==") for line in noted.read_text(encoding="utf-8").split()]
    other = [package for package, _, version in installed if _version(package) != version]
    versions = ", ".join(f"{package} {_version(package)}" for package in dict.fromkeys((*PACKAGES, *other)))
    what = f"Python {platform.python_version()}, {versions}"
    if other:
        return Finding(name, False, f"{what}: {', '.join(other)} not as installed; {REPAIR}.")
    return Finding(name, True, f"{what}.")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def examine_device() -> Finding:
    """What computes when nobody chooses."""
    try:
        import torch

        from ..compat import devices

        device = devices.choose("auto")
    except BROKEN as error:
        return Finding("device", False, f"torch does not work ({_first_line(error)}): {AGAIN}.")
    if device.type == "cuda":
        return Finding("device", True, f"cuda, {torch.cuda.get_device_name(device)}.")
    return Finding("device", True, f"{device.type}, with {torch.get_num_threads()} threads of the processor.")


def examine_weights(models: Path) -> Finding:
    """Whether the networks' weights are there and undamaged; the official ones are a choice."""
    try:
        from ..weights import fetch
    except BROKEN as error:
        return Finding("weights", False, f"they cannot be examined ({_first_line(error)}): {AGAIN}.")
    there = fetch.installed(models)
    wanted = [name for name, source in fetch.SOURCES.items() if isinstance(source, fetch.Packed)]
    missing = [name for name in wanted if not there[name]]
    if missing:
        return Finding("weights", False, f"{', '.join(missing)} missing or damaged in {models}: {AGAIN}.")
    return Finding("weights", True, f"{', '.join(name for name, here in there.items() if here)} in {models}.")


def examine_backend() -> Finding:
    """Whether a picture goes to the backend and comes back as it was."""
    name = "backend"
    picture = Picture(64, 48, "RGBA", "u8", random.randbytes(64 * 48 * 4))
    try:
        with launcher.connect() as backend:
            job = backend.submit(Identity(), picture, Region(0, 0, 64, 48))
            results = [message for message in backend.messages(job) if isinstance(message, Result)]
    except AtelierError as error:
        return Finding(name, False, str(error))
    if bytes(results[-1].picture.pixels) != picture.pixels:
        return Finding(name, False, f"it changed a picture that it was to leave as it was; {AGAIN}.")
    return Finding(name, True, "it answers, and gives a picture back as it was.")


def examine_gimps() -> Finding:
    """Which GIMPs there are, and whether each has a profile that the plug-in could go to."""
    found = gimp_installations.find_gimps()
    if unstarted := [gimp for gimp in found if not gimp.profile.exists()]:
        return Finding("GIMP", False, f"{unstarted[0]} does not have the plug-in yet: {AGAIN}.")
    what = (
        f"{', '.join(map(str, found))}." if found else "no GIMP 3 was found; the command line works without."
    )
    return Finding("GIMP", True, " ".join([what, *gimp_installations.hindrances()]))


def examine_plugin(profile: Path, home: Path) -> Finding:
    """Whether a profile has the plug-in as it was installed last, and GIMP has taken it."""
    name = f"plug-in in {profile}"
    folder = gimp_installations.plugin_folder(profile)
    main = folder / "atelier.py"
    if not main.exists():
        return Finding(name, False, f"it is not there: {AGAIN}.")
    if not os.access(main, os.X_OK):
        return Finding(name, False, f"{main} is not executable, so GIMP passes it over: {AGAIN}.")
    if not folder.is_symlink() and not _is_current(folder, home / "plugin.txt"):
        return Finding(name, False, f"it is not the one that was installed last: {AGAIN}.")
    return _examine_registration(name, profile, main)


def examine_command(home: Path) -> Finding:
    """Whether `atelier` in a terminal is this one."""
    own = home / "bin"
    command = shutil.which("atelier")
    if command is None:
        return Finding("command", False, f"no folder of the PATH has it: add {own} to the PATH.")
    if os.path.realpath(command) not in map(os.path.realpath, own.glob("atelier*")):
        return Finding("command", False, f"{command} is another program: put {own} before it on the PATH.")
    return Finding("command", True, f"{command}.")


def write_bundle(findings: Sequence[Finding], file: Path) -> None:
    """Write a zip to attach to a bug report: findings, versions, the ends of the logs; no key, no pixels.

    The user's own folder is `~` in it.

    Raises:
        AtelierError: the file cannot be written.
    """
    home = atelier_home()
    texts = {"findings.txt": "".join(f"{finding}\n" for finding in findings), "versions.txt": _versions()}
    for log in (log_file(), home / "self-check.log"):
        if log.exists():
            texts[log.name] = log.read_bytes()[-LOG_BYTES:].decode(errors="replace")
    try:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle:
            for name, text in texts.items():
                bundle.writestr(name, _without_secrets(text))
    except OSError as error:
        why = f"{file} could not be written ({error.strerror}): name another file."
        raise AtelierError(why) from error


def _versions() -> str:
    """The system, and every package of the environment."""
    packages = importlib.metadata.distributions()
    lines = sorted(f"{package.metadata['Name']} {package.version}" for package in packages)
    return "\n".join([platform.platform(), f"Python {platform.python_version()}", *lines, ""])


def _without_secrets(text: str) -> str:
    """The text without what may be the key of a backend, should it be there, and without the user's name."""
    return re.sub("[0-9a-f]{64}", "(a key)", text).replace(str(Path.home()), "~")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")


def _is_current(folder: Path, noted: Path) -> bool:
    return noted.exists() and noted.read_text(encoding="utf-8") == gimp_installations.fingerprint(folder)


def _examine_registration(name: str, profile: Path, main: Path) -> Finding:
    """What GIMP noted when it last asked its plug-ins for their procedures, if that was since."""
    pluginrc = profile / "pluginrc"
    if not pluginrc.exists() or pluginrc.stat().st_mtime < main.stat().st_mtime:
        return Finding(name, True, "it is there; GIMP takes it at its next start.")
    if missing := set(gimp_installations.PROCEDURES) - gimp_installations.registered_procedures(profile):
        said = f"GIMP did not take {', '.join(sorted(missing))}: start it from a terminal to read why."
        return Finding(name, False, said)
    return Finding(name, True, "it is there, and GIMP has taken it.")
