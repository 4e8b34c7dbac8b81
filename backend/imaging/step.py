"""Steps: the results that a running algorithm yields."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Step:
    """Step `index` of `total`, counted from 1; the image of the last step is the result.

    `image` is an image tensor (1, 3, H, W), detached, at the algorithm's current size. Until a part of it
    `is_painted`, it is the content.
    """

    index: int
    total: int
    image: Tensor
    is_painted: bool = True


Steps = Generator[Step, bool | None, None]
"""A running algorithm: `finish_early = yield Step(…)`. To cancel it, close the generator.

After True was sent, an algorithm of many steps yields its last step, made from its current image. An
algorithm of a single pass continues.
"""
