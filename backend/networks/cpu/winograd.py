"""3×3 convolutions with constant weights in a quarter of the multiplications: Winograd's F(4×4, 3×3).

Every tile of 6×6 pixels gives 4×4 pixels of the result, Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A. All of it is
matrix products: the two-sided transforms are one matrix each, by the Kronecker product
(Bᵀ d B is (Bᵀ ⊗ Bᵀ) times d as a column), and ⊙, summed over the channels, a batch of 36, one for
each place in the tile. A strip of tiles is taken
through all of this before the next, so that what lies between stays in the cache.

Knows one convolution; neither layers nor networks, nor when another way is faster.

Source: Lavin and Gray 2016, *Fast Algorithms for Convolutional Neural Networks*, CVPR, section 4.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch
from torch import Tensor

TILE, SEEN = 4, 6
"""Sides of what a tile gives and of what it sees."""
PLACES = SEEN * SEEN
CONSTANT = SEEN + 1
"""The place whose value reaches every pixel of its tile just as it is: row 1, column 1."""
TILES_AT_ONCE = 128
"""Few enough for the cache, enough to be worth fetching the filters."""

B_T = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
G = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
A_T = (
    (1, 1, 1, 1, 1, 0),
    (0, 1, -1, 2, -2, 0),
    (0, 1, 1, 4, 4, 0),
    (0, 1, -1, 8, -8, 1),
)


def transformed(weight: Tensor) -> Tensor:
    """The weights (K, C, 3, 3) of a convolution as `convolve` takes them, (36, C, K)."""
    g = torch.tensor(G, dtype=torch.float64)
    filters = torch.einsum("ui,kcij,vj->uvck", g, weight.double(), g)
    return filters.flatten(0, 1).to(weight.dtype).contiguous()


def convolve(
    image: Tensor,
    filters: Tensor,
    bias: Tensor | None = None,
    *,
    padding: int = 1,
    reflect: bool = False,
    rectify: bool = False,
    gate: Tensor | None = None,
) -> Tensor:
    """The 3×3 convolution of (1, C, H, W), channels last, as (1, K, H + 2·padding - 2, W + 2·padding - 2).

    Args:
        image: what is convolved.
        filters: `transformed` weights.
        bias: (K,), added to the result.
        padding: pixels of padding on every side, 0, 1 or 2.
        reflect: pad with the image mirrored at its outermost pixels, by one pixel; else with zeros.
        rectify: set what is negative in the result to zero.
        gate: (1, C, H, W); where it is not positive the image is taken to be zero.
    """
    rows, columns = (extent + 2 * padding - 2 for extent in image.shape[-2:])
    down, across = -(-rows // TILE), -(-columns // TILE)
    threads = torch.get_num_threads()
    rounds = -(-down * across // (TILES_AT_ONCE * threads))
    height = -(-down // (rounds * threads))
    result = torch.empty(
        (1, filters.shape[2], rows, columns),
        dtype=image.dtype,
        memory_format=torch.channels_last,
    )
    into_places, out_of_places = (_both_sides(matrix, image) for matrix in (B_T, A_T))

    @torch.inference_mode()
    def convolve_strip(first: int) -> None:
        target = _pixels(result)[TILE * first : TILE * (first + height)]
        tiles_down = -(-len(target) // TILE)
        seen = image.new_zeros(TILE * tiles_down + 2, TILE * across + 2, image.shape[1])
        _fill(seen, image, TILE * first - padding, padding, gate)
        if reflect:
            _mirror(seen, image, TILE * first - 1)
        tiles = seen.unfold(0, SEEN, TILE).unfold(1, SEEN, TILE).permute(0, 1, 3, 4, 2)
        places = _transform(into_places, tiles.reshape(-1, PLACES, image.shape[1]))
        products = torch.bmm(places.transpose(0, 1), filters)
        if bias is not None:
            products[CONSTANT] += bias
        given = _transform(out_of_places, products.transpose(0, 1))
        given = given.view(tiles_down, across, TILE, TILE, -1).transpose(1, 2)
        given = given.reshape(TILE * tiles_down, TILE * across, -1)[: len(target), :columns]
        torch.clamp_min(given, 0 if rectify else -torch.inf, out=target)

    list(_workers(threads).map(convolve_strip, range(0, down, height)))
    return result


@cache
def _workers(threads: int) -> ThreadPoolExecutor:
    """Threads that take a strip each.

    They wait for each other once in a convolution, where torch's own would in each of its operations:
    beside other programs, which keep a thread from its core now and then, that took ten times as long.
    """
    return ThreadPoolExecutor(threads, "winograd", initializer=torch.set_num_threads, initargs=(1,))


def _pixels(image: Tensor) -> Tensor:
    """(1, C, H, W), channels last, as (H, W, C)."""
    return image[0].permute(1, 2, 0)


def _fill(seen: Tensor, image: Tensor, top: int, padding: int, gate: Tensor | None) -> None:
    """Put the image's rows from `top` on into zeros (rows, columns, C)."""
    height, width = image.shape[-2:]
    begin, end = max(top, 0), min(top + len(seen), height)
    inside, given = seen[begin - top : end - top, padding : padding + width], _pixels(image)[begin:end]
    if gate is None:
        inside.copy_(given)
    else:
        torch.ops.aten.threshold_backward.grad_input(given, _pixels(gate)[begin:end], 0, grad_input=inside)


def _mirror(seen: Tensor, image: Tensor, top: int) -> None:
    """Pad what `_fill` has made with padding 1 by reflection."""
    height, width = image.shape[-2:]
    seen[:, 0], seen[:, width + 1] = seen[:, 2], seen[:, width - 1]
    if top < 0:
        seen[0] = seen[2]
    if (below := height - top) < len(seen):
        seen[below] = seen[below - 2]


def _both_sides(matrix: Sequence[Sequence[float]], like: Tensor) -> Tensor:
    """The matrix that takes a tile, as a column, to `matrix` @ tile @ `matrix`.T."""
    one_side = like.new_tensor(matrix)
    return torch.kron(one_side, one_side)


def _transform(matrix: Tensor, tiles: Tensor) -> Tensor:
    return torch.bmm(matrix.expand(len(tiles), *matrix.shape), tiles)
