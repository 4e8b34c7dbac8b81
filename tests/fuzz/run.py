"""Coverage-guided fuzzing of all code that reads data from outside.

    python tests/fuzz/run.py --inputs N [--seconds S] [--minimise] [TARGET …]

The N inputs are divided equally among the targets, which run one after the other, each in a process of its
own. For each target the number of inputs and their coverage are printed. A target ends early after S
seconds. With --minimise, the smallest set of inputs with the same coverage replaces the target's corpus.
An input that breaks a promise is written to crash-… in the current folder, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
CHECKOUT = FOLDER.parent.parent
sys.path[:0] = map(str, (FOLDER, FOLDER.parent, CHECKOUT, CHECKOUT / "plugin" / "atelier"))

import fuzz_corpus

TARGETS = sorted(file.stem for file in FOLDER.glob("*.py") if file.stem not in ("run", "test_fuzz"))
INSTRUMENTED = ["atelier_shared", "backend", "PIL", "pickle"]
LONGEST_BYTES = 4096
"""Of an input, unless the target has its own constant of this name."""
LONGEST_KEPT_BYTES = 1500


def main() -> int:
    """Fuzz the named targets, or all of them, and return the exit status."""
    parser = argparse.ArgumentParser(description="Fuzz the code that reads data from outside.")
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], metavar="TARGET")
    parser.add_argument("--inputs", type=int, required=True, help="number of inputs for all targets together")
    parser.add_argument("--seconds", type=int, default=0, help="time limit per target (0 = none)")
    parser.add_argument("--minimise", action="store_true", help="keep the smallest inputs of equal coverage")
    options = parser.parse_args()
    targets = options.targets or TARGETS
    share = max(1, options.inputs // len(targets))
    return max([fuzz(target, share, options.seconds, options.minimise) for target in targets])


def fuzz(target: str, inputs: int, seconds: int, minimise: bool) -> int:
    """Fuzz one target in another process and return its exit status: 0 if it kept its promises."""
    with tempfile.TemporaryDirectory() as folder:
        (words := Path(folder, "words")).write_text("".join(dictionary_of(target)), encoding="utf-8")
        (found := Path(folder, "found")).mkdir()
        (kept := Path(folder, "kept")).mkdir()
        fuzz_corpus.extract(target, kept)
        longest = getattr(importlib.import_module(target), "LONGEST_BYTES", LONGEST_BYTES)
        limits = [f"-runs={inputs}", f"-max_total_time={seconds}", f"-max_len={longest}"]
        options = [*limits, f"-dict={words}", "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1"]
        status, output = start(target, *options, str(found), str(kept))
        print(summary(target, output))
        if status:
            print(output[-4000:])
        elif minimise:
            keep_the_smallest(target, found, kept)
        return status


def summary(target: str, output: str) -> str:
    """Return a line with the number of inputs and their coverage, taken from libFuzzer's output."""
    done = re.search(r"number_of_executed_units: (\d+)", output)
    covered = re.findall(r"cov: (\d+)", output)
    inputs = int(done[1]) if done else 0
    return f"{target:16} {inputs:9} inputs, coverage {covered[-1] if covered else '?'}"


def keep_the_smallest(target: str, found: Path, kept: Path) -> None:
    """Replace a target's corpus by the smallest inputs with the same coverage."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["-set_cover_merge=1", f"-max_len={LONGEST_KEPT_BYTES}"]
        status, output = start(target, *options, folder, str(kept), str(found))
        if status:
            sys.exit(output[-4000:])
        smallest = [*Path(folder).iterdir(), *kept.glob(f"{fuzz_corpus.FOUND}*")]
        fuzz_corpus.write(target, {file.name: file.read_bytes() for file in smallest})


def start(target: str, *options: str) -> tuple[int, str]:
    """Run a target under libFuzzer and return its exit status and its output."""
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder, target)  # libFuzzer starts this file again to merge
        words = map(shlex.quote, [sys.executable, __file__, "--under-libfuzzer", target, str(again)])
        again.write_text(f'#!/bin/sh\nexec {" ".join(words)} "$@"\n', encoding="utf-8")
        again.chmod(0o700)
        command = [str(again), *options]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        return done.returncode, done.stdout + done.stderr


def dictionary_of(target: str) -> Iterator[str]:
    """Yield the lines of libFuzzer's dictionary: the words that occur in a target's inputs."""
    for number, word in enumerate(getattr(importlib.import_module(target), "WORDS", [])):
        escaped = "".join(f"\\x{byte:02x}" for byte in word)
        yield f'word{number}="{escaped}"\n'


def under_libfuzzer(target: str, command: list[str]) -> None:
    """Run one target in this process, with instrumented imports; does not return."""
    atheris = importlib.import_module("atheris")  # does not exist for every version of Python
    sys.modules.pop("pickle", None)  # imported again below
    with atheris.instrument_imports(include=INSTRUMENTED):
        module = importlib.import_module(target)
    atheris.Setup(command, module.one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--under-libfuzzer"]:
        under_libfuzzer(sys.argv[2], sys.argv[3:])
    sys.exit(main())
