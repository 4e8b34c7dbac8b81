"""The pictures and the tiling that a job gives to an algorithm, and an entry of the table in `dispatch`."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from torch import Tensor

from atelier_shared.request import PaintingRequest

from ..imaging.step import Step, Steps
from ..imaging.style_image import Style
from ..style.tile_loss import TileWorkers
from .picture_tensors import VisibleImage
from .predictions import Prediction

AnyRequest = TypeVar("AnyRequest", bound=PaintingRequest)


class Pictures(NamedTuple):
    """The pictures of a job as image tensors on its device.

    Attributes:
        content: (1, 3, H, W).
        visible: visibility of the content (1, 1, H, W) in [0, 1]; None for 1 everywhere.
        styles: the style pictures, or the guide picture of a dream.
        prediction: from the previous frame of an animation, if this one is to follow it.
    """

    content: Tensor
    visible: Tensor | None
    styles: list[Style]
    prediction: Prediction | None = None


class Tiling(NamedTuple):
    """The way in which large pictures are computed.

    Attributes:
        scale: factor for the side of tiles, in (0, 1].
        workers: compute the tiles of the fine method; None for this process.
    """

    scale: float = 1.0
    workers: TileWorkers | None = None


ALONE = Tiling()


def _unchanged(_: PaintingRequest, content: VisibleImage) -> VisibleImage:
    return content


@dataclass(frozen=True)
class Algorithm(Generic[AnyRequest]):
    """The algorithm for a class of requests.

    Attributes:
        steps: starts the algorithm, given the request, the pictures, the folder of models and the tiling.
        prepare: changes the content before the algorithm starts.
    """

    steps: Callable[[AnyRequest, Pictures, Path, Tiling], Steps]
    prepare: Callable[[AnyRequest, VisibleImage], VisibleImage] = _unchanged


def renumbered(steps: Steps, renumber: Callable[[Step], Step]) -> Generator[Step, bool | None, Step]:
    """Yield `steps` with other numbers, and return the last one."""
    finish_early = None
    while True:
        try:
            step = renumber(steps.send(finish_early))
        except StopIteration:
            return step
        finish_early = yield step
