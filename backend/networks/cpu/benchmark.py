"""Whether Winograd's convolution or torch's own is the faster one here, for so many channels and pixels.

Processors differ: where vectors are wide and torch's kernels made for them, only the widest layers gain.
It is measured once for a computer and remembered in a file, for another kernel rounds otherwise,
and the same picture is to give the same result every time.

Knows two kernels; neither networks nor pictures.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch.nn.functional import conv2d

from . import winograd

NOTES = "kernels.json"
MOST_BYTES = 64 * 1024
MOST_PX = 128
"""Longest side of an image that is convolved to measure; for a larger one the ratio is the same."""
ROUNDS = 5
"""In turns; the shortest of each counts, whatever else the computer is at."""
GAIN = 0.8
"""The part of torch's time that makes it worth while: in a network the filters are not in the cache as here,
and it takes more memory and is less exact."""


def winograd_pays(channels: int, filters: int, pixels: int, notes: Path) -> bool:
    """Whether `winograd` is faster for images of `channels`, `filters` and about so many pixels.

    What is not in the file `notes` is measured and noted; one that cannot be written is no harm.
    """
    side = min(MOST_PX, 2 ** int(math.log2(pixels) / 2))
    threads, known = torch.get_num_threads(), _read(notes)
    name = f"torch {torch.__version__}, {threads} threads: {channels} to {filters}, {side} px"
    if name not in known:
        known[name] = _measured(channels, filters, side)
        _write(notes, known)
    return known[name]


@torch.inference_mode()
def _measured(channels: int, filters: int, side: int) -> bool:
    image = torch.rand(1, channels, side, side).contiguous(memory_format=torch.channels_last)
    weight = torch.rand(filters, channels, 3, 3).contiguous(memory_format=torch.channels_last)
    transformed = winograd.transformed(weight)
    ways = partial(winograd.convolve, image, transformed), partial(conv2d, image, weight, padding=1)
    rounds = [[_seconds(way) for way in ways] for _ in range(ROUNDS)]
    ours, torchs = map(min, zip(*rounds, strict=True))
    return bool(ours < GAIN * torchs)


def _seconds(convolve: Callable[[], object]) -> float:
    started = time.perf_counter()
    convolve()
    return time.perf_counter() - started


def _read(notes: Path) -> dict[str, bool]:
    """What was noted; nothing where that cannot be understood."""
    try:
        content = notes.read_bytes()
        known = json.loads(content) if len(content) <= MOST_BYTES else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return {name: value is True for name, value in known.items()} if isinstance(known, dict) else {}


def _write(notes: Path, known: dict[str, bool]) -> None:
    draft = notes.with_name(f".{notes.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        draft.write_text(json.dumps(known, indent=1), encoding="utf-8")
        draft.replace(notes)
