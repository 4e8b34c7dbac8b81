"""An installation of Atelier that a test case uses in place of its usual one. GIMP's Python imports it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def installation(folder: str) -> Iterator[str]:
    """Use an installation during the block; yield the folder of the usual one."""
    own = os.environ["ATELIER_HOME"]
    os.environ["ATELIER_HOME"] = folder
    try:
        yield own
    finally:
        os.environ["ATELIER_HOME"] = own


@contextmanager
def real_filters() -> Iterator[None]:
    """Use the installation with the real filters during the block; the usual one has `echo_filter`."""
    with installation(os.environ["REAL_HOME"]):
        yield
