"""Predictions from the previous frame of an animation, as tensors. Only they load OpenCV."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atelier_shared.deferred_translation import N_
from atelier_shared.errors import Wrong
from atelier_shared.home import install_command
from atelier_shared.messages import Region

from .picture_arrays import inside
from .picture_tensors import VisibleImage

NO_OPENCV = N_("Animations need the package opencv-python-headless. Run '{install}'.")


class Prediction(NamedTuple):
    """The frame predicted from the previous one of an animation; tensors of the content's size.

    Attributes:
        result: the previous result, moved along the motion, (1, 3, H, W) in [0, 1].
        content: the previous content, moved along the motion, (1, 3, H, W).
        reliability: (1, 1, H, W) in [0, 1].
        share: the reliability for blends, less where the picture moves, (1, 1, H, W).
        region: 1 inside the filtered region, 0 elsewhere, (1, 1, H, W).
        change: the previous result minus its content, not moved, (1, 3, H, W).
    """

    result: Tensor
    content: Tensor
    reliability: Tensor
    share: Tensor
    region: Tensor
    change: Tensor


def require_opencv() -> None:
    """Raise a ValueError that names the remedy if OpenCV is not installed."""
    try:
        from ..animation import motion  # noqa: F401
    except ImportError as error:
        raise Wrong(NO_OPENCV, install=install_command("--video")) from error


def predict(content: Tensor, previous: Tensor, result: VisibleImage, region: Region) -> Prediction | None:
    """Predict a frame from the one before; None if a new scene begins with it.

    Args:
        content: the frame (1, 3, H, W).
        previous: the content of the frame before (1, 3, H, W).
        result: its result, of the region's size.
        region: the filtered region.

    Raises:
        ValueError: OpenCV is not installed.
    """
    require_opencv()
    from ..animation import coherence

    before = as_array(previous)
    after, known = before.copy(), np.zeros(before.shape[:2], np.float32)
    after[inside(region)], known[inside(region)] = as_array(result.image), 1
    moved = coherence.predict(as_array(content), before, after, known)
    if moved is None:
        return None
    arrays = (*moved, known, after - before)
    return Prediction(*(_as_tensor(array, content) for array in arrays))


def blend(image: Tensor, prediction: Prediction, share: float) -> Tensor:
    """Blend an image (1, 3, H, W) with its prediction; see `coherence.blend`."""
    from ..animation import coherence

    own, shares = as_array(image), share * as_array(prediction.share)
    predicted = coherence.closer_in_colour(as_array(prediction.result), own, shares)
    return _as_tensor(coherence.blend(own, predicted, shares), image)


def as_array(image: Tensor) -> NDArray[np.float32]:
    """Return an image (1, C, H, W) as an array (H, W, C), or (H, W) for one channel."""
    array: NDArray[np.float32] = image[0].permute(1, 2, 0).contiguous().cpu().numpy()
    return array if image.shape[1] > 1 else array[..., 0]


def _as_tensor(array: NDArray[np.float32], like: Tensor) -> Tensor:
    """Return an array (H, W, C) or (H, W) as a tensor (1, C, H, W) on the device of `like`."""
    planes = np.moveaxis(array if array.ndim == 3 else array[..., None], -1, 0)
    return torch.from_numpy(np.ascontiguousarray(planes))[None].to(like.device)
