"""A benchmark of the two 3×3 convolutions, Winograd's and torch's own, on this computer.

Processors differ: with wide vectors and torch kernels made for them, `winograd` is faster only for the
widest layers. The result is saved in a file. The two kernels round differently, and a request with the same
seed must give the same picture every time.

Other programs slow the two kernels differently. So a result is final once it was measured on a quiet
computer; until then each process measures once more, a few times, and the least disturbed result counts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch.nn.functional import conv2d

from atelier_shared.home import read_json_object, write_json_object

from . import winograd

MAX_PX = 128
"""Longest side of the measured image. The ratio of the times stays the same for larger ones."""
ROUNDS = 5
"""Alternating runs of each kernel. The minimum is robust against other load on the computer."""
QUIET_SHARE, MOST_MEASUREMENTS = 0.9, 8
MAX_TIME_RATIO = 0.8
"""Winograd is used only below this fraction of torch's time. Its filters are in the cache here but must be
loaded in a network; besides, it takes more memory and is less exact."""


class Measurement(NamedTuple):
    """A measurement of the two kernels.

    Attributes:
        ratio: the time of `winograd` ÷ torch's.
        share: the part of the processor's time that this process had meanwhile; 1 on a quiet computer.
        times: the number of measurements so far.
    """

    ratio: float
    share: float
    times: int = 1


NEVER = Measurement(math.inf, 0.0, 0)
_measured_here: set[tuple[Path, str]] = set()
"""What this process has measured; otherwise it could change its choice between two pictures."""


def winograd_is_faster(in_channels: int, out_channels: int, pixels: int, results_file: Path) -> bool:
    """Return whether `winograd` is faster for images of `in_channels` and about `pixels` pixels.

    If the result is missing or was measured on a busy computer, measure it and save it in `results_file`
    if possible.
    """
    side = min(MAX_PX, 2 ** int(math.log2(pixels) / 2))
    threads, results = torch.get_num_threads(), read_json_object(results_file)
    instructions = torch.backends.cpu.get_cpu_capability()
    computer = f"torch {torch.__version__}, {instructions}, {threads} threads"
    name = f"{computer}: {in_channels} to {out_channels}, {side} px"
    best = _read(results.get(name))
    is_final = best.share > QUIET_SHARE or best.times >= MOST_MEASUREMENTS
    if not is_final and (results_file, name) not in _measured_here:
        new = _measure(in_channels, out_channels, side)
        best = max(best, new, key=lambda each: each.share)._replace(times=best.times + 1)
        write_json_object(results_file, {**results, name: best})
        _measured_here.add((results_file, name))
    return best.ratio < MAX_TIME_RATIO


def _read(note: object) -> Measurement:
    """Return a measurement from the file; NEVER for anything else."""
    is_one = isinstance(note, list) and len(note) == 3 and all(type(each) in (int, float) for each in note)
    return Measurement(*note) if is_one else NEVER  # type: ignore[misc]


@torch.inference_mode()
def _measure(in_channels: int, out_channels: int, side: int) -> Measurement:
    image = torch.rand(1, in_channels, side, side).contiguous(memory_format=torch.channels_last)
    weight = torch.rand(out_channels, in_channels, 3, 3).contiguous(memory_format=torch.channels_last)
    filters = winograd.transform_weights(weight)
    kernels = partial(winograd.convolve, image, filters), partial(conv2d, image, weight, padding=1)
    for kernel in kernels:
        kernel()  # starts its threads
    started, processor_s = time.perf_counter(), time.process_time()
    rounds = [[_seconds(kernel) for kernel in kernels] for _ in range(ROUNDS)]
    elapsed = time.perf_counter() - started
    winograd_s, torch_s = map(min, zip(*rounds, strict=True))
    share = (time.process_time() - processor_s) / (elapsed * torch.get_num_threads())
    return Measurement(round(winograd_s / torch_s, 3), round(share, 3))


def _seconds(convolve: Callable[[], object]) -> float:
    started = time.perf_counter()
    convolve()
    return time.perf_counter() - started
