"""Faster convolutions for frozen networks: the best kernel for each layer, device and image.

On a processor, in float32 and for one image, wide 3×3 convolutions use `winograd` where it is faster on
this computer. All others use torch's own kernels with channels last. The outputs equal those of
`nn.Conv2d` to about 1e-5. There is no gradient with respect to the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import relu

from . import winograd

MIN_CHANNELS = 64
MIN_PIXELS = 1024
"""Below these, torch's own kernel is faster, or as fast and more accurate."""

IsFaster = Callable[[int, int, int], bool]
"""Whether `winograd` is faster than torch for these input channels, output channels and pixels."""


def accelerate(body: nn.Module, is_faster: IsFaster) -> nn.Module:
    """Replace the convolutions of the frozen `body`, in place, by faster ones; keep names and order."""
    for name, layer in body.named_children():
        if type(layer) is nn.Conv2d:
            setattr(body, name, Convolution(layer, is_faster))
        else:
            accelerate(layer, is_faster)
    return body


def steps(body: nn.Sequential, kept: Collection[str]) -> Iterator[tuple[str, Any]]:
    """Yield the layers of `body` by name, each convolution merged with a ReLU after it.

    A layer in `kept` is not merged with the next one, because its own output is used.
    """
    layers = list(body.named_children())
    while layers:
        name, layer = layers.pop(0)
        if isinstance(layer, Convolution) and name not in kept and layers and type(layers[0][1]) is nn.ReLU:
            yield layers.pop(0)[0], layer.rectified
        else:
            yield name, layer


class Convolution(nn.Conv2d):
    """A convolution with constant weights."""

    def __init__(self, layer: nn.Conv2d, is_faster: IsFaster) -> None:
        nn.Module.__init__(self)  # Conv2d's own would allocate and initialise new weights
        vars(self).update(vars(layer))
        self._is_faster = is_faster
        self.weight.data = self.weight.data.contiguous(memory_format=torch.channels_last)

    def forward(self, image: Tensor) -> Tensor:
        """Convolve (N, C, H, W), like `nn.Conv2d`."""
        return self._convolve(image, rectify=False)

    def rectified(self, image: Tensor) -> Tensor:
        """Convolve (N, C, H, W) and apply a ReLU."""
        return self._convolve(image, rectify=True)

    def _convolve(self, image: Tensor, *, rectify: bool) -> Tensor:
        image = image.contiguous(memory_format=torch.channels_last)
        if self._suits_winograd(image):
            result: Tensor = _Winograd.apply(image, self, rectify)  # type: ignore[no-untyped-call]
            return result
        result = super().forward(image)
        return relu(result, inplace=True) if rectify else result

    def _suits_winograd(self, image: Tensor) -> bool:
        pixels = image.shape[-2] * image.shape[-1]
        return (
            self._is_plain_3x3
            and min(self.in_channels, self.out_channels) >= MIN_CHANNELS
            and (image.device.type, image.dtype, len(image)) == ("cpu", torch.float32, 1)
            and pixels >= MIN_PIXELS
            and self._is_faster(self.in_channels, self.out_channels, pixels)
        )

    @cached_property
    def _is_plain_3x3(self) -> bool:
        return (
            (self.kernel_size, self.stride, self.dilation) == ((3, 3), (1, 1), (1, 1))
            and (self.padding in ((0, 0), (1, 1)) and self.groups == 1)
            and (self.padding_mode == "zeros" or self.reflects)
        )

    @property
    def reflects(self) -> bool:
        """Whether the image is padded by reflection, one pixel wide."""
        return self.padding_mode == "reflect" and self.padding == (1, 1)

    @cached_property
    def filters(self) -> Tensor:
        """The transformed weights, (36, in_channels, out_channels)."""
        return winograd.transform_weights(self.weight.detach())

    @cached_property
    def backward_filters(self) -> Tensor:
        """The transformed weights of the gradient's convolution, (36, out_channels, in_channels).

        The gradient of a convolution with respect to its image is a convolution with the kernels rotated by
        180° and input and output channels exchanged.
        """
        return winograd.transform_weights(self.weight.detach().flip(2, 3).transpose(0, 1))


class _Winograd(torch.autograd.Function):
    """A convolution by `winograd`, with a ReLU if `rectify`; only the image has a gradient."""

    @staticmethod
    def forward(context: Any, image: Tensor, layer: Convolution, rectify: bool) -> Tensor:
        result = winograd.convolve(
            image,
            layer.filters,
            layer.bias,
            padding=int(layer.padding[0]),
            reflect=layer.reflects,
            rectify=rectify,
        )
        context.layer = layer
        context.save_for_backward(*[result] * rectify)
        return result

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (rectified,) = context.saved_tensors or (None,)
        layer = context.layer
        # A full convolution with 3×3 kernels has padding 2; the forward padding is cut off again.
        padding = 2 if layer.reflects else 2 - layer.padding[0]
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        image_gradient = winograd.convolve(gradient, layer.backward_filters, padding=padding, gate=rectified)
        return _fold_reflection(image_gradient) if layer.reflects else image_gradient, None, None


def _fold_reflection(padded: Tensor) -> Tensor:
    """Turn the gradient of the padded image, (1, C, H + 2, W + 2), into that of the image, (1, C, H, W).

    The gradient of each reflected pixel is added to that of its original, in place.
    """
    padded[:, :, 2] += padded[:, :, 0]
    padded[:, :, -3] += padded[:, :, -1]
    padded[..., 2] += padded[..., 0]
    padded[..., -3] += padded[..., -1]
    return padded[:, :, 1:-1, 1:-1]
