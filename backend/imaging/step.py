"""What an algorithm yields: one step of its work. Knows nothing of who asked for it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Step:
    """Step `index` of `total`, counted from 1; the last one's image is the result.

    `image` is an image tensor, detached, at the size the algorithm has reached.
    """

    index: int
    total: int
    image: Tensor


Steps = Generator[Step, bool | None, None]
"""An algorithm at work. To send True says that the step was enough, and so is all that follows.

An algorithm of many steps then makes its last one, whole, of what it has; one of a single pass goes on.
"""
