"""Waiting policy of the threads of PyTorch's operators: sleep.

OpenMP's threads spin by default, which saves the microseconds of waking up. If other programs keep the
processors busy, the spinning threads take processor time from the thread that they wait for.
"""

from __future__ import annotations

import os

VARIABLE = "OMP_WAIT_POLICY"
"""Read by OpenMP's library when it is loaded: OpenMP 5.2, 21.2.7."""


def sleep() -> None:
    """Let waiting threads sleep, unless the user has chosen; call this before PyTorch is imported."""
    os.environ.setdefault(VARIABLE, "passive")
