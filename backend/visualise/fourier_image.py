"""Images as Fourier coefficients of decorrelated colours: the parameters of a visualisation.

An optimizer that steps along single pixels finds grain, because it moves every frequency and every colour
equally. In a photograph, amplitudes fall with the frequency, and the three colours vary together. Parameters
scaled like this make grain as improbable as it is in photographs.

Sources:
    Olah, Mordvintsev and Schubert 2017, *Feature Visualization*, Distill, section "Preconditioning and
    Parameterization"
    Mordvintsev, Pezzotti, Schubert and Olah 2018, *Differentiable Image Parameterizations*, Distill
"""

from __future__ import annotations

import torch
from torch import Tensor

from atelier_shared.sizes import Size

FIRST_CONTRAST = 0.05
"""Root mean square of the first image before its colours are mixed."""
COLOURS = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
"""A square root of the covariance of ImageNet's colours, from the authors' program, lucid.

Rows: red, green and blue; columns: brightness, red to blue, magenta to green."""


def random_coefficients(size: Size, generator: torch.Generator) -> Tensor:
    """Return the coefficients of a faint random image, (1, 3, h, w // 2 + 1, 2), on the processor.

    The last axis holds the real and the imaginary part.
    """
    height, width = size
    coefficients = torch.randn(1, 3, height, width // 2 + 1, 2, generator=generator)
    return coefficients * FIRST_CONTRAST


def images_of(coefficients: Tensor, size: Size, decay: float, saturation: float) -> Tensor:
    """Compute the images of coefficients: (n, 3, h, w), between 0 and 1.

    Args:
        coefficients: (n, 3, h, w // 2 + 1, 2), as of `random_coefficients`.
        size: h and w.
        decay: the amplitude of a frequency f is f^-decay; 1 is a photograph's.
        saturation: factor of the colours' differences; 1 is a photograph's.
    """
    spectrum = torch.view_as_complex(coefficients) * amplitudes(size, decay).to(coefficients)
    channels = torch.fft.irfft2(spectrum, s=size, norm="ortho")  # (n, 3, h, w)
    mixing = colour_matrix(saturation).to(coefficients)
    return torch.einsum("ij,njhw->nihw", mixing, channels).sigmoid()


def amplitudes(size: Size, decay: float) -> Tensor:
    """Return each frequency's amplitude, (h, w // 2 + 1), with a root mean square of 1.

    The mean of the image, frequency 0, has the amplitude of the lowest frequency of the longer side.
    """
    height, width = size
    down, across = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None]
    frequencies = (down.square() + across.square()).sqrt().clamp_min(1 / max(size))
    falling = frequencies.pow(-decay)
    scaled: Tensor = falling / falling.square().mean().sqrt()
    return scaled


def colour_matrix(saturation: float) -> Tensor:
    """Return the matrix (3, 3) from decorrelated channels to red, green and blue; the longest column is 1."""
    columns = torch.tensor(COLOURS)
    columns = columns / torch.linalg.vector_norm(columns, dim=0).max()
    matrix: Tensor = columns * torch.tensor([1.0, saturation, saturation])
    return matrix
