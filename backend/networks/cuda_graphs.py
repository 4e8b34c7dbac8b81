"""CUDA graphs: the kernels of a computation, recorded once and started together afterwards.

An evaluation of a loss starts some hundred kernels one by one. For a small picture, starting them on
the processor can take longer than computing them on the card.

Source: https://pytorch.org/docs/stable/notes/cuda.html, section "CUDA Graphs"
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..imaging.resize import size_of

Evaluation = Callable[[Tensor], tuple[Tensor, Tensor]]
"""From an image (1, 3, H, W) to its loss () and the gradient with respect to the image, (1, 3, H, W)."""

WARM_UPS = 3
"""Evaluations before the recording, in which libraries allocate their workspaces."""
MOST_PIXELS = 1024 * 1024
"""Larger pictures are assumed to gain nothing, and a graph has memory of its own. Not measured on a card."""


def for_size(evaluate: Evaluation, image: Tensor, *, is_recorded: bool) -> Evaluation:
    """Return `evaluate`, or its recording for images of this size if `is_recorded` and they are small."""
    height, width = size_of(image)
    return recorded(evaluate, image) if is_recorded and height * width <= MOST_PIXELS else evaluate


def recorded(evaluate: Evaluation, image: Tensor) -> Evaluation:
    """Record `evaluate` for images of one size, and return a function with the same results.

    `evaluate` may neither wait for the card nor copy values to it. All tensors that it reads, except the
    image, must keep their place in memory.

    Args:
        evaluate: the computation.
        image: the first image on a CUDA device.
    """
    example = image.clone()
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM_UPS):
            evaluate(example)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss, gradient = evaluate(example)

    def replay(image: Tensor) -> tuple[Tensor, Tensor]:
        example.copy_(image)
        graph.replay()
        return loss.clone(), gradient.clone()

    return replay
