"""The build of torch for this computer: detected, compared with pip's, and chosen by --torch-index.

PyTorch ships a separate build per graphics card vendor. pip's usual package index has one build for each
system. The other builds have package indices of their own. Their addresses are in no file here: the
user names one, and it is noted in the home folder.

Sources:
    Linux, drivers/gpu/drm/amd/amdkfd/kfd_chardev.c (/dev/kfd, the compute device of AMD's cards)
    https://github.com/intel/compute-runtime (libze_intel_gpu, the compute driver of Intel's cards)
"""

from __future__ import annotations

import ctypes.util
import platform
import shutil
import sys
from collections.abc import Collection, Iterable
from pathlib import Path

from .output import report
from .paths import INDEX_NOTE, Plan
from .process import InstallError

CARDS = {
    "cuda": "NVIDIA graphics cards",
    "rocm": "AMD graphics cards",
    "xpu": "Intel graphics cards",
    "mps": "Apple graphics",
    "cpu": "the processor only",
}
NVIDIA_DRIVERS = ("cuda", "nvcuda")
INTEL_DRIVERS = ("ze_intel_gpu", "ze_intel_gpu64")
AMD_DRIVER = Path("/dev/kfd")
LOCAL_VERSIONS = {"cu": "cuda", "rocm": "rocm", "xpu": "xpu", "cpu": "cpu"}
"""How the local part of torch's version begins, as in 2.9.0+cu130, for each kind of build."""
CHOOSE_INDEX = (
    "run install.py again with --torch-index and the address from the PyTorch project's 'Get started' page"
)


def noted_index(folder: Path) -> str | None:
    """Read the package index of torch from the note in a folder; None for pip's usual index."""
    note = folder / INDEX_NOTE
    return (note.read_text(encoding="utf-8").strip() or None) if note.exists() else None


def note_index(folder: Path, address: str | None) -> None:
    """Write the package index of torch into the note, or remove the note for pip's usual index."""
    note = folder / INDEX_NOTE
    if address:
        note.write_text(f"{address}\n", encoding="utf-8")
    else:
        note.unlink(missing_ok=True)


def detect_device() -> str:
    """Return this computer's fastest kind of device, judged by the installed drivers."""
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return "mps"
    if shutil.which("nvidia-smi") or any(map(ctypes.util.find_library, NVIDIA_DRIVERS)):
        return "cuda"
    if AMD_DRIVER.exists():
        return "rocm"
    return "xpu" if any(map(ctypes.util.find_library, INTEL_DRIVERS)) else "cpu"


def build_of(packages: Iterable[str], *, usual_index: bool) -> str | None:
    """Return the kind of device of the torch build among packages (name==version); None if unknown.

    The version of a build from the usual index does not contain the kind. Only the build for NVIDIA's
    cards requires NVIDIA's libraries.
    """
    versions = dict(package.split("==") for package in packages)
    if "torch" not in versions:
        return None
    local = versions["torch"].partition("+")[2]
    for beginning, build in LOCAL_VERSIONS.items():
        if local.startswith(beginning):
            return build
    if not usual_index:
        return None
    if any(name.startswith("nvidia-") for name in versions):
        return "cuda"
    return "mps" if sys.platform == "darwin" else "cpu"


def check_build(plan: Plan, packages: Collection[str]) -> None:
    """Check the build of torch before packages are downloaded, and recommend a more suitable one.

    Raises:
        InstallError: this build cannot use the requested device.
    """
    check_requested_device(plan, packages)
    build = build_of(packages, usual_index=True)
    if build and not plan.torch_index:
        recommend(detect_device() if plan.device == "auto" else plan.device, build)


def check_requested_device(plan: Plan, packages: Iterable[str]) -> None:
    """Raise InstallError if the torch among packages cannot use the device of --device."""
    device, build = plan.device, build_of(packages, usual_index=not plan.torch_index)
    if build is None or device in ("auto", "cpu", build) or (device, build) == ("cuda", "rocm"):
        return  # PyTorch calls AMD's cards cuda too
    if device == "mps":
        raise InstallError("--device mps needs a Mac with Apple silicon. Choose another device.")
    raise InstallError(
        f"--device {device} needs PyTorch for {CARDS[device]}, but pip would install PyTorch for "
        f"{CARDS[build]}. To change this, {CHOOSE_INDEX}."
    )


def recommend(device: str, build: str) -> None:
    """Print a recommendation if another build of torch suits the device better than pip's."""
    if device == "cpu" and build == "cuda":
        report(
            "pip installs PyTorch for NVIDIA graphics cards. It works on the processor too, but it contains "
            f"gigabytes of files for graphics cards. For a smaller PyTorch, {CHOOSE_INDEX}."
        )
    elif device not in ("cpu", build):
        report(
            f"This computer has a driver for {CARDS[device]}, but pip installs PyTorch for {CARDS[build]}, "
            f"so Atelier will use the processor. To use the graphics card, {CHOOSE_INDEX}."
        )
