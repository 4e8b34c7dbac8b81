"""Standard input and output, pipes and devices in the place of files."""

from __future__ import annotations

import contextlib
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

STANDARD_STREAM = Path("-")
"""The name for standard input and output."""


def is_stream(path: Path) -> bool:
    """Return whether a path is standard input or output, a pipe or a device."""
    if path == STANDARD_STREAM:
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def opened_stream(path: Path) -> contextlib.AbstractContextManager[BinaryIO]:
    """Open a stream for writing; standard output stays open afterwards."""
    return contextlib.nullcontext(sys.stdout.buffer) if path == STANDARD_STREAM else path.open("wb")


@contextlib.contextmanager
def seekable(path: Path) -> Iterator[Path]:
    """Yield a file that can be read several times: the file itself, or a copy of a stream."""
    if not is_stream(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="atelier-") as folder:
        copy = Path(folder, "picture")
        source = contextlib.nullcontext(sys.stdin.buffer) if path == STANDARD_STREAM else path.open("rb")
        with source as stream, copy.open("wb") as file:
            shutil.copyfileobj(stream, file)
        yield copy
