"""Matching of features: for each position of a picture, the most similar feature of another picture."""

from __future__ import annotations

import torch
from torch import Tensor

from .tiled_features import Piece

MAX_DOT_PRODUCTS = 2**24
"""Dot products computed at a time, 64 MiB. Those of all positions of two pictures do not fit."""


def visible_columns(piece: Piece) -> Tensor:
    """Return the features at positions at least half as visible as the most visible one, (C, n).

    Positions of visibility 0 are never among them.
    """
    columns = piece.features.flatten(start_dim=2)[0]  # (C, h*w)
    if piece.visible is None:
        return columns
    visible = piece.visible.flatten()
    return columns[:, (visible > 0) & (visible >= visible.max() / 2)]


def best_matches(features: Tensor, candidates: Tensor, directions: Tensor | None = None) -> Tensor:
    """Return for every position of `features` the candidate with the largest dot product.

    Args:
        features: (1, C, h, w).
        candidates: (D, n); the result is (1, D, h, w).
        directions: (C, n), a vector for each candidate that takes its place in the dot products; None for
            the candidates themselves.
    """
    compared = candidates if directions is None else directions
    columns = features.detach().flatten(start_dim=2)[0]  # (C, h*w)
    columns_at_a_time = max(1, MAX_DOT_PRODUCTS // candidates.shape[1])
    best = [(part.T @ compared).argmax(dim=1) for part in torch.split(columns, columns_at_a_time, dim=1)]
    return candidates[:, torch.cat(best)].view(1, -1, *features.shape[2:])  # (D, h*w) to (1, D, h, w)
