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
"""An algorithm at work: `finish_early = yield Step(…)`.

After True was sent, an algorithm of many steps makes its last step from the image it has reached;
an algorithm of a single pass goes on.
"""
