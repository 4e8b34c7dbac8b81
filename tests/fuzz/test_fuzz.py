"""What fuzzing has learnt, replayed; and that fuzzing itself runs, guided by coverage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
TARGETS = sorted(file.stem for file in FOLDER.glob("*.py") if file.stem not in ("run", "test_fuzz"))
KEPT_BYTES = 300_000


def test_every_target_has_a_corpus_and_all_of_them_are_small() -> None:
    assert [folder.name for folder in sorted((FOLDER / "corpus").iterdir())] == TARGETS
    assert sum(file.stat().st_size for file in (FOLDER / "corpus").rglob("*")) < KEPT_BYTES


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_keeps_its_promises_on_all_that_was_learnt(target: str) -> None:
    """In a process of its own, as it would be fuzzed: a target may set variables and start threads."""
    replay = f"import sys, pathlib; sys.path[:0] = [{str(FOLDER)!r}, {str(FOLDER.parent)!r}]\n"
    replay += f"import {target} as t\n"
    replay += f"for file in pathlib.Path({str(FOLDER / 'corpus' / target)!r}).iterdir():\n"
    replay += "    print(file.name, flush=True); t.one_input(file.read_bytes())\n"
    done = subprocess.run([sys.executable, "-c", replay], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-100:] + done.stderr[-3000:]
    assert len(done.stdout.splitlines()) == len(list((FOLDER / "corpus" / target).iterdir())) > 1


def test_the_command_runs_every_target_and_counts() -> None:
    command = [sys.executable, str(FOLDER / "run.py"), "--inputs", str(300 * len(TARGETS))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout[-3000:]
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == TARGETS
    assert all(int(line[1]) >= 300 and int(line[-1]) > 0 for line in lines), done.stdout
