"""The checks of `atelier doctor`: environment, device, weights, backend, GIMPs, command.

A finding reports in words either the present state, or a problem and its solution. Nothing is changed.
Torch is imported by the checks of it, because the other commands of `atelier` start faster without it.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import random
import re
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path

from atelier_shared import launcher, remote
from atelier_shared.errors import AtelierError, translated
from atelier_shared.home import (
    COMMAND_FOLDER,
    INSTALL_LOG,
    MODELS_FOLDER,
    PACKAGES_FILE,
    PLUGIN_FILE,
    SELF_CHECK_LOG,
    VENV_FOLDER,
    atelier_home,
    install_command,
    log_file,
)
from atelier_shared.messages import Picture, Region, Result
from atelier_shared.networks import PackagedWeights
from atelier_shared.requests import REQUESTS, Identity

from . import gimp_installations

PACKAGES = ("torch", "torchvision", "numpy", "pillow", "pyzmq", "safetensors")
PROCEDURES = {gimp_installations.PROCEDURE_PREFIX + name for name in REQUESTS if name != Identity.name}
LOG_BYTES = 100_000
USERS_FOLDERS = r"((?:/var|/export)?/home/|/Users/|(?:/run)?/media/|/mnt/|\b[A-Za-z]:\\Users\\)[^/\\\s'\":]+"
"""The beginnings of paths before the name of a user, or of a disk that a user has named."""
IMPORT_ERRORS = (ImportError, OSError, RuntimeError)
"""Raised when a damaged torch or torchvision is imported."""


@dataclass(frozen=True)
class Finding:
    """The result of one check: its name, whether it succeeded, and an explanation in sentences."""

    name: str
    ok: bool
    explanation: str

    def __str__(self) -> str:
        """Return it as one line of the doctor's list."""
        return f"{'ok ' if self.ok else 'NO '} {self.name}: {self.explanation}"


def examine() -> Iterator[Finding]:
    """Run all checks, and yield each finding at once, because some checks are slow."""
    home = atelier_home()
    yield examine_environment(home / VENV_FOLDER / PACKAGES_FILE)
    yield examine_device()
    yield examine_weights(home / MODELS_FOLDER)
    yield examine_backend()
    yield examine_gimps()
    for profile in gimp_installations.find_profiles():
        yield examine_plugin(profile, home)
    yield examine_command(home)


def examine_environment(package_list: Path) -> Finding:
    """Check that the packages have the versions in the installer's list."""
    name = _("environment")
    if not package_list.exists():
        return Finding(
            name,
            False,
            _("The installation is incomplete: {file} is missing.").format(file=package_list)
            + _install_again(),
        )
    listed = [line.partition("==") for line in package_list.read_text(encoding="utf-8").split()]
    changed = [package for package, _equals, version in listed if _version(package) != version]
    shown = dict.fromkeys((*PACKAGES, *changed))
    versions = ", ".join(f"{package} {_version(package)}" for package in shown)
    summary = f"Python {platform.python_version()}, {versions}."
    if changed:
        problem = _("Missing, or not the installed version: {names}. Run '{repair}'.")
        problem = problem.format(names=", ".join(changed), repair=install_command("--repair"))
        return Finding(name, False, f"{summary} {problem}")
    return Finding(name, True, summary)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return _("missing")


def examine_device() -> Finding:
    """Report the default compute device."""
    name = _("device")
    if machine := _machine_without_torch():
        return Finding(name, True, _("{machine} computes.").format(machine=machine))
    try:
        return Finding(name, True, default_device())
    except IMPORT_ERRORS as error:
        problem = _("PyTorch cannot be loaded ({reason}).").format(reason=_first_line(error))
        return Finding(name, False, problem + _install_again())


def default_device() -> str:
    """Return a sentence with the name of the default compute device; it loads PyTorch."""
    import torch

    from ..compat import devices

    device = devices.choose("auto")
    if device.type == "cuda":
        return f"cuda, {torch.cuda.get_device_name(device)}."
    text = _("{device}, with {count} processor threads.")
    return text.format(device=device.type, count=torch.get_num_threads())


def _machine_without_torch() -> str:
    """Return the machine that computes for an installation without PyTorch; otherwise an empty text."""
    return "" if importlib.util.find_spec("torch") else remote.machine()


def examine_weights(models: Path) -> Finding:
    """Check that the networks' weights are present and undamaged; torchvision's own are optional."""
    name = _("weights")
    if machine := _machine_without_torch():
        return Finding(name, True, _("They are on {machine}.").format(machine=machine))
    try:
        from ..weights import sources, store
    except IMPORT_ERRORS as error:
        problem = _("They cannot be checked ({reason}).").format(reason=_first_line(error))
        return Finding(name, False, problem + _install_again())
    installed = store.installed(models)
    required = [each for each, source in sources.SOURCES.items() if isinstance(source, PackagedWeights)]
    missing = [each for each in required if not installed[each]]
    if missing:
        problem = _("Missing or damaged in {folder}: {names}.")
        return Finding(
            name, False, problem.format(folder=models, names=", ".join(missing)) + _install_again()
        )
    intact = ", ".join(each for each, is_intact in installed.items() if is_intact)
    return Finding(name, True, _("In {folder}: {names}.").format(folder=models, names=intact))


