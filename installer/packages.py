"""The environment's packages, each at one version, and by the hash of its file but for torch.

requirements.txt says what Atelier asks for. requirements.lock adds what that needs, with the hashes
of all files of these versions, for every system and Python; its first lines say how it is made.
torch and torchvision are not in it, for their builds differ by machine: pip is asked which build it
finds here, and what that brings along.

Sources:
    https://pip.pypa.io/en/stable/topics/secure-installs/ (hash-checking mode)
    https://pip.pypa.io/en/stable/reference/installation-report/
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from .builds import check_build
from .paths import CHECKOUT, Plan
from .process import InstallError, pip, say, why_failed

REQUIREMENTS = CHECKOUT / "requirements.txt"
LOCK = CHECKOUT / "requirements.lock"
TORCH = ("torch", "torchvision")
OF_A_BUILD = ("nvidia-", "cuda-", "triton")  # what comes with some builds of torch

DAMAGED = """
import base64, hashlib, importlib.metadata
for package in importlib.metadata.distributions():
    for file in package.files or ():
        if file.hash and file.suffix != ".pyc":
            path = file.locate()
            content = path.read_bytes() if path.is_file() else b""
            digest = base64.urlsafe_b64encode(hashlib.new(file.hash.mode, content).digest())
            if digest.decode().rstrip("=") != file.hash.value:
                print(package.metadata["Name"] + "==" + package.version)
                break
"""


def state() -> str:
    """What the packages of an environment were installed from."""
    return REQUIREMENTS.read_text(encoding="utf-8") + LOCK.read_text(encoding="utf-8")


def install_packages(plan: Plan) -> None:
    """Install what is missing; pip first, for an old one cannot say what it would fetch."""
    get_exactly(plan, [line for line in pins(plan) if line.startswith("pip==")], "install", "--quiet")
    wanted = to_install(plan)
    check_build(plan, wanted)
    get_exactly(plan, wanted, "install")
    note_packages(plan)


def noted_packages(plan: Plan) -> list[str]:
    """What was installed, as name==version."""
    return (plan.home.venv / "packages.txt").read_text(encoding="utf-8").split()


def note_packages(plan: Plan) -> None:
    """Note what is installed, for `atelier doctor` to compare with."""
    ask = (plan.home.python, "-I", "-m", "pip", "list", "--format=freeze", "--exclude", "atelier")
    listed = subprocess.run(ask, capture_output=True, text=True, check=False)
    if listed.returncode:
        raise InstallError(why_failed(listed.stderr))
    (plan.home.venv / "packages.txt").write_text(listed.stdout, encoding="utf-8")


def repair_packages(plan: Plan) -> None:
    """Install again what has a file that is missing or not as it was installed."""
    damaged = damaged_packages(plan.home.python)
    for package in damaged:
        say(f"{package} is damaged and is replaced.")
    ours = [package for package in damaged if package.startswith("atelier==")]
    get_exactly(plan, set(damaged) - set(ours), "install", "--force-reinstall")


def damaged_packages(python: Path) -> list[str]:
    """The packages of an environment, as name==version, with files that are not as their wheels said."""
    done = subprocess.run([python, "-I", "-c", DAMAGED], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstallError(why_failed(done.stderr))
    return [normalised(line) for line in done.stdout.split()]


def download_packages(plan: Plan, folder: Path) -> None:
    """Put the wheels of all packages into a folder, for machines like this one."""
    get_exactly(plan, to_install(plan, "--ignore-installed"), "download", "--dest", str(folder))


def to_install(plan: Plan, *options: str) -> list[str]:
    """What pip would install, as name==version; it looks up what needs what and fetches no package."""
    with tempfile.TemporaryDirectory(prefix="atelier-") as folder:
        report, constraints = Path(folder, "report.json"), Path(folder, "constraints.txt")
        constraints.write_text("\n".join(pins(plan)), encoding="utf-8")
        ask = ("--dry-run", "--quiet", "--report", str(report), "--constraint", str(constraints), *options)
        pip(plan, "install", *ask, *index(plan), "--requirement", str(REQUIREMENTS))
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
    return [normalised(f"{p['metadata']['name']}=={p['metadata']['version']}") for p in found]


def get_exactly(plan: Plan, wanted: Iterable[str], *command: str) -> None:
    """Have pip install or download packages, given as name==version: by hash, but for builds of torch.

    Raises:
        InstallError: a package is not in the lock, or its file is not one of those that the lock names.
    """
    wanted = set(wanted)
    locked = [entry for entry in lock_entries() if pin(entry).partition(" ;")[0] in wanted]
    free = sorted(wanted - {pin(entry).partition(" ;")[0] for entry in locked})
    for package in free:
        if not (plan.torch_index or package.startswith(TORCH)):
            raise InstallError(f"{package} is not in {LOCK.name}: make that anew, as its first lines say.")
    exactly = ("--no-deps", "--only-binary", ":all:")
    if locked:
        with tempfile.TemporaryDirectory(prefix="atelier-") as folder:
            file = Path(folder, LOCK.name)
            file.write_text("\n".join(locked), encoding="utf-8")
            pip(plan, *command, *exactly, "--require-hashes", "--requirement", str(file))
    if free:
        pip(plan, *command, *exactly, *index(plan), *free)


def lock_entries() -> list[str]:
    """The lock's entries: name==version, where that applies, and the hashes of its files."""
    return re.findall(r"^\w.*(?:\n .*)*", LOCK.read_text(encoding="utf-8"), re.MULTILINE)


def pins(plan: Plan) -> list[str]:
    """The lock without hashes; another index' torch may bring other versions of what belongs to it."""
    lines = [pin(entry) for entry in lock_entries()]
    return [line for line in lines if not (plan.torch_index and line.startswith(OF_A_BUILD))]


def pin(entry: str) -> str:
    """The name, the version and the marker of an entry."""
    return entry.partition(" \\\n")[0]


def normalised(package: str) -> str:
    """A package's name as the lock writes it; its version as it is."""
    name, _, version = package.partition("==")
    return f"{re.sub(r'[-_.]+', '-', name).lower()}=={version}"


def index(plan: Plan) -> tuple[str, ...]:
    """Where pip shall look for torch besides."""
    return ("--extra-index-url", plan.torch_index) if plan.torch_index else ()
