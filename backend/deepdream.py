"""DeepDream: gradient ascent on what a network sees in a picture, octave by octave.

Knows image tensors and a network; nothing of devices, files or who asked.

Source: Mordvintsev, Olah and Tyka 2015, *Inceptionism: Going Deeper into Neural Networks*, and the
notebook that its authors published with it (google/deepdream).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from .pyramid import fit, octave_sizes, resize, size_of
from .step import Step
from .tiles import tiles

TILE_PX = 1024
STRIDE_PX = 32

# How far a gradient reaches is the layer's receptive field: in Inception v3 127 px at Mixed_5d, 159 px
# at Mixed_6a. Deeper ones reach past these halos too faintly to matter.
HALO_PX = 128
WIDER_HALOS_PX = {f"Mixed_{block}": 256 for block in ("6a", "6b", "6c")} | {
    f"Mixed_{block}": 512 for block in ("6d", "6e", "7a", "7b", "7c")
}


class Network(Protocol):
    """What DeepDream asks of a network; `backend.networks` has them."""

    minimum_px: int

    def features(self, image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """The features of an image tensor at each of `layers`."""


def dream(
    image: Tensor,
    *,
    network: Network,
    layer: str,
    strength: float,
    iterations: int,
    step_size: float,
    octaves: int,
    octave_scale: float,
    jitter: int,
    size: int,
    seed: int,
) -> Iterator[Step]:
    """Strengthen in `image` whatever excites `layer`; a step for every iteration of every octave.

    Each octave begins with its size of the picture and the detail that the coarser ones dreamt.

    Args:
        image: image tensor.
        network: the network that dreams.
        layer: name of the layer whose activation rises.
        strength: how much of the dream is laid over the picture, in [0, 1].
        iterations: steps of gradient ascent at each octave.
        step_size: mean change of a value in one step, where 1 is from black to white.
        octaves: sizes dreamt at; those smaller than the network takes are left out. A picture that
            is too small itself is dreamt upon enlarged.
        octave_scale: ratio between one octave's size and the next.
        jitter: largest shift in pixels, drawn anew for every step.
        size: longest side dreamt at, in pixels; the dream is enlarged to a larger picture, which
            so keeps its own fine detail.
        seed: of the jitter.
    """
    random = torch.Generator().manual_seed(seed)
    finest = fit(size_of(image), size, network.minimum_px)
    sizes = octave_sizes(finest, octaves, octave_scale, network.minimum_px)
    total = len(sizes) * iterations
    detail = torch.zeros_like(image)
    for octave, octave_size in enumerate(sizes):
        base = resize(image, octave_size)
        dreamt = (base + resize(detail, octave_size)).clamp(0, 1)
        for index in range(octave * iterations + 1, (octave + 1) * iterations + 1):
            shift = torch.randint(-jitter, jitter + 1, (2,), generator=random).tolist()
            dreamt = ascend(dreamt, network, layer, step_size, shift)
            detail = dreamt - base
            shown = image if index == total else base
            yield Step(index, total, (shown + strength * resize(detail, size_of(shown))).clamp(0, 1))


def ascend(image: Tensor, network: Network, layer: str, step_size: float, shift: list[int]) -> Tensor:
    """One step of gradient ascent on the image rolled by `shift` rows and columns, rolled back."""
    rolled = image.roll(shift, (-2, -1))
    gradient = tiled_gradient(rolled, network, layer)
    change = step_size * gradient / gradient.abs().mean().clamp_min(torch.finfo(gradient.dtype).tiny)
    return (rolled + change).clamp(0, 1).roll([-pixels for pixels in shift], (-2, -1))


def tiled_gradient(image: Tensor, network: Network, layer: str) -> Tensor:
    """The gradient of `activation`, computed a tile at a time as if for the whole picture at once."""
    gradient = torch.empty_like(image)
    for tile in tiles(*size_of(image), TILE_PX, WIDER_HALOS_PX.get(layer, HALO_PX), STRIDE_PX):
        seen = tile.outer.of(image).detach().requires_grad_()
        (of_tile,) = torch.autograd.grad(activation(seen, network, layer), seen)
        tile.inner.of(gradient).copy_(tile.inner.within(tile.outer).of(of_tile))
    return gradient


def activation(image: Tensor, network: Network, layer: str) -> Tensor:
    """Half the sum of the layer's squared features, the objective of the authors' notebook."""
    return network.features(image, [layer])[layer].square().sum() / 2
