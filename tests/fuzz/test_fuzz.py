"""Replays of the inputs that fuzzing has kept, and a short run of the fuzzer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import fuzz_corpus
import pytest

FOLDER = Path(__file__).parent
TARGETS = sorted(file.stem for file in FOLDER.glob("*.py") if file.stem not in ("run", "test_fuzz"))
KEPT_BYTES = 300_000
REPLAY = """
import importlib, sys
sys.path[:0] = sys.argv[2:]
import fuzz_corpus
target = importlib.import_module(sys.argv[1])
for name, data in fuzz_corpus.read(sys.argv[1]).items():
    print(name, flush=True)
    target.one_input(data)
"""


def run_in(folder: Path, command: list[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run a command whose temporary files are in `folder`, because some targets leave theirs behind."""
    environment = os.environ | {"TMPDIR": str(folder)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout_s)


def test_every_target_has_a_small_corpus() -> None:
    archives = sorted((FOLDER / "corpus").iterdir())
    assert archives == [fuzz_corpus.archive(target) for target in TARGETS]
    assert sum(archive.stat().st_size for archive in archives) < KEPT_BYTES


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_keeps_its_promises_on_its_corpus(target: str, tmp_path: Path) -> None:
    """Each target runs in a process of its own, because it may set variables and start threads."""
    command = [sys.executable, "-c", REPLAY, target, str(FOLDER), str(FOLDER.parent)]
    done = run_in(tmp_path, command, timeout_s=300)
    assert done.returncode == 0, done.stdout[-100:] + done.stderr[-3000:]
    assert done.stdout.splitlines() == list(fuzz_corpus.read(target))
    assert len(fuzz_corpus.read(target)) > 1


def test_the_corpus_is_written_the_same_every_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    inputs, before = fuzz_corpus.read("pictures"), fuzz_corpus.archive("pictures").read_bytes()
    monkeypatch.setattr(fuzz_corpus, "FOLDER", tmp_path)
    fuzz_corpus.write("pictures", dict(reversed(inputs.items())))
    assert fuzz_corpus.archive("pictures").read_bytes() == before


@pytest.mark.slow
def test_the_command_runs_every_target_and_prints_its_coverage(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "run.py"), "--inputs", str(300 * len(TARGETS))]
    done = run_in(tmp_path, command, timeout_s=500)
    assert done.returncode == 0, done.stdout[-3000:]
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == TARGETS
    assert all(int(line[1]) >= 300 and int(line[-1]) > 0 for line in lines), done.stdout