def examine_backend() -> Finding:
    """Check that the backend returns a picture unchanged."""
    name = _("backend")
    picture = Picture(64, 48, "RGBA", "u8", random.randbytes(64 * 48 * 4))
    try:
        with launcher.connect() as backend:
            job = backend.submit(Identity(), picture, Region(0, 0, 64, 48))
            results = [message for message in backend.messages(job) if isinstance(message, Result)]
    except AtelierError as error:
        return Finding(name, False, translated(error, _))
    if bytes(results[-1].picture.pixels) != picture.pixels:
        return Finding(name, False, _("The identity test returned different pixels.") + _install_again())
    if backend.machine:
        answers = _("It answers on {machine} and passes the identity test.")
        return Finding(name, True, answers.format(machine=backend.machine))
    return Finding(name, True, _("It answers and passes the identity test."))


def examine_gimps() -> Finding:
    """Check that each GIMP found has a profile, because the plug-in is installed into profiles."""
    found = gimp_installations.find_gimps()
    if unstarted := [gimp for gimp in found if not gimp.profile.exists()]:
        problem = _("{gimp} does not have the plug-in yet.").format(gimp=unstarted[0])
        return Finding("GIMP", False, problem + _install_again())
    names = ", ".join(map(str, found))
    text = f"{names}." if found else _("No GIMP 3 was found. The command line works without it.")
    return Finding("GIMP", True, " ".join([text, *map(_, gimp_installations.package_warnings())]))


def examine_plugin(profile: Path, home: Path) -> Finding:
    """Check that a profile has the current plug-in, and that GIMP has loaded it."""
    name = _("plug-in in {folder}").format(folder=profile)
    folder = gimp_installations.plugin_folder(profile)
    main = folder / "atelier.py"
    if not main.exists():
        return Finding(name, False, _("The plug-in is missing.") + _install_again())
    if not os.access(main, os.X_OK):
        problem = _("{file} is not executable, so GIMP ignores it.").format(file=main)
        return Finding(name, False, problem + _install_again())
    if not folder.is_symlink() and not _is_current(folder, home / PLUGIN_FILE):
        return Finding(name, False, _("The plug-in is not the last one installed.") + _install_again())
    return _examine_registration(name, profile, main)


def examine_command(home: Path) -> Finding:
    """Check that `atelier` in a terminal runs this installation."""
    name, own = _("command"), home / COMMAND_FOLDER
    command = shutil.which("atelier")
    if command is None:
        problem = _("The terminal does not find 'atelier'. Add {folder} to the PATH.")
        return Finding(name, False, problem.format(folder=own))
    if os.path.realpath(command) not in map(os.path.realpath, own.glob("atelier*")):
        problem = _("{file} is another program. Put {folder} before it on the PATH.")
        return Finding(name, False, problem.format(file=command, folder=own))
    return Finding(name, True, f"{command}.")


def write_bundle(findings: Sequence[Finding], file: Path) -> None:
    """Write a zip file for a bug report: findings, versions, the ends of the logs; no keys or pixels.

    Names of users and passwords of proxies are left out too.

    Raises:
        AtelierError: the file cannot be written.
    """
    home = atelier_home()
    texts = {"findings.txt": "".join(f"{finding}\n" for finding in findings), "versions.txt": _versions()}
    for log in (log_file(), home / SELF_CHECK_LOG, home / INSTALL_LOG):
        if log.exists():
            texts[log.name] = log.read_bytes()[-LOG_BYTES:].decode(errors="replace")
    try:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle:
            for name, text in texts.items():
                entry = zipfile.ZipInfo(name)  # without a time, because a zip file cannot hold 1970
                bundle.writestr(entry, _without_secrets(text), zipfile.ZIP_DEFLATED)
    except OSError as error:
        template = _("{file} could not be written ({reason}). Choose another file.")
        raise AtelierError(template, file=file, reason=error.strerror) from error


def _versions() -> str:
    """List the system, and every package of the environment."""
    packages = importlib.metadata.distributions()
    lines = sorted(f"{package.metadata['Name']} {package.version}" for package in packages)
    return "\n".join([platform.platform(), f"Python {platform.python_version()}", *lines, ""])


def _without_secrets(text: str) -> str:
    """Replace keys of backends, passwords in addresses, and the names of users in paths and of machines."""
    text = re.sub("[0-9a-f]{64}", "(a key)", text).replace(str(Path.home()), "~")
    text = re.sub(r"://[^\s/@]+@", "://(a password)@", text)
    text = re.sub(r"[\w.+-]+@[\w.-]*\w", "(a user's machine)", text)
    return re.sub(USERS_FOLDERS, r"\1(a user)", text)


def _install_again() -> str:
    return " " + _("Run '{install}' again.").format(install=install_command())


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")


def _is_current(folder: Path, note: Path) -> bool:
    return note.exists() and note.read_text(encoding="utf-8") == gimp_installations.fingerprint(folder)


def _examine_registration(name: str, profile: Path, main: Path) -> Finding:
    """Check GIMP's cache of plug-ins, if it is newer than the plug-in."""
    pluginrc = profile / "pluginrc"
    if not pluginrc.exists() or pluginrc.stat().st_mtime < main.stat().st_mtime:
        return Finding(name, True, _("Installed. GIMP loads it at its next start."))
    if missing := PROCEDURES - gimp_installations.registered_procedures(profile):
        problem = _("GIMP did not load {names}. Start GIMP from a terminal to see the error.")
        return Finding(name, False, problem.format(names=", ".join(sorted(missing))))
    return Finding(name, True, _("Installed, and GIMP has loaded it."))
