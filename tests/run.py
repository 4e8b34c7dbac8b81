"""Prepares what the tests need, where it is not there yet, and runs ruff, mypy and pytest.

    python3 tests/run.py [PYTEST'S ARGUMENTS …]

On a fresh machine it makes, outside the checkout in ~/.cache/atelier-tests (ATELIER_TEST_CACHE
names another folder): an environment with the pinned packages, the real weights, and a real GIMP
3.0 and 3.2. All three checks run, whatever becomes of the one before; the exit status is 0 only
when all pass. Standard library alone, Python 3.10 or newer.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("ATELIER_TEST_CACHE") or Path.home() / ".cache" / "atelier-tests").resolve()
VENV, MODELS = CACHE / "venv", CACHE / "models"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = (CHECKOUT / "requirements.txt", CHECKOUT / "tests" / "requirements.txt")
GIMP_VERSIONS = ("3.0", "3.2")
CHECKS = {
    "ruff": ("-m", "ruff", "check", "."),
    "mypy": ("-m", "mypy"),
    "pytest": ("-m", "pytest"),
}


def main(pytest_arguments: list[str]) -> int:
    """Prepare, check, and say how it went."""
    if CACHE.is_relative_to(CHECKOUT):
        sys.exit(f"ATELIER_TEST_CACHE must lie outside the checkout, and {CACHE} does not.")
    started = time.monotonic()
    try:
        prepare()
    except subprocess.CalledProcessError as error:
        sys.exit(f"The tests could not be prepared: {error.stderr.strip() or error}")
    report = [f"prepared  in {time.monotonic() - started:6.1f} s"]
    passed = True
    for name, arguments in CHECKS.items():
        extra = pytest_arguments if name == "pytest" else []
        started = time.monotonic()
        status = check(*arguments, *extra)
        report.append(f"{name:9} in {time.monotonic() - started:6.1f} s: {'FAILED' if status else 'passed'}")
        passed = passed and status == 0
    print("\n", *report, f"screenshots of GIMP: {CACHE / 'screenshots'}", sep="\n")
    return 0 if passed else 1


def check(*arguments: str) -> int:
    """Run a module of the tests' environment on the checkout, and return its exit status."""
    print(f"\n── {' '.join(arguments[1:])}", flush=True)
    places = {"ATELIER_TEST_CACHE": str(CACHE), "ATELIER_TEST_MODELS": str(MODELS)}
    return subprocess.run([PYTHON, *arguments], cwd=CHECKOUT, env=os.environ | places).returncode


def prepare() -> None:
    """Make what is not there yet: the environment and the weights, and meanwhile the GIMPs."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock, ThreadPoolExecutor() as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        jobs = [pool.submit(make_environment), *(pool.submit(get_gimp, version) for version in GIMP_VERSIONS)]
        for job in jobs:
            job.result()


def make_environment() -> None:
    """The pinned packages, the checkout itself, and the weights."""
    stamp = VENV / "made-from"
    ingredients = [sys.version.encode(), *(file.read_bytes() for file in REQUIREMENTS)]
    wanted = hashlib.sha256(b"\0".join(ingredients)).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        this_python = Path(sys.executable).resolve()  # by its version: python3 is another one beside GIMP
        _run("packages", this_python, "-m", "venv", "--clear", VENV)
        files = [word for file in REQUIREMENTS for word in ("-r", file)]
        _run("packages", PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *files)
        stamp.write_text(wanted)
    (packages,) = VENV.glob("lib/python3*/site-packages")
    (packages / "atelier-checkout.pth").write_text(f"{CHECKOUT}\n{CHECKOUT / 'plugin' / 'atelier'}\n")
    _run("weights", PYTHON, "-m", "backend.weights.fetch", MODELS)


def get_gimp(version: str) -> None:
    """A GIMP of that version or, where Debian has moved on, a newer one."""
    gimp_root = CHECKOUT / "tests" / "gimp" / "gimp_root.py"
    _run(f"GIMP {version}", sys.executable, gimp_root, version, CACHE / f"gimp-{version}")


def _run(what: str, *command: str | Path) -> None:
    print(f"preparing {what}: {' '.join(map(str, command[1:4]))} …", flush=True)
    subprocess.run(command, cwd=CHECKOUT, check=True, stderr=subprocess.PIPE, text=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
