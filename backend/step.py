"""What an algorithm yields: one step of its work. Knows nothing of who asked for it."""

from __future__ import annotations

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
