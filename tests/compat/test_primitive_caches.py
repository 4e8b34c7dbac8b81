"""PyTorch's convolutions of many sizes take a limited amount of memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend.compat import primitive_caches
from backend.compat.primitive_caches import CAPACITY, VARIABLES

CHECKOUT = Path(__file__).parents[2]
CONVOLVE_MANY_SIZES = """
import resource, sys
from backend.compat import allocator, primitive_caches
allocator.share_one_arena()
if sys.argv[1] == "limited":
    primitive_caches.limit()
import torch

def resident():
    allocator.give_back()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

def convolve(sizes):
    for size in sizes:
        torch.nn.functional.conv2d(torch.zeros(1, 16, size, 16), weight, padding=1)

torch.set_num_threads(1)
weight = torch.zeros(16, 16, 3, 3)
convolve(range(16, 16 + 150))
before = resident()
convolve(range(200, 200 + 400))
print(resident() - before)
"""


def growth(caches: str) -> int:
    """Return the bytes by which a process grows from its 151st to its 550th size of picture."""
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    command = [sys.executable, "-c", CONVOLVE_MANY_SIZES, caches]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.slow
def test_the_memory_of_many_sizes_is_limited() -> None:
    unlimited = growth("unlimited")
    assert unlimited > 4e6, "PyTorch keeps no primitives: is the limit still necessary?"
    assert growth("limited") < unlimited / 5


def test_a_limit_of_the_user_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = VARIABLES
    monkeypatch.setenv(first, "7")
    monkeypatch.setenv(second, "")
    monkeypatch.delenv(second)
    primitive_caches.limit()
    assert (os.environ[first], os.environ[second]) == ("7", CAPACITY)
