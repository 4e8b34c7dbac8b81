"""A limit for what PyTorch keeps of its convolutions.

On the processor, PyTorch's convolutions come from oneDNN, which compiles a primitive (a kernel) for each
size of picture. Two caches keep 1024 of them: pictures of many sizes would make a worker grow by a hundred
megabytes.
"""

from __future__ import annotations

import os

VARIABLES = "ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"
"""The environment variables of oneDNN and of ideep, the layer between oneDNN and PyTorch."""
CAPACITY = "128"
"""More primitives than a step of any method needs, so that no step compiles them again."""


def limit() -> None:
    """Limit both caches, unless the user has; call this before the first convolution."""
    for variable in VARIABLES:
        os.environ.setdefault(variable, CAPACITY)
