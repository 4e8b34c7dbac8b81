"""Coherent results of an animation: the previous result, moved along, predicts the next one.

`blend` serves the methods of one pass: it needs only frames and results, and works for any method. Plain
blending blurs a little at every frame, so the detail of the frame's own result is restored after each.

Sources:
    Ruder, Dosovitskiy and Brox 2016, *Artistic Style Transfer for Videos*, GCPR (warped results)
    Lai et al. 2018, *Learning Blind Video Temporal Consistency*, ECCV (weights from the frames' difference)
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from .motion import Array, motion_between, warp

TOLERANCE = 0.06
"""Mean difference between a frame and the warped previous one at which the reliability is 1/e."""
MOVING = 0.9
"""Factor for the prediction's share where the motion is a pixel or more, because each warp interpolates, and
the errors add up."""
MOST_KEPT = 0.95
"""Largest share of the prediction in a blend; errors of the motion fade away in some twenty frames."""
COLOUR_RATE = 0.25
"""Share of the difference in mean colour taken back at each frame. Otherwise the colours lag behind."""
DETAIL_SIGMA, POWER_SIGMA = 1.5, 8.0
"""Deviations, in pixels, of the filters that separate the detail and average its power."""
LARGEST_ADDITION = 0.5
"""Most of the own result's detail that is added where the blend has lost power. Amplifying the blend's own
detail instead makes grain of the errors of warping."""
LEAST_POWER = 1e-8


class MovedFrame(NamedTuple):
    """The previous frame of an animation, moved along the motion to the next one.

    Attributes:
        result: the previous result (H, W, 3) in [0, 1].
        content: the previous content (H, W, 3) in [0, 1].
        reliability: (H, W) in [0, 1]; 0 where the motion is unknown or brings other colours.
        share: (H, W), the reliability for blends, less where the picture moves.
    """

    result: Array
    content: Array
    reliability: Array
    share: Array


def predict(
    content: Array, previous_content: Array, previous_result: Array, known: Array
) -> MovedFrame | None:
    """Move the previous result along the motion to `content`; None if a new scene begins there.

    Args:
        content: (H, W, 3) in [0, 1], like the next two.
        previous_content: the content of the frame before.
        previous_result: its result.
        known: 1 where there is a result, 0 elsewhere, (H, W).
    """
    motion = motion_between(previous_content, content)
    if motion.is_cut:
        return None
    result, moved = (warp(image, motion.flow, "lanczos") for image in (previous_result, previous_content))
    difference = np.abs(moved - content).mean(axis=-1)
    reliability = motion.reliable * np.exp(-np.square(difference / TOLERANCE))
    smooth = _blurred(reliability.astype(np.float32), 1.0) * warp(known, motion.flow, "linear")
    moving = np.minimum(1, np.hypot(motion.flow[..., 0], motion.flow[..., 1]))
    share = (smooth * (1 - (1 - MOVING) * moving)).astype(np.float32)
    return MovedFrame(np.clip(result, 0, 1), moved, smooth, share)


def closer_in_colour(predicted: Array, own: Array, share: Array) -> Array:
    """Shift a prediction (H, W, 3) by COLOUR_RATE of the difference of its mean colour to that of `own`.

    `share` (H, W) weights the pixels of both.
    """
    weights = share[..., None] / (share.sum() + LEAST_POWER)
    moved: Array = predicted + COLOUR_RATE * ((own - predicted) * weights).sum(axis=(0, 1))
    return moved


def blend(own: Array, predicted: Array, share: Array) -> Array:
    """Blend a frame's own result (H, W, 3) with the predicted one, with the detail of `own`.

    `share`: (H, W) in [0, 1]. 0 keeps `own`; 1 takes the share MOST_KEPT of the prediction.
    """
    blended = own + (MOST_KEPT * share)[..., None] * (predicted - own)
    present, wanted = (each - _blurred(each, DETAIL_SIGMA) for each in (blended, own))
    power = _local_mean(wanted * wanted) + LEAST_POWER
    missing = np.maximum(0, 1 - _local_mean(present * present) / power)
    likeness = np.maximum(0, _local_mean(present * wanted) / power)
    # the power of present + amplitude * wanted is that of wanted
    amplitude = np.minimum(LARGEST_ADDITION, np.sqrt(likeness**2 + missing) - likeness)[..., None]
    sharp: Array = np.clip(blended + amplitude * wanted, 0, 1).astype(np.float32)
    return sharp


def _local_mean(product: Array) -> Array:
    """Average the product of two details (H, W, 3) around each pixel, (H, W)."""
    return _blurred(product.mean(axis=-1), POWER_SIGMA)


def _blurred(image: Array, sigma: float) -> Array:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)
