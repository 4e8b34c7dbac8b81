"""3×3 convolutions with constant weights in a quarter of the multiplications: Winograd's F(4×4, 3×3).

Every input tile d of 6×6 pixels gives an output tile Y of 4×4 pixels. Neighbouring input tiles overlap
by two pixels. For one channel and one filter g (3×3)

    Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A

with constant matrices A, B and G. Here all of it is matrix products:

1. `transform_weights` computes G g Gᵀ once: 36 elements for each pair of channels (C inputs, K outputs).
2. Bᵀ d B is linear in d, so it is (Bᵀ ⊗ Bᵀ) times d as a column of 36: one matrix (36, 36) for all tiles.
3. ⊙ and the sum over the input channels are, for each of the 36 elements, a product of matrices
   (tiles, C) and (C, K): a batch of 36.
4. Aᵀ [·] A is (Aᵀ ⊗ Aᵀ), a matrix (16, 36), times each column of 36.

The image is cut into strips of whole rows of tiles. One thread takes a strip through all of these, so
that the intermediate results stay in its cache.

Source: Lavin and Gray 2016, *Fast Algorithms for Convolutional Neural Networks*, CVPR, section 4.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch
from torch import Tensor

OUTPUT_PX, INPUT_PX = 4, 6
"""Sides of an output tile and of its input tile."""
ELEMENTS = INPUT_PX * INPUT_PX
BIAS_ELEMENT = INPUT_PX + 1
"""Element (1, 1) of a transformed tile. Adding the bias to it adds the bias to all 16 output pixels,
because column 1 of Aᵀ is all ones."""
VALUES_PER_STRIP = 2**15
"""Tiles of a strip × their channels: few enough for the cache, and enough to be worth loading the filters."""

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


def transform_weights(weight: Tensor) -> Tensor:
    """Transform a convolution's weights (K, C, 3, 3) into the filters of `convolve`, (36, C, K)."""
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
    """Convolve (1, C, H, W) to (1, K, H + 2·padding - 2, W + 2·padding - 2), both channels last.

    Args:
        image: the input.
        filters: result of `transform_weights`, (36, C, K).
        bias: (K,), added to the result.
        padding: pixels on every side, 0, 1 or 2.
        reflect: pad with the mirrored image, one pixel wide, instead of zeros.
        rectify: apply a ReLU to the result.
        gate: (1, C, H, W); the image counts as zero where `gate` is not positive. It is the output of a
            ReLU, whose gradient `image` is.
    """
    rows, columns = (side + 2 * padding - 2 for side in image.shape[-2:])
    tile_rows, tile_columns = -(-rows // OUTPUT_PX), -(-columns // OUTPUT_PX)
    threads = torch.get_num_threads()
    values = tile_rows * tile_columns * max(filters.shape[1:])
    strips_per_thread = -(-values // (VALUES_PER_STRIP * threads))
    strip_tile_rows = -(-tile_rows // (strips_per_thread * threads))
    result = torch.empty(
        (1, filters.shape[2], rows, columns),
        dtype=image.dtype,
        memory_format=torch.channels_last,
    )
    input_transform = _two_sided(B_T, image)  # (36, 36)
    output_transform = _two_sided(A_T, image)  # (16, 36)

    @torch.inference_mode()
    def convolve_strip(first: int) -> None:
        """Compute the result's rows from tile row `first` on."""
        target = _rows_first(result)[OUTPUT_PX * first : OUTPUT_PX * (first + strip_tile_rows)]  # (h, W', K)
        down = -(-len(target) // OUTPUT_PX)
        padded = image.new_empty(OUTPUT_PX * down + 2, OUTPUT_PX * tile_columns + 2, image.shape[1])
        _copy_rows(image, padded, OUTPUT_PX * first - padding, padding, gate)
        if reflect:
            _reflect(padded, image, OUTPUT_PX * first - 1)
        tiles = _input_tiles(padded)  # (down * tile_columns, 36, C)
        transformed = _multiply(input_transform, tiles)  # (down * tile_columns, 36, C)
        products = torch.bmm(transformed.transpose(0, 1), filters)  # (36, down * tile_columns, K)
        if bias is not None:
            products[BIAS_ELEMENT] += bias
        outputs = _multiply(output_transform, products.transpose(0, 1))  # (down * tile_columns, 16, K)
        strip = _join_tiles(outputs, down, tile_columns)[: len(target), :columns]
        torch.clamp_min(strip, 0 if rectify else -torch.inf, out=target)

    list(_thread_pool(threads).map(convolve_strip, range(0, tile_rows, strip_tile_rows)))
    return result


@cache
def _thread_pool(threads: int) -> ThreadPoolExecutor:
    """Return a pool of threads, each of which computes one strip at a time with one thread of torch.

    So the threads synchronise once per convolution. Torch's own threads synchronise in every operation;
    beside other programs, which take a core away now and then, that was ten times as slow.
    """
    return ThreadPoolExecutor(threads, "winograd", initializer=torch.set_num_threads, initargs=(1,))


def _rows_first(image: Tensor) -> Tensor:
    """View (1, C, H, W), channels last, as (H, W, C)."""
    return image[0].permute(1, 2, 0)


def _copy_rows(image: Tensor, padded: Tensor, top: int, padding: int, gate: Tensor | None) -> None:
    """Copy the image's rows from `top` on into `padded`, (h, w, C), with zeros outside the image."""
    height, width = image.shape[-2:]
    begin, end = max(top, 0), min(top + len(padded), height)
    rows, columns = slice(begin - top, end - top), slice(padding, padding + width)
    above, below = padded[: rows.start], padded[rows.stop :]
    for outside in (above, below, padded[:, :padding], padded[:, columns.stop :]):
        outside.zero_()
    source, inside = _rows_first(image)[begin:end], padded[rows, columns]
    if gate is None:
        inside.copy_(source)
    else:
        gate_rows = _rows_first(gate)[begin:end]
        torch.ops.aten.threshold_backward.grad_input(source, gate_rows, 0, grad_input=inside)


def _reflect(padded: Tensor, image: Tensor, top: int) -> None:
    """Replace the zeros around the rows copied with padding 1 by the reflected image, in place.

    `top` is the image's row in the first row of `padded`, -1 for the image's upper edge.
    """
    height, width = image.shape[-2:]
    padded[:, 0], padded[:, width + 1] = padded[:, 2], padded[:, width - 1]
    if top < 0:
        padded[0] = padded[2]
    if (below := height - top) < len(padded):
        padded[below] = padded[below - 2]


def _input_tiles(padded: Tensor) -> Tensor:
    """Cut (4m + 2, 4n + 2, C) into overlapping tiles as columns, (m * n, 36, C)."""
    tiles = padded.unfold(0, INPUT_PX, OUTPUT_PX).unfold(1, INPUT_PX, OUTPUT_PX)  # (m, n, C, 6, 6)
    return tiles.permute(0, 1, 3, 4, 2).reshape(-1, ELEMENTS, padded.shape[2])


def _join_tiles(outputs: Tensor, down: int, across: int) -> Tensor:
    """Join output tiles (down * across, 16, K) to rows of pixels, (4 * down, 4 * across, K)."""
    tiles = outputs.view(down, across, OUTPUT_PX, OUTPUT_PX, -1).transpose(1, 2)
    return tiles.reshape(OUTPUT_PX * down, OUTPUT_PX * across, -1)


def _two_sided(matrix: Sequence[Sequence[float]], like: Tensor) -> Tensor:
    """Return the Kronecker product M ⊗ M, which maps a tile X as a column to M X Mᵀ as a column."""
    one_side = like.new_tensor(matrix)
    return torch.kron(one_side, one_side)


def _multiply(matrix: Tensor, tiles: Tensor) -> Tensor:
    """Multiply each tile of (n, 36, C) by `matrix`, (m, 36), to (n, m, C)."""
    return torch.bmm(matrix.expand(len(tiles), *matrix.shape), tiles)
