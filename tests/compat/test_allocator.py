"""Memory is kept from step to step for small pictures, and returned."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
TAKE_AND_FREE = """
import resource, sys
import torch
from backend.compat import allocator

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

def faults(times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        torch.empty(25_000_000).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

torch.set_num_threads(1)
allocator.keep_for(int(sys.argv[1]))
faults(40)
print(faults(5), resident())
allocator.give_back()
print(resident())
"""
TAKEN_BYTES = 100_000_000


def taken_and_freed(pixels: int) -> tuple[int, int, int]:
    """Return the number of new pages, and the process's memory before and after `give_back`."""
    command = [sys.executable, "-c", TAKE_AND_FREE, str(pixels)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    faults, within, after = map(int, done.stdout.split())
    return faults, within, after


@pytest.mark.slow
def test_memory_is_kept_for_a_small_picture_and_then_returned() -> None:
    faults, within, after = taken_and_freed(512 * 512)
    assert faults < 1000
    assert within - after > 0.9 * TAKEN_BYTES


@pytest.mark.slow
def test_memory_is_not_kept_for_a_large_picture() -> None:
    faults, within, after = taken_and_freed(24_000_000)
    assert faults > 5 * 1000
    assert within - after < 0.1 * TAKEN_BYTES
