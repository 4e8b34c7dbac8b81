"""Which build of torch a machine wants, and which one it gets.

torch is built for each kind of graphics card apart. pip's usual index has one build for each system; the
others have indices of their own, whose addresses no file here holds: a person names one, and it is
noted in the home.

Sources:
    Linux, drivers/gpu/drm/amd/amdkfd/kfd_chardev.c (/dev/kfd, through which AMD's cards compute)
    https://github.com/intel/compute-runtime (libze_intel_gpu, through which Intel's do)
"""

from __future__ import annotations

import ctypes.util
import platform
import shutil
import sys
from collections.abc import Collection, Iterable
from pathlib import Path

from .paths import INDEX_NOTE, Plan
from .process import InstallError, say

CARDS = {
    "cuda": "NVIDIA's cards",
    "rocm": "AMD's cards",
    "xpu": "Intel's cards",
    "mps": "Apple's graphics",
    "cpu": "the processor alone",
}
NVIDIA_DRIVERS = ("cuda", "nvcuda")
INTEL_DRIVERS = ("ze_intel_gpu", "ze_intel_gpu64")
AMD_DRIVER = Path("/dev/kfd")
LOCAL_VERSIONS = {"cu": "cuda", "rocm": "rocm", "xpu": "xpu", "cpu": "cpu"}
WHERE = "give the address of its index to --torch-index; the PyTorch project's 'Get started' page names it"


def noted_index(folder: Path) -> str | None:
    """The package index that torch was taken from besides the usual one, as noted in a folder."""
    note = folder / INDEX_NOTE
    return (note.read_text(encoding="utf-8").strip() or None) if note.exists() else None


def note_index(folder: Path, address: str | None) -> None:
    """Note it, or that there is none."""
    note = folder / INDEX_NOTE
    if address:
        note.write_text(f"{address}\n", encoding="utf-8")
    else:
        note.unlink(missing_ok=True)


def present_device() -> str:
    """The kind of device of this machine that computes the fastest, going by the drivers that are here."""
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return "mps"
    if shutil.which("nvidia-smi") or any(map(ctypes.util.find_library, NVIDIA_DRIVERS)):
        return "cuda"
    if AMD_DRIVER.exists():
        return "rocm"
    return "xpu" if any(map(ctypes.util.find_library, INTEL_DRIVERS)) else "cpu"


def build_among(packages: Iterable[str], *, usual: bool) -> str | None:
    """The kind of device that the torch among packages, as name==version, is built for; None: not to be told.

    A build of the usual index does not say what it is for, but brings NVIDIA's libraries along, or not.
    """
    versions = dict(package.split("==") for package in packages)
    if "torch" not in versions:
        return None
    local = versions["torch"].partition("+")[2]
    for beginning, build in LOCAL_VERSIONS.items():
        if local.startswith(beginning):
            return build
    if not usual:
        return None
    if any(name.startswith("nvidia-") for name in versions):
        return "cuda"
    return "mps" if sys.platform == "darwin" else "cpu"


def check_build(plan: Plan, packages: Collection[str]) -> None:
    """Before packages are fetched: say so where the torch among them is not the build to have.

    Raises:
        InstallError: a device was asked for that this build cannot compute on.
    """
    check_asked_for(plan, packages)
    build = build_among(packages, usual=True)
    if build and not plan.torch_index:
        advise(present_device() if plan.device == "auto" else plan.device, build)


def check_asked_for(plan: Plan, packages: Iterable[str]) -> None:
    """Raise InstallError where the torch among packages does not compute on the device that was asked for."""
    device, build = plan.device, build_among(packages, usual=not plan.torch_index)
    if build is None or device in ("auto", "cpu", build) or (device, build) == ("cuda", "rocm"):
        return  # PyTorch calls AMD's cards cuda as well
    if device == "mps":
        raise InstallError("This is no Mac with Apple silicon: give another --device, or none.")
    raise InstallError(
        f"--device {device} wants the build of torch for {CARDS[device]}, and the one that pip finds is for "
        f"{CARDS[build]}: {WHERE}."
    )


def advise(device: str, build: str) -> None:
    """Say which build of torch would suit a device better than the one that pip finds."""
    if device == "cpu" and build == "cuda":
        say(
            "The build of torch that pip finds is for NVIDIA's cards, which are not to be used here: it is "
            f"gigabytes large, and computes on the processor as well. For a smaller one, {WHERE}."
        )
    elif device not in ("cpu", build):
        say(
            f"This computer has a driver for {CARDS[device]}, and the build of torch that pip finds is for "
            f"{CARDS[build]}, so the processor will compute. For the other build, {WHERE}."
        )
