"""The table of algorithms: the algorithm for each class of requests. A new filter takes one row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from atelier_shared.deepdream import DeepDream
from atelier_shared.request import PaintingRequest
from atelier_shared.sizes import fit
from atelier_shared.style_transfer import StyleTransfer
from atelier_shared.visualise import Visualise

from ..compat import allocator
from ..imaging.resize import size_of
from ..imaging.step import Steps
from .algorithm import ALONE, Algorithm, Pictures, Tiling
from .filters import deepdream, style_transfer, visualise
from .picture_tensors import VisibleImage

ALGORITHMS: Mapping[type[PaintingRequest], Algorithm[Any]] = {
    StyleTransfer: Algorithm(style_transfer.stylize),
    DeepDream: Algorithm(deepdream.dream, prepare=deepdream.start),
    Visualise: Algorithm(visualise.steps, prepare=visualise.blank),
}


def prepare(request: PaintingRequest, content: VisibleImage) -> VisibleImage:
    """Return the content from which the algorithm of `request` starts."""
    return _algorithm_of(request).prepare(request, content)


def steps(request: PaintingRequest, pictures: Pictures, models: Path, tiling: Tiling = ALONE) -> Steps:
    """Yield the steps of the algorithm of `request`; closing the generator ends the work.

    Raises:
        ValueError: the request does not suit the network or the pictures.
        MissingWeights: the weights of a network are not in `models`.
    """
    allocator.keep_for(math.prod(fit(size_of(pictures.content), request.working_px)))
    yield from _algorithm_of(request).steps(request, pictures, models, tiling)


def _algorithm_of(request: PaintingRequest) -> Algorithm[Any]:
    try:
        return ALGORITHMS[type(request)]
    except KeyError:
        raise ValueError(f"This backend has no filter for {type(request).__name__}.") from None
