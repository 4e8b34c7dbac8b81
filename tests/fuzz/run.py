"""Fuzzes all that reads what comes from outside, guided by coverage.

    python tests/fuzz/run.py --inputs N [--seconds S] [--minimise] [TARGET …]

Shares N inputs out among the targets, one after the other, each in a process of its own, and prints how
many were done and how much they covered; a target ends sooner after S seconds. What a target learnt is
forgotten, unless it is to be minimised into its corpus. An input that breaks a promise is written to
the present folder as crash-…, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
CHECKOUT, CORPUS = FOLDER.parent.parent, FOLDER / "corpus"
TARGETS = sorted(file.stem for file in FOLDER.glob("*.py") if file.stem not in ("run", "test_fuzz"))
INSTRUMENTED = [
    *("atelier_shared", "backend", "PIL"),
]
LONGEST_BYTES = 4096
LONGEST_KEPT_BYTES = 1500


def main() -> int:
    """Fuzz the targets that are named, or all of them."""
    parser = argparse.ArgumentParser(description="Fuzz what comes from outside.")
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], metavar="TARGET")
    parser.add_argument("--inputs", type=int, required=True, help="how many in all")
    parser.add_argument("--seconds", type=int, default=0, help="how long a target may take; 0: however long")
    parser.add_argument("--minimise", action="store_true", help="keep the smallest inputs that cover as much")
    options = parser.parse_args()
    targets = options.targets or TARGETS
    share = max(1, options.inputs // len(targets))
    return max([fuzz(target, share, options.seconds, options.minimise) for target in targets])


def fuzz(target: str, inputs: int, seconds: int, minimise: bool) -> int:
    """Fuzz one target in another process; 0 where it kept its promises."""
    with tempfile.TemporaryDirectory() as learnt:
        limits = [f"-runs={inputs}", f"-max_total_time={seconds}", f"-max_len={LONGEST_BYTES}"]
        (words := Path(learnt, "words")).write_text("".join(words_of(target)), encoding="utf-8")
        (found := Path(learnt, "found")).mkdir()
        (kept := CORPUS / target).mkdir(parents=True, exist_ok=True)
        options = [*limits, f"-dict={words}", "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1"]
        status, said = start(target, *options, str(found), str(kept))
        done = re.search(r"number_of_executed_units: (\d+)", said)
        covered = re.findall(r"cov: (\d+)", said)
        print(
            f"{target:16} {int(done[1]) if done else 0:9} inputs, coverage {covered[-1] if covered else '?'}"
        )
        if status:
            print(said[-4000:])
        elif minimise:
            keep_the_smallest(target, found, kept)
        return status


def keep_the_smallest(target: str, found: Path, kept: Path) -> None:
    """Make the corpus the smallest of all inputs that still cover as much."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["-set_cover_merge=1", f"-max_len={LONGEST_KEPT_BYTES}"]
        status, said = start(target, *options, folder, str(kept), str(found))
        if status:
            sys.exit(said[-4000:])
        for file in kept.iterdir():
            if not file.name.startswith("found-"):  # what once broke a promise stays
                file.unlink()
        for file in Path(folder).iterdir():
            shutil.copy(file, kept)


def start(target: str, *options: str) -> tuple[int, str]:
    """Run a target under libFuzzer; its exit status and what it said."""
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder, target)  # by which libFuzzer starts itself when it merges
        words = map(shlex.quote, [sys.executable, __file__, "--under-libfuzzer", target, str(again)])
        again.write_text(f'#!/bin/sh\nexec {" ".join(words)} "$@"\n', encoding="utf-8")
        again.chmod(0o700)
        command = [str(again), *options]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        return done.returncode, done.stdout + done.stderr


def words_of(target: str) -> Iterator[str]:
    """libFuzzer's dictionary: the words that a target's inputs are made of."""
    for number, word in enumerate(getattr(importlib.import_module(target), "WORDS", [])):
        escaped = "".join(f"\\x{byte:02x}" for byte in word)
        yield f'word{number}="{escaped}"\n'


def under_libfuzzer(target: str, command: list[str]) -> None:
    """Run one target in this process, with the code that it tests instrumented; does not return."""
    atheris = importlib.import_module("atheris")  # not for every Python; the corpus is replayed without
    with atheris.instrument_imports(include=INSTRUMENTED):
        module = importlib.import_module(target)
    atheris.Setup(command, module.one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.path[:0] = map(str, (FOLDER, FOLDER.parent, CHECKOUT, CHECKOUT / "plugin" / "atelier"))
    if sys.argv[1:2] == ["--under-libfuzzer"]:
        under_libfuzzer(sys.argv[2], sys.argv[3:])
    sys.exit(main())
