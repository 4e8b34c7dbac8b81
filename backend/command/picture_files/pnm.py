"""PNM files of 16 bits: a header, then numbers of two bytes, the higher one first.

Pillow reduces them to 8 bits, and OpenImageIO 3.2 writes the lower byte first.

Source: ppm(5) and pgm(5) of Netpbm
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEADER = re.compile(rb"P([56])\s+(?:#[^\n]*\n\s*)*(\d+)\s+(\d+)\s+65535\s")
HEADER_BYTES = 4096
MAGIC = {1: "P5", 3: "P6"}


def size_of(path: Path) -> tuple[int, int] | None:
    """Return width and height of a file of 16 bits; None for other files."""
    with path.open("rb") as file:
        header = HEADER.match(file.read(HEADER_BYTES))
    return (int(header[2]), int(header[3])) if header else None


def read(path: Path) -> NDArray[Any]:
    """Read a file of 16 bits into an array (H, W, channels).

    Raises:
        ValueError: it is too short.
    """
    content = path.read_bytes()
    header = HEADER.match(content)
    assert header, "size_of() has found a header"
    width, height, channels = int(header[2]), int(header[3]), 1 if header[1] == b"5" else 3
    values = np.frombuffer(content, ">u2", width * height * channels, header.end())
    return values.astype(np.uint16).reshape(height, width, channels)


def write(path: Path, values: NDArray[Any]) -> None:
    """Write an array (H, W, 1 or 3) of 16 bits."""
    height, width, channels = values.shape
    path.write_bytes(
        f"{MAGIC[channels]}\n{width} {height}\n65535\n".encode() + values.astype(">u2").tobytes()
    )
