"""Prepares the tests' environment if necessary and runs ruff, mypy and pytest.

    python3 tests/run.py                     everything
    python3 tests/run.py --quick             the same without the tests that start GIMP or a backend
    python3 tests/run.py PYTEST'S ARGUMENTS  pytest alone, for example a file, -k WORDS or -x

On a fresh machine it makes, outside the checkout in ~/.cache/atelier-tests (ATELIER_TEST_CACHE names
another folder): an environment with the pinned packages, the real weights, an SSH server, and a real
GIMP 3.0 and 3.2. That takes some minutes, once.

The three checks run side by side and regardless of each other. The exit status is 0 only if all pass. The
tests are divided among several processes, as tests/conftest.py describes; with pytest's arguments they run
in one process. After the first run the environment can also be used directly, which starts fastest:

    ~/.cache/atelier-tests/venv/bin/python -m pytest FILE

Needs only the standard library and Python 3.10 or newer.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("ATELIER_TEST_CACHE") or Path.home() / ".cache" / "atelier-tests").resolve()
VENV, MODELS = CACHE / "venv", CACHE / "models"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = tuple(
    CHECKOUT / name
    for name in (
        *("requirements.txt", "requirements-video.txt", "requirements-cluster.txt"),
        "tests/requirements.txt",
    )
)
NETWORKS = CHECKOUT / "plugin" / "atelier" / "atelier_shared" / "networks.py"
GIMP_VERSIONS = ("3.0", "3.2")
QUICK = "--quick"
PROCESSES = 5
"""More than two processor cores, because a test with GIMP or a backend often waits."""
IN_PROCESSES = ("-n", str(PROCESSES), "--no-loadscope-reorder")
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""For torch, because the cores are busy already. Its threads would wait for each other."""


@dataclass(frozen=True)
class Outcome:
    """A finished check: its exit status and its duration."""

    name: str
    status: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.name:9} in {self.seconds:6.1f} s: {'FAILED' if self.status else 'passed'}"


def main(arguments: list[str]) -> int:
    """Prepare, run the checks, print a summary and return the exit status."""
    if CACHE.is_relative_to(CHECKOUT):
        sys.exit(f"ATELIER_TEST_CACHE is {CACHE}. It must lie outside the checkout.")
    started = time.monotonic()
    try:
        prepare()
    except subprocess.CalledProcessError as error:
        sys.exit(f"The tests could not be prepared: {error.stderr.strip() or error}")
    report = [f"prepared  in {time.monotonic() - started:6.1f} s"]
    outcomes = run_all(arguments) if arguments in ([], [QUICK]) else [check("pytest", *arguments)]
    print("\n", *report, *outcomes, f"screenshots of GIMP: {CACHE / 'screenshots'}", sep="\n")
    return 1 if any(outcome.status for outcome in outcomes) else 0


def run_all(arguments: list[str]) -> list[Outcome]:
    """Run the three checks side by side; the output of ruff and mypy follows that of pytest."""
    with ThreadPoolExecutor() as pool:
        others = [pool.submit(capture, "ruff", "check", "."), pool.submit(capture, "mypy", *mypy_cache())]
        pytest = check("pytest", *IN_PROCESSES, *arguments, **ONE_THREAD)
        outcomes = []
        for outcome, output in (other.result() for other in others):
            print(f"\n── {outcome.name}\n{output}", flush=True)
            outcomes.append(outcome)
    return [*outcomes, pytest]


def mypy_cache() -> tuple[str, str]:
    """Return the options that keep mypy's cache beside the environment."""
    return "--cache-dir", str(CACHE / "mypy")


def capture(name: str, *arguments: str) -> tuple[Outcome, str]:
    """Run a module of the tests' environment on the checkout and return its output."""
    started = time.monotonic()
    done = subprocess.run(
        [PYTHON, "-m", name, *arguments],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return Outcome(name, done.returncode, time.monotonic() - started), done.stdout


def check(name: str, *arguments: str, **variables: str) -> Outcome:
    """Run a module of the tests' environment on the checkout; its output is shown at once."""
    print(f"\n── {name} {' '.join(arguments)}", flush=True)
    started = time.monotonic()
    environment = os.environ | {"ATELIER_TEST_CACHE": str(CACHE)} | variables
    done = subprocess.run([PYTHON, "-m", name, *arguments], cwd=CHECKOUT, env=environment)
    return Outcome(name, done.returncode, time.monotonic() - started)


def prepare() -> None:
    """Make what is missing: the environment and the weights, and at the same time the two GIMPs."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock, ThreadPoolExecutor() as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        jobs = [pool.submit(make_environment), pool.submit(get_sshd)]
        jobs += [pool.submit(get_gimp, version) for version in GIMP_VERSIONS]
        for job in jobs:
            job.result()


def make_environment() -> None:
    """Install the pinned packages and the checkout itself, and fetch the weights."""
    stamp, wanted = VENV / "made-from", digest_of(sys.version, *REQUIREMENTS)
    if not stamp.exists() or stamp.read_text() != wanted:
        this_python = Path(sys.executable).resolve()  # inside a GIMP's root, python3 is another version
        _run("packages", this_python, "-m", "venv", "--clear", VENV)
        files = [word for file in REQUIREMENTS for word in ("-r", file)]
        _run("packages", PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *files)
        stamp.write_text(wanted)
    use_this_checkout()
    fetch_weights()


def use_this_checkout() -> None:
    """Make the environment import Atelier from this checkout; another one may have used it before."""
    (packages,) = VENV.glob("lib/python3*/site-packages")
    file, paths = packages / "atelier-checkout.pth", f"{CHECKOUT}\n{CHECKOUT / 'plugin' / 'atelier'}\n"
    if not file.exists() or file.read_text() != paths:
        file.write_text(paths)


def fetch_weights() -> None:
    """Fetch missing and changed weights; skip this if neither they nor its code have changed."""
    stamp = MODELS / "fetched-by"
    sources = [*(CHECKOUT / "backend" / "weights").glob("*.py"), NETWORKS]

    def state() -> str:
        files = sorted(MODELS.glob("*.safetensors"))
        sizes = [f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
        return digest_of(*sizes, *sorted(sources))

    if not stamp.exists() or stamp.read_text() != state():
        _run("weights", PYTHON, "-m", "backend.weights.fetch", MODELS)
        stamp.write_text(state())


def digest_of(*ingredients: str | Path) -> str:
    """Return a hash of texts and of the contents of files."""
    contents = [item.read_bytes() if isinstance(item, Path) else item.encode() for item in ingredients]
    return hashlib.sha256(b"\0".join(contents)).hexdigest()


def get_gimp(version: str) -> None:
    """Unpack a GIMP of a version, or of a newer one if Debian has moved on."""
    gimp_root = CHECKOUT / "tests" / "gimp" / "gimp_root.py"
    _run(f"GIMP {version}", sys.executable, gimp_root, version, CACHE / f"gimp-{version}")


def get_sshd() -> None:
    """Unpack an SSH server."""
    _run("an SSH server", sys.executable, CHECKOUT / "tests" / "remote" / "get_sshd.py", CACHE / "sshd")


def _run(what: str, *command: str | Path) -> None:
    print(f"preparing {what}: {' '.join(map(str, command[1:4]))} …", flush=True)
    subprocess.run(command, cwd=CHECKOUT, check=True, stderr=subprocess.PIPE, text=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
