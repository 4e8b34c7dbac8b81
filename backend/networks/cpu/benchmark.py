"""A benchmark of the two 3×3 convolutions, Winograd's and torch's own, on this computer.

Processors differ: with wide vectors and torch kernels made for them, `winograd` is faster only for the
widest layers. The result is measured once per computer and saved in a file. The two kernels round
differently, and a request with the same seed must give the same picture every time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch.nn.functional import conv2d

from atelier_shared.home import read_json_object, write_json_object

from . import winograd

MAX_PX = 128
"""Longest side of the measured image. The ratio of the times stays the same for larger ones."""
ROUNDS = 5
"""Alternating runs of each kernel. The minimum is robust against other load on the computer."""
MAX_TIME_RATIO = 0.8
"""Winograd is used only below this fraction of torch's time. Its filters are in the cache here but must be
loaded in a network; besides, it takes more memory and is less exact."""


def winograd_is_faster(in_channels: int, out_channels: int, pixels: int, results_file: Path) -> bool:
    """Return whether `winograd` is faster for images of `in_channels` and about `pixels` pixels.

    A missing result is measured and written to `results_file`, if it can be written.
    """
    side = min(MAX_PX, 2 ** int(math.log2(pixels) / 2))
    threads, results = torch.get_num_threads(), read_json_object(results_file)
    name = f"torch {torch.__version__}, {threads} threads: {in_channels} to {out_channels}, {side} px"
    if name not in results:
        results[name] = _measure(in_channels, out_channels, side)
        write_json_object(results_file, results)
    return results[name] is True


@torch.inference_mode()
def _measure(in_channels: int, out_channels: int, side: int) -> bool:
    image = torch.rand(1, in_channels, side, side).contiguous(memory_format=torch.channels_last)
    weight = torch.rand(out_channels, in_channels, 3, 3).contiguous(memory_format=torch.channels_last)
    filters = winograd.transform_weights(weight)
    kernels = partial(winograd.convolve, image, filters), partial(conv2d, image, weight, padding=1)
    rounds = [[_seconds(kernel) for kernel in kernels] for _ in range(ROUNDS)]
    winograd_s, torch_s = map(min, zip(*rounds, strict=True))
    return bool(winograd_s < MAX_TIME_RATIO * torch_s)


def _seconds(convolve: Callable[[], object]) -> float:
    started = time.perf_counter()
    convolve()
    return time.perf_counter() - started
