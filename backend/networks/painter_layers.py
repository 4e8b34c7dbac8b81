"""The layers of the style painter: convolutions with conditional instance normalisation.

Sources:
    Johnson, Alahi and Fei-Fei 2016, *Perceptual Losses for Real-Time Style Transfer*, ECCV
    Dumoulin, Shlens and Kudlur 2017, *A Learned Representation for Artistic Style*, ICLR, eq. 5
    (conditional instance normalisation), table 3 (nearest-neighbour upsampling before convolution)
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, pixel_shuffle, pixel_unshuffle

from atelier_shared.sizes import Size

from ..imaging.tiles import Rectangle, tile_side, tiles

TILE_PX = 256
"""Side of a tile of any layer; small enough for the processor's cache."""
EPSILON = 1e-5
"""Added to a variance before its square root, as in the training of the weights."""


class Layer(nn.Conv2d):
    """A convolution with reflection padding and, if there is a style vector, a normalisation.

    `forward` does not pad; its input comes padded from `style_painter`. The normalisation's gammas and
    betas are linear functions of the style vector.

    Args:
        before: input channels.
        after: output channels.
        kernel: side of the kernel, an odd number.
        stride: 1 or 2.
        style_length: length of the style vector; 0 for a convolution with a bias and no normalisation.
        constant: whether gammas and betas have a constant part.
    """

    upsampling = 1
    padding_kind = "reflect"

    def __init__(
        self, before: int, after: int, kernel: int, stride: int = 1, *, style_length: int = 0, constant: bool
    ) -> None:
        super().__init__(before, after, kernel, stride, bias=not style_length)
        self.weight.data = self.weight.data.contiguous(memory_format=torch.channels_last)
        self.gamma, self.beta = (
            nn.Linear(style_length, after, bias=constant) if style_length else None for _ in range(2)
        )

    def forward(self, values: Tensor) -> Tensor:
        """Convolve values that include the margin, (1, before, h, w)."""
        return conv2d(values, self.weight, self.bias, self.stride)

    def out_size(self, size: Size) -> Size:
        """Return the size of the output for an input of `size`."""
        height, width = (-(-side * self.upsampling // self.stride[0]) for side in size)
        return height, width

    def tiles(self, size: Size, tile_scale: float) -> list[Rectangle]:
        """Tile the larger of input and output, on even positions, for an input of `size`."""
        height, width = (length * self.upsampling for length in size)
        side = tile_side(TILE_PX, tile_scale, stride=2)
        return [tile.inner for tile in tiles(height, width, side=side, halo=0, stride=2)]

    def normalise_(self, features: Tensor, mean: Tensor, variance: Tensor, style: Tensor) -> Tensor:
        """Apply Dumoulin et al. 2017, eq. 5, in place, if the layer has a normalisation.

        Args:
            features: output of the convolution, (1, C, h, w).
            mean: mean of each channel over the whole picture, (C,).
            variance: its variance, (C,).
            style: style vector, (1, style_length).
        """
        if self.gamma is not None and self.beta is not None:
            scale = self.gamma(style) * (variance + EPSILON).rsqrt()  # (1, C)
            shift = self.beta(style) - mean * scale
            torch.addcmul(shift[..., None, None], features, scale[..., None, None], out=features)
        return features


class UpsamplingLayer(Layer):
    """Nearest-neighbour upsampling ×2 and a 3×3 convolution, fused into one 2×2 convolution.

    In an upsampled picture, a 3×3 window covers only 2×2 different values: two of its three rows are
    equal, and so are two of its three columns. Their weights are added. Four output pixels surround
    each corner of four input pixels; each has its own summed weights. They are computed as channels, and a
    pixel shuffle puts them in place.

    A reflected edge of the upsampled picture equals a repeated edge of the input, so the padding is
    "replicate". Each of the four outputs adds its products in a different order, so for equal inputs
    other than 0 they differ by rounding.
    """

    upsampling = 2
    padding_kind = "replicate"

    def forward(self, values: Tensor) -> Tensor:
        """Map values with a margin of one, (1, before, h + 2, w + 2), to (1, after, 2h, 2w)."""
        # covers[a, p, y] is 1 where, for output row a, kernel row y lies on input row p. Example: for a = 0
        # the rows y = 0 and 1 lie on p = 0, and y = 2 on p = 1. Columns (b, q, x) likewise.
        covers = self.weight.new_tensor([[[1, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 1]]])
        weight = torch.einsum("ocyx,apy,bqx->oabcpq", self.weight, covers, covers).flatten(0, 2)
        corners = conv2d(values, weight)  # (1, 4 * after, h + 1, w + 1)
        return pixel_shuffle(corners, 2)[..., 1:-1, 1:-1]


class ColourLayer(Layer):
    """A convolution to a few channels, the colours, on images with even sides.

    Even and odd rows and columns become channels, because few channels do not fill the SIMD registers.
    """

    def forward(self, values: Tensor) -> Tensor:
        """Convolve values that include the margin, (1, before, h, w)."""
        return pixel_shuffle(conv2d(pixel_unshuffle(values, 2), _unshuffled_kernel(self.weight)), 2)


def _unshuffled_kernel(weight: Tensor) -> Tensor:
    """Rearrange a kernel (O, C, 2n + 1, 2n + 1) to act on pixel-unshuffled images, (4 O, 4 C, n + 1, n + 1).

    Unshuffling turns each channel into four: one for each parity of row and column. The kernel from the
    input's parities (row, column) to the output's (out_row, out_column) has every second weight, starting
    at row - out_row and column - out_column, and zeros beyond the kernel.
    """
    padded, taps = pad(weight, (1, 1, 1, 1)), weight.shape[-1] // 2 + 1
    parities = list(itertools.product(range(2), repeat=2))
    kernels = [
        [
            padded[:, :, 1 + row - out_row :: 2, 1 + column - out_column :: 2][..., :taps, :taps]
            for row, column in parities
        ]
        for out_row, out_column in parities
    ]
    blocks = torch.stack([torch.stack(inputs, dim=2) for inputs in kernels], dim=1)  # (O, 4, C, 4, …)
    return blocks.flatten(2, 3).flatten(0, 1)
