"""Mean and variance of each tile of a feature map, and of the whole."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LEAST_WEIGHT = 1e-5
"""Keeps the moments of a hidden tile from being divided by 0."""


@dataclass(frozen=True)
class Moments:
    """Mean and variance of each tile of a layer's output; `of_picture` combines them.

    They are three views of one tensor. Small tensors, allocated tile by tile between large ones, would
    keep the memory of freed large tensors from being reused.

    Attributes:
        weight: sum of the visibility, (tiles, 1).
        mean: mean of each channel, (tiles, C).
        variance: variance of each channel, (tiles, C).
    """

    weight: Tensor
    mean: Tensor
    variance: Tensor

    @classmethod
    def allocate(cls, tiles: int, channels: int, like: Tensor) -> Moments:
        """Allocate the moments, with the type and the device of `like`."""
        memory = like.new_empty(tiles, 1 + 2 * channels)
        return cls(*torch.split(memory, [1, channels, channels], dim=1))

    def measure(self, tile: int, features: Tensor, visible: Tensor | None) -> None:
        """Measure the features (1, C, h, w) of the tile with this number.

        `visible` is the weight of each position, (1, 1, h, w) in [0, 1]; None for 1 everywhere.
        """
        if visible is None:
            self.weight[tile] = features[0, 0].numel()
            self.mean[tile], self.variance[tile] = mean_and_variance(features)
            return
        values, visibility = features.permute(0, 2, 3, 1).flatten(0, 2), visible.flatten()  # (h*w, C), (h*w,)
        self.weight[tile] = visibility.sum()
        shares = visibility / self.weight[tile].clamp(min=LEAST_WEIGHT)
        self.mean[tile] = shares @ values
        self.variance[tile] = shares @ (values - self.mean[tile]).square_()

    def of_picture(self) -> tuple[Tensor, Tensor]:
        """Compute the mean and variance of the whole picture, (C,) each, by the law of total variance."""
        shares = self.weight / self.weight.sum()
        mean = (shares * self.mean).sum(dim=0)
        return mean, (shares * (self.variance + (self.mean - mean).square())).sum(dim=0)


def mean_and_variance(features: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the mean and the variance of each channel of features (1, C, h, w), (C,) each."""
    if features.device.type == "cpu":  # faster than var_mean there, but MPS has no kernel for it
        mean, variance = torch.batch_norm_update_stats(features, None, None, 0.0)
    else:
        variance, mean = torch.var_mean(features, dim=(0, 2, 3), correction=0)
    return mean, variance
