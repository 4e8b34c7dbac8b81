"""Frames with a known motion, for the tests of animations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from backend.animation.motion import Array, warp

SAMPLES = Path(__file__).parents[1] / "samples"


def photograph(name: str = "chelsea", width: int = 160) -> Array:
    with Image.open(SAMPLES / f"{name}.jpg") as image:
        small = image.convert("RGB").resize((width, round(width * image.height / image.width)))
    return np.asarray(np.asarray(small) / 255, np.float32)


def moved(frame: Array, right: float, down: float) -> Array:
    """Return a frame with its picture moved; its edges are continued."""
    flow = np.broadcast_to(np.array([-right, -down], np.float32), (*frame.shape[:2], 2))
    return warp(frame, np.ascontiguousarray(flow))
