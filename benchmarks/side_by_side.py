"""Comparison of two ways to compute the same gradient, each in its own process, evaluated alternately.

A benchmark calls `compare`, which starts two processes: the same script with `--one`, which calls `answer`.
The processor time is printed beside the elapsed time, because it depends less on other load.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from backend.compat import waiting_threads


class Took(NamedTuple):
    """Cost of one evaluation: elapsed time, processor time of all cores, peak memory of the process."""

    seconds: float
    processor_seconds: float
    peak_gb: float


def parser_of(description: str) -> argparse.ArgumentParser:
    """Return a parser for the options that these scripts share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--models", type=Path, default=Path.home() / ".atelier" / "models")
    parser.add_argument("--sizes", type=int, nargs="*", default=[512, 1024])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    return parser


def install_peers(folder: Path, *packages: str) -> None:
    """Install packages, without their dependencies, for the processes started from now on."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    subprocess.run([*pip, "--no-deps", "--target", folder, *packages], check=True)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])


def answer(evaluate: Callable[[], Tensor]) -> None:
    """Evaluate once per line of input; save the gradient in the file named there, if any; print the cost."""
    for line in sys.stdin:
        started, worked = time.perf_counter(), time.process_time()
        gradient = evaluate().cpu()  # waits for the device
        took = time.perf_counter() - started, time.process_time() - worked
        if file := line.strip():
            torch.save(gradient, file)
        print(*took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, flush=True)


class Evaluator:
    """A process that evaluates one way, "ours" or another; as a context it evaluates once to warm up.

    In "ours", waiting threads sleep, as in Atelier's worker process.
    """

    def __init__(
        self, script: str, way: str, size: int, models: Path, threads: int, device: str = "cpu"
    ) -> None:
        command = [sys.executable, script, "--one", way, str(size), "--models", str(models)]
        sleeping = {waiting_threads.VARIABLE: "passive"} if way == "ours" else {}
        self.process = subprocess.Popen(
            [*command, "--threads", str(threads), "--device", device],
            env=os.environ | sleeping,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def evaluate(self, file: str = "") -> Took:
        """Evaluate once; save the gradient as `file`, if given."""
        assert self.process.stdin and self.process.stdout
        print(file, file=self.process.stdin, flush=True)
        return Took(*map(float, self.process.stdout.readline().split()))

    def __enter__(self) -> Evaluator:
        self.evaluate()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()


def compare(script: str, size: int, options: argparse.Namespace, peer: str = "stock") -> None:
    """Evaluate both ways alternately and print the medians."""
    shared = size, options.models, options.threads, options.device
    with Evaluator(script, peer, *shared) as theirs, Evaluator(script, "ours", *shared) as ours:
        pairs = [(theirs.evaluate(), ours.evaluate()) for _ in range(options.rounds)]
    for name, column in zip((peer, "ours"), zip(*pairs, strict=True), strict=True):
        clock, cores, peak = (statistics.median(values) for values in zip(*column, strict=True))
        took = f"{clock:7.3f} s by the clock {cores:7.3f} s of the cores {peak:5.2f} GB"
        print(f"{size} px {name:{len(peer)}} {took}")
    clock, cores = (statistics.median(ours[i] / theirs[i] for theirs, ours in pairs) for i in (0, 1))
    print(f"{size} px {'ratio':{len(peer)}} {clock:7.2f}                {cores:7.2f}")


def compare_errors(
    script: str,
    size: int,
    options: argparse.Namespace,
    *,
    at_most: float,
    ways: Sequence[str] = ("stock", "ours"),
) -> None:
    """Print the relative errors of gradients; the reference is the stock way in float64."""
    shared = size, options.models, options.threads, options.device
    with tempfile.TemporaryDirectory() as folder:
        found = {}
        for way in ("float64", *ways):
            with Evaluator(script, way, *shared) as evaluator:
                evaluator.evaluate(f"{folder}/{way}")
            found[way] = torch.load(f"{folder}/{way}", weights_only=True).double()
    for way in ways:
        error = (found[way] - found["float64"]).norm() / found["float64"].norm()
        print(f"{size} px error of the gradient, {way:13} {error:.1e} (wanted: at most {at_most:.0e})")
