"""The environment's packages: exact versions, verified by hash.

requirements.txt lists Atelier's direct requirements, requirements-video.txt those of animations, and
requirements-cluster.txt those of a cluster. requirements.lock adds the indirect ones, with the hashes of
all their files for every system and Python; its first lines give the command for making it.
A dry run of pip finds the builds for this computer. The lock cannot name torch's builds from other package
indices, such as 2.13.0+cpu: these, and the packages that only they require, are the only ones without a hash.

Sources:
    https://pip.pypa.io/en/stable/topics/secure-installs/ (hash-checking mode)
    https://pip.pypa.io/en/stable/reference/installation-report/
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from .builds import check_build
from .output import report
from .paths import CHECKOUT, Home, Plan
from .process import InstallError, Reader, explain_failure, ignore, pip
from .progress import LongStep, Packages

REQUIREMENTS = CHECKOUT / "requirements.txt"
VIDEO_REQUIREMENTS = CHECKOUT / "requirements-video.txt"
CLUSTER_REQUIREMENTS = CHECKOUT / "requirements-cluster.txt"
LOCK = CHECKOUT / "requirements.lock"
TORCH = ("torch", "torchvision")
BAR_OPTIONS = ("--progress-bar", "raw")
"""For the locked version of pip; older ones lack this option."""
INSTALL = ("install", "--no-compile")
"""Python compiles a module when it is first imported, and most of PyTorch's never are."""
COMPUTING = (*TORCH, "safetensors")
"""The packages that a client of another machine's backend does without."""
CUDA = (
    *("cuda-bindings", "cuda-pathfinder", "cuda-toolkit"),
    *(f"nvidia-{name}" for name in ("cublas", "cuda-cupti", "cuda-nvrtc", "cuda-runtime", "cufft", "cufile")),
    *(f"nvidia-{name}" for name in ("curand", "cusolver", "cusparse", "nvjitlink", "nvtx")),
    *(f"nvidia-{name}-cu13" for name in ("cudnn", "cusparselt", "nccl", "nvshmem")),
    *(
        f"nvidia-{name}-cu12"
        for name in ("cublas", "cuda-cupti", "cuda-nvrtc", "cuda-runtime", "cudnn", "cufft")
    ),
    *(f"nvidia-{name}-cu12" for name in ("cufile", "curand", "cusolver", "cusparse", "cusparselt", "nccl")),
    *(f"nvidia-{name}-cu12" for name in ("nvjitlink", "nvshmem", "nvtx")),
)
INTEL = (
    *("intel-cmplr-lib-rt", "intel-cmplr-lib-ur", "intel-cmplr-lic-rt", "intel-opencl-rt", "intel-openmp"),
    *(
        "intel-pti",
        "intel-sycl-rt",
        "dpcpp-cpp-rt",
        "impi-rt",
        "mkl",
        "oneccl",
        "oneccl-devel",
        "tbb",
        "tcmlib",
    ),
    *(f"onemkl-sycl-{name}" for name in ("blas", "dft", "lapack", "rng", "sparse")),
    *("umf", "pytorch-triton-xpu", "triton-xpu"),
)
BUILD_REQUIREMENTS = frozenset((*CUDA, *INTEL, "pytorch-triton-rocm", "triton-rocm", "triton"))
"""The packages that only some builds of torch require."""

FIND_INTACT = """
import base64, csv, hashlib, importlib.metadata

def is_intact(path, digest):
    kind, _, expected = digest.partition("=")
    content = path.read_bytes() if path.is_file() else b""
    return base64.urlsafe_b64encode(hashlib.new(kind, content).digest()).decode().rstrip("=") == expected

for package in importlib.metadata.distributions():
    # not package.files, which leaves out missing files since Python 3.12
    rows = [row for row in csv.reader((package.read_text("RECORD") or "").splitlines()) if len(row) > 1]
    files = [row[:2] for row in rows if row[1] and ".." not in row[0] and not row[0].endswith(".pyc")]
    has_name = package.read_text("METADATA")
    if files and has_name and all(is_intact(package.locate_file(name), digest) for name, digest in files):
        print(package.metadata["Name"] + "==" + package.version)
"""
"""Scripts, which are outside of the packages' folder, are not checked: Atelier runs none but its own."""


def state(plan: Plan) -> str:
    """Return the texts that determine the packages of an environment."""
    return requirements(plan) + LOCK.read_text(encoding="utf-8")


def requirements(plan: Plan) -> str:
    """Return the lines of the direct requirements, for a client without the packages that compute."""
    extras = {VIDEO_REQUIREMENTS: plan.video, CLUSTER_REQUIREMENTS: plan.cluster}
    files = [REQUIREMENTS, *(file for file, is_wanted in extras.items() if is_wanted)]
    lines = "".join(file.read_text(encoding="utf-8") for file in files).splitlines(keepends=True)
    return "".join(line for line in lines if not (plan.client and line.partition("==")[0] in COMPUTING))


def has_video(home: Home) -> bool:
    """Return whether the packages for animations are installed already."""
    return _is_noted("av", home)


def has_cluster(home: Home) -> bool:
    """Return whether the packages for a cluster are installed already."""
    return _is_noted("cryptography", home)


def _is_noted(package: str, home: Home) -> bool:
    noted = home.packages.read_text(encoding="utf-8") if home.packages.exists() else ""
    return f"\n{package}==" in "\n" + noted


def install_packages(plan: Plan) -> None:
    """Install missing packages; pip first, because an old pip has no dry run with a report."""
    with LongStep("Looking up the packages"):
        run_pip_on(plan, [line for line in pins(plan) if line.startswith("pip==")], *INSTALL)
        missing = missing_packages(plan)
    check_build(plan, missing)
    hint = "" if plan.client else ". PyTorch takes some minutes"
    show_pip_on(plan, missing, f"Installing the packages{hint}", *INSTALL)
    note_packages(plan)


