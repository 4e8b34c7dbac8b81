"""One small picture, painted in this process without a backend."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from atelier_shared.request import PaintingRequest

from ..jobs import dispatch
from ..jobs.algorithm import Pictures


def painted(content: Image.Image, request: PaintingRequest, models: Path) -> Image.Image:
    """Return the result of a request for a small RGB picture.

    One thread computes it. On a busy computer several take minutes, because they wait for each other.

    Raises:
        MissingWeights: the weights of a network are not in `models`.
    """
    torch.set_num_threads(1)
    for step in dispatch.steps(request, Pictures(_tensor(content), None, []), models):
        image = step.image
    pixels = (image[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)  # (H, W, 3)
    return Image.fromarray(pixels.numpy())


def _tensor(picture: Image.Image) -> Tensor:
    """Return a picture as an image tensor, (1, 3, H, W)."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 255
