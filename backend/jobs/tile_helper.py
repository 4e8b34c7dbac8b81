"""A worker's help with the tiles of another worker's job; the other side is `shared_tiles`."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import torch
from torch import Tensor

from atelier_shared.errors import ProtocolError
from atelier_shared.messages import Help, TileAnswer, TileTask
from atelier_shared.style_transfer import StyleTransfer

from ..compat import devices
from ..networks.tiled_features import TiledFeatures
from ..style.tile_loss import TensorsByLayer, TileLoss
from .filters import fine
from .shared_tiles import Peers
from .tile_arrays import (
    GRADIENT,
    GRAMS,
    IMAGE,
    LOSS,
    SUMS,
    TARGET_GRAMS,
    group,
    packed,
    sum_tensors,
    tile_of,
    unpacked,
)


def run(begin: Help, peers: Peers, models: Path) -> Generator[TileAnswer, bool | None, None]:
    """Yield the answer to each task, until JobCancelled.

    Raises:
        ValueError: the request has no tiles to share, or does not suit the network.
        MissingWeights: the weights of the network are not in `models`.
        MemoryError: a tile does not fit into the device's memory.
    """
    if not isinstance(begin.request, StyleTransfer):
        raise ValueError(f"The tiles of {begin.request.name} are not shared.")
    device = devices.choose(begin.request.device)
    helper = TileHelper(fine.tile_features(begin.request, models, device), device)
    while True:
        task = peers.receive(wait=True)
        if isinstance(task, TileTask):
            try:
                answer = helper.compute(task)
            except RuntimeError as error:
                if not devices.is_out_of_memory(error):
                    raise
                raise MemoryError(str(error)) from error
            yield TileAnswer(begin.job, task.task, packed(answer))


class TileHelper:
    """Computes tasks. Tiles, images and Gram matrices are kept until others with the same numbers arrive."""

    def __init__(self, features: TiledFeatures, device: torch.device) -> None:
        self._features, self._device = features, device
        self._tiles: dict[int, TileLoss] = {}
        self._images: dict[int, Tensor] = {}
        self._grams: TensorsByLayer = {}

    def compute(self, task: TileTask) -> dict[str, Tensor]:
        """Compute a task, and return the tensors of its answer.

        Raises:
            ProtocolError: the part is unknown, or its tile or image is missing.
        """
        self._keep(task)
        if task.tile not in self._tiles or task.part not in (SUMS, GRADIENT):
            raise ProtocolError(f"Received a task {task.part!r} of an unknown tile or part.")
        tile, image = self._tiles[task.tile], self._images[task.tile]
        if task.part == SUMS:
            return sum_tensors(tile.gram_sum(image))
        loss, gradient = tile.result(image, self._grams)
        return {LOSS: torch.as_tensor(loss), GRADIENT: gradient}

    def _keep(self, task: TileTask) -> None:
        tensors = unpacked(task.arrays, self._device)
        self._grams = group(GRAMS, tensors) or self._grams
        if IMAGE in tensors:
            self._images[task.tile] = tensors[IMAGE]
        if group(TARGET_GRAMS, tensors):
            self._tiles[task.tile] = tile_of(tensors, tensors[IMAGE], task.region, self._features)