def installed_packages(plan: Plan) -> list[str]:
    """Read the installed packages, as name==version, from the note of them."""
    if not plan.home.packages.exists():
        note_packages(plan)
    return plan.home.packages.read_text(encoding="utf-8").split()


def note_packages(plan: Plan) -> None:
    """Write the installed packages into the note of them, for `atelier doctor`."""
    command = (plan.home.python, "-I", "-m", "pip", "list", "--format=freeze", "--exclude", "atelier")
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    if listed.returncode:
        raise InstallError(explain_failure(listed.stderr))
    plan.home.packages.write_text(listed.stdout, encoding="utf-8")


def repair_packages(plan: Plan) -> None:
    """Reinstall packages with missing or changed files. pip need not know their files."""
    with LongStep("Checking the files of the packages"):
        damaged = damaged_packages(plan)
    for package in damaged:
        report(f"The package {package} is damaged and will be replaced.")
    show_pip_on(plan, damaged, "Replacing damaged packages", *INSTALL, "--ignore-installed")


def damaged_packages(plan: Plan) -> list[str]:
    """Find the noted packages, as name==version, with files unlike the hashes in their wheels."""
    done = subprocess.run(
        [plan.home.python, "-I", "-c", FIND_INTACT], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise InstallError(explain_failure(done.stderr))
    intact = set(map(normalised, done.stdout.split()))
    return [package for package in map(normalised, installed_packages(plan)) if package not in intact]


def download_packages(plan: Plan, folder: Path) -> None:
    """Download the wheels of all packages into a folder, for computers of the same kind."""
    with LongStep("Looking up the packages"):
        needed = missing_packages(plan, "--ignore-installed")
    show_pip_on(plan, needed, "Downloading the packages", "download", "--dest", str(folder))


def missing_packages(plan: Plan, *more: str) -> list[str]:
    """Ask pip for the packages it would install, as name==version, without downloading them."""
    with tempfile.TemporaryDirectory(prefix="atelier-") as folder:
        found, constraints = Path(folder, "report.json"), Path(folder, "constraints.txt")
        constraints.write_text("\n".join(pins(plan)), encoding="utf-8")
        options = ("--dry-run", "--report", str(found), "--constraint", str(constraints), *more)
        direct = Path(folder, REQUIREMENTS.name)
        direct.write_text(requirements(plan), encoding="utf-8")
        pip(plan, "install", *options, *index_options(plan), "--requirement", str(direct))
        packages = json.loads(found.read_text(encoding="utf-8"))["install"]
    return [normalised(f"{p['metadata']['name']}=={p['metadata']['version']}") for p in packages]


def show_pip_on(plan: Plan, packages: Sequence[str], text: str, *command: str) -> None:
    """Run pip on packages, if there are any, as `run_pip_on` does, with a bar below a text."""
    if not packages:
        return
    progress = Packages(plan.home.venv, len(packages), unpacks=command[0] == "install")
    with LongStep(text, progress):
        run_pip_on(plan, packages, *command, *BAR_OPTIONS, read=progress.read)


def run_pip_on(plan: Plan, packages: Iterable[str], *command: str, read: Reader = ignore) -> None:
    """Install or download packages, given as name==version, by their hashes in the lock.

    `read` takes the lines of pip's output.

    Raises:
        InstallError: a package is not in the lock, or its file's hash is not in the lock.
    """
    names = set(packages)
    locked = [entry for entry in lock_entries() if pin(entry).partition(" ;")[0] in names]
    unlocked = sorted(names - {pin(entry).partition(" ;")[0] for entry in locked})
    for package in unlocked:
        if not may_be_unlocked(package, plan):
            raise InstallError(f"{package} is not in {LOCK.name}. Update the lock as its first lines say.")
    as_listed = ("--no-deps", "--only-binary", ":all:")
    if locked:
        with tempfile.TemporaryDirectory(prefix="atelier-") as folder:
            file = Path(folder, LOCK.name)
            file.write_text("\n".join(locked), encoding="utf-8")
            pip(plan, *command, *as_listed, "--require-hashes", "--requirement", str(file), read=read)
    if unlocked:
        pip(plan, *command, *as_listed, *index_options(plan), *unlocked, read=read)


def may_be_unlocked(package: str, plan: Plan) -> bool:
    """Return whether a package belongs to a build of torch that the lock cannot name."""
    name, _, version = package.partition("==")
    is_other_build = name in TORCH and bool(plan.torch_index or "+" in version)
    return is_other_build or (plan.torch_index is not None and name in BUILD_REQUIREMENTS)


def lock_entries() -> list[str]:
    """Split the lock into its entries: name==version, a marker if any, and the hashes of the files."""
    return re.findall(r"^\w.*(?:\n .*)*", LOCK.read_text(encoding="utf-8"), re.MULTILINE)


def pins(plan: Plan) -> list[str]:
    """Return the lock without hashes, and without a build's own packages if torch has another index."""
    lines = [pin(entry) for entry in lock_entries()]
    return [
        line for line in lines if not (plan.torch_index and line.partition("==")[0] in BUILD_REQUIREMENTS)
    ]


def pin(entry: str) -> str:
    """Return the name, version and marker of an entry."""
    return entry.partition(" \\\n")[0]


def normalised(package: str) -> str:
    """Normalise the name in name==version as in the lock."""
    name, _, version = package.partition("==")
    return f"{re.sub(r'[-_.]+', '-', name).lower()}=={version}"


def index_options(plan: Plan) -> tuple[str, ...]:
    """Return pip's options for the additional package index of torch."""
    return ("--extra-index-url", plan.torch_index) if plan.torch_index else ()
