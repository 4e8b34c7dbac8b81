"""Motion: the flow of known movements, its reliable pixels, warping, and cuts."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from moving_frames import moved, photograph

from backend.animation.motion import Motion, at_motion_boundary, motion_between, optical_flow


@pytest.mark.parametrize(("right", "down"), [(0, 0), (3, 0), (-2.5, 1.5), (0, 6)])
def test_the_flow_leads_back_to_the_frame_before(right: float, down: float) -> None:
    first = photograph()
    motion = motion_between(first, moved(first, right, down))
    error = np.abs(motion.flow - np.array([-right, -down], np.float32)).max(axis=-1)
    assert np.median(error[motion.reliable]) < 0.2
    assert motion.reliable[20:-20, 20:-20].mean() > 0.9


def test_warping_by_whole_pixels_is_exact() -> None:
    first = photograph()
    assert np.allclose(moved(first, 3, 2)[2:, 3:], first[:-2, :-3], atol=1e-6)


def test_newly_visible_and_hidden_parts_are_unreliable() -> None:
    """A square moves to the right over a resting background: behind it, the background is new."""
    background = photograph()
    first, second = background.copy(), background.copy()
    square = photograph("coffee", 160)[:40, 60:100]
    first[40:80, 40:80], second[40:80, 50:90] = square, square
    reliable = motion_between(first, second).reliable
    assert reliable[42:78, 40:48].mean() < 0.3
    assert reliable[5:30].mean() > 0.95
    assert reliable[50:70, 60:80].mean() > 0.5


def test_pixels_from_beyond_the_edge_are_unreliable() -> None:
    first = photograph()
    assert not motion_between(first, moved(first, 8, 0)).reliable[:, :6].any()


def test_a_boundary_of_two_motions_is_found() -> None:
    flow = np.zeros((20, 20, 2), np.float32)
    flow[:, 10:] = 4
    found = at_motion_boundary(flow)
    assert found[:, 9:11].all()
    assert not found[:, :8].any() and not found[:, 12:].any()


def test_a_cut_is_found() -> None:
    cat, cup = photograph(), photograph("coffee")
    height = min(len(cat), len(cup))
    assert motion_between(cat[:height], cup[:height]).is_cut
    assert not motion_between(cat, moved(cat, 12, 5)).is_cut


def test_too_few_reliable_pixels_are_a_cut() -> None:
    flow = np.zeros((10, 10, 2), np.float32)
    reliable = np.zeros((10, 10), bool)
    assert Motion(flow, reliable).is_cut
    reliable[:4] = True  # 0.4 of the pixels
    assert not Motion(flow, reliable).is_cut


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (7, 5), (31, 200)])
def test_frames_smaller_than_the_patches_of_dis_have_a_flow(size: tuple[int, int]) -> None:
    frame = np.asarray(cv2.resize(photograph(), size[::-1]), np.float32)
    flow = optical_flow(frame, frame)
    assert flow.shape == (*size, 2)
    assert np.abs(flow).max() < 0.5
