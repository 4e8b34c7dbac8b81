"""Tiles, Gram matrices and gradients as the arrays of a message, and back."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from atelier_shared.messages import Arrays, Region

from ..imaging.tiles import Rectangle, Tile
from ..networks.tiled_features import TiledFeatures
from ..style.feature_targets import FeatureTargets
from ..style.losses import Count
from ..style.tile_loss import GramSum, StyleTargets, TileLoss

FLOAT = np.dtype("<f4")
IMAGE, VISIBLE, LOSS, GRADIENT = "image", "visible", "loss", "gradient"
GRAMS, SUMS, POSITIONS = "grams", "sums", "positions"
TARGET_GRAMS, STYLE_SCALES = "target grams", "style scales"
FEATURES, SCALES = ("content", "neighbours"), ("content scales", "neighbour scales")

Named = Mapping[str, Tensor]


def packed(tensors: Named) -> Arrays:
    """Copy tensors into the arrays of a message, in 32-bit floats."""
    values = [tensor.detach().cpu().numpy().astype(FLOAT, copy=False).ravel() for tensor in tensors.values()]
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    return Arrays(shapes, np.concatenate(values).data.cast("B") if values else b"")


def unpacked(arrays: Arrays, device: torch.device) -> dict[str, Tensor]:
    """Return the tensors in the arrays of a message on a device."""
    values = np.frombuffer(arrays.values, FLOAT).astype(np.float32)
    sizes = [int(np.prod(shape, dtype=np.int64)) for shape in arrays.shapes.values()]
    parts = torch.split(torch.from_numpy(values).to(device), sizes) if sizes else ()
    return {
        name: part.reshape(shape) for (name, shape), part in zip(arrays.shapes.items(), parts, strict=True)
    }


def named(group: str, by_layer: Mapping[str, Count]) -> dict[str, Tensor]:
    """Name the tensors of a group, by layer."""
    return {f"{group}/{layer}": torch.as_tensor(value) for layer, value in by_layer.items()}


def group(name: str, tensors: Named) -> dict[str, Tensor]:
    """Return the tensors of a group by layer."""
    return {key.partition("/")[2]: tensor for key, tensor in tensors.items() if key.startswith(f"{name}/")}


# ── Tiles ────────────────────────────────────────────────────────────────────────────────────────


def targets_of(tile: TileLoss) -> dict[str, Tensor]:
    """Return all that `tile_of` needs to restore a tile, except its place."""
    tensors = {} if tile.visible is None else {VISIBLE: tile.visible}
    for features, scales, targets in zip(FEATURES, SCALES, tile.compared, strict=True):
        tensors |= named(features, targets.features) | named(scales, targets.scales)
    tensors |= named(TARGET_GRAMS, tile.style.grams) | named(STYLE_SCALES, tile.style.scales)
    return tensors | named(POSITIONS, tile.style.positions)


def tile_of(tensors: Named, image: Tensor, region: Region, features: TiledFeatures) -> TileLoss:
    """Restore a tile from its targets, its image (1, 3, H, W), and its place without the halo in it."""
    inner = Rectangle(region.y, region.x, region.y + region.height, region.x + region.width)
    style = StyleTargets(
        group(TARGET_GRAMS, tensors), group(STYLE_SCALES, tensors), {**group(POSITIONS, tensors)}
    )
    compared = [
        FeatureTargets(group(names, tensors), group(scales, tensors))
        for names, scales in zip(FEATURES, SCALES, strict=True)
    ]
    outer = Rectangle(0, 0, image.shape[-2], image.shape[-1])
    return TileLoss(features, Tile(inner, outer), tensors.get(VISIBLE), compared, style)


def region_of(tile: TileLoss) -> Region:
    """Return the place of a tile without its halo in its image."""
    inner = tile.tile.inner
    return Region(inner.left, inner.top, inner.right - inner.left, inner.bottom - inner.top)


# ── Answers ──────────────────────────────────────────────────────────────────────────────────────


def sum_tensors(total: GramSum) -> dict[str, Tensor]:
    """Return the tensors from which `gram_sum_of` restores a Gram sum."""
    return named(SUMS, total.weighted_grams) | named(POSITIONS, total.positions)


def gram_sum_of(tensors: Named) -> GramSum:
    """Restore a Gram sum."""
    return GramSum(group(SUMS, tensors), {**group(POSITIONS, tensors)})
