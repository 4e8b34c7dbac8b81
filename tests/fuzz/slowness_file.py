"""The file of slowness: any content gives a finite estimate of a job's duration, or none."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

from atelier_shared.estimate import estimate, in_words, read_slowness
from atelier_shared.home import SLOWNESS_FILE
from atelier_shared.style_transfer import StyleTransfer

HOME = Path(tempfile.mkdtemp(prefix="atelier-fuzz-"))
REQUEST = StyleTransfer()
WORDS = [
    f'"{REQUEST.kind_of_job("auto")} 1e2"'.encode(),
    b"[1, 2]",
    b"1e17",
    b"1e-300",
    b"NaN",
    b"Infinity",
    b"{",
    b"}",
]


def one_input(data: bytes) -> None:
    (HOME / SLOWNESS_FILE).write_bytes(data)
    seconds = estimate(REQUEST, 4000, 3000, read_slowness(HOME))
    assert seconds is None or 0 <= seconds < math.inf
    sentence, count = in_words(seconds)
    assert sentence and count >= 0
