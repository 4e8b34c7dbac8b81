"""Mutation tests: each protection is removed, one at a time, and the tests that claim it must fail.

    python3 tests/mutants/run.py [--list] [WORDS]

Works on a copy of the checkout, with the environment of tests/run.py; run nothing else with that
environment meanwhile. WORDS select the protections whose names contain them. --list prints the table for
SECURITY.md. Without a survivor the exit status is 0. Takes about half an hour.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(CHECKOUT / "tests"))

from mutants.protections import MUTANTS, Mutant
from run import CACHE, PYTHON, use_this_checkout

TEST_S, LONGEST_S = 120, 600
KILLED, SURVIVED = 1, 0
"""Exit statuses of pytest. Any other one means that the mutant is broken, or has no tests."""


def main(words: Sequence[str]) -> int:
    """Run the selected mutants and return the exit status."""
    selected = [mutant for mutant in MUTANTS if all(word in mutant.protection for word in words)]
    if "--list" in words:
        print(table())
        return 0
    with tempfile.TemporaryDirectory(prefix="atelier-mutants-") as folder:
        copy = Path(folder, "checkout")
        copy_checkout(copy)
        try:
            failures = [mutant for mutant in selected if not is_killed(mutant, copy)]
        finally:
            use_this_checkout()
    print(f"{len(selected) - len(failures)} of {len(selected)} mutants were killed")
    return 1 if failures else 0


def copy_checkout(folder: Path) -> None:
    """Copy the files of the project, be they committed yet or not."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.check_output(listing, cwd=CHECKOUT, text=True).split("\0"):
        if name and (CHECKOUT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, folder / name)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)


def is_killed(mutant: Mutant, checkout: Path) -> bool:
    """Remove a protection in the copy, run its tests, put it back, and print the outcome."""
    started = time.monotonic()
    file = checkout / mutant.file
    original = file.read_text(encoding="utf-8")
    if original.count(mutant.text) != 1:
        print(f"DOES NOT APPLY {mutant.protection}: its text is not once in {mutant.file}", flush=True)
        return False
    file.write_text(original.replace(mutant.text, mutant.removed), encoding="utf-8")
    try:
        status = run_tests(mutant.tests, checkout)
    finally:
        file.write_text(original, encoding="utf-8")
    outcome = {KILLED: "killed", SURVIVED: "SURVIVED"}.get(status, f"BROKEN (pytest's status {status})")
    print(f"{outcome:8} {mutant.protection} ({time.monotonic() - started:.0f} s)", flush=True)
    return status == KILLED


def run_tests(tests: tuple[str, str], checkout: Path) -> int:
    """Run tests of the copy until the first failure, and return pytest's exit status."""
    file, words = tests
    options = ["-qx", "-p", "no:cacheprovider", f"--timeout={TEST_S}", "-k", words]
    command = [str(PYTHON), "-m", "pytest", *options, file]
    environment = os.environ | {"ATELIER_TEST_CACHE": str(CACHE), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, timeout=LONGEST_S)
    except subprocess.TimeoutExpired:
        return KILLED
    if done.returncode not in (KILLED, SURVIVED):
        print(done.stdout.decode()[-2000:])
    return done.returncode


def table() -> str:
    """Return the table of protections and their tests for SECURITY.md."""
    rows = [f'| {mutant.protection} | `{mutant.file}` | `-k "{mutant.tests[1]}"` |' for mutant in MUTANTS]
    return "\n".join(["| protection | where | its tests |", "|---|---|---|", *rows])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
