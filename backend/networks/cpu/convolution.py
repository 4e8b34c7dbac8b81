"""Frozen networks, faster: for each convolution the kernel that its shape and its device want.

`accelerate` exchanges the convolutions of a network that is never trained. Their outputs stay the
same to about 1e-5; their gradient with respect to the weights is given up. On a processor, in float32
and for one picture, wide 3×3 convolutions go through `winograd` where that is the faster way on this
computer; everything else stays with torch's own kernels, channels last.

Knows layers; neither what the features are for, nor the networks by name.
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

FEWEST_CHANNELS = 128
FEWEST_PIXELS = 1024
"""What is narrower or smaller is done sooner, or more exactly in the same time, without the transforms."""

Pays = Callable[[int, int, int], bool]
"""Whether `winograd` is faster for so many channels, filters and pixels."""


def accelerate(body: nn.Module, pays: Pays) -> nn.Module:
    """Exchange the convolutions of the frozen `body`, in place, for faster ones; names and order stay."""
    for name, layer in body.named_children():
        if type(layer) is nn.Conv2d:
            setattr(body, name, Convolution(layer, pays))
        else:
            accelerate(layer, pays)
    return body


def steps(body: nn.Sequential, kept: Collection[str]) -> Iterator[tuple[str, Any]]:
    """The layers of `body` by name, a convolution that nobody wants to keep together with its ReLU."""
    layers = list(body.named_children())
    while layers:
        name, layer = layers.pop(0)
        if isinstance(layer, Convolution) and name not in kept and layers and type(layers[0][1]) is nn.ReLU:
            yield layers.pop(0)[0], layer.rectified
        else:
            yield name, layer


class Convolution(nn.Conv2d):
    """A convolution with constant weights."""

    def __init__(self, layer: nn.Conv2d, pays: Pays) -> None:
        nn.Module.__init__(self)
        vars(self).update(vars(layer))
        self._pays = pays
        self.weight.data = self.weight.data.contiguous(memory_format=torch.channels_last)

    def forward(self, image: Tensor) -> Tensor:
        """As `nn.Conv2d`."""
        return self._convolve(image, rectify=False)

    def rectified(self, image: Tensor) -> Tensor:
        """What a ReLU makes of it."""
        return self._convolve(image, rectify=True)

    def _convolve(self, image: Tensor, *, rectify: bool) -> Tensor:
        image = image.contiguous(memory_format=torch.channels_last)
        if self._is_wide(image):
            result: Tensor = _Winograd.apply(image, self, rectify)  # type: ignore[no-untyped-call]
            return result
        result = super().forward(image)
        return relu(result) if rectify else result

    def _is_wide(self, image: Tensor) -> bool:
        """Whether Winograd's way is the faster one."""
        return (
            self._is_plain_3x3
            and min(self.in_channels, self.out_channels) >= FEWEST_CHANNELS
            and (image.device.type, image.dtype, len(image)) == ("cpu", torch.float32, 1)
            and image.shape[-2] * image.shape[-1] >= FEWEST_PIXELS
            and self._pays(self.in_channels, self.out_channels, image.shape[-2] * image.shape[-1])
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
        """Whether the image is padded by one pixel of reflection."""
        return self.padding_mode == "reflect" and self.padding == (1, 1)

    @cached_property
    def filters(self) -> Tensor:
        """The weights of the way forward, transformed."""
        return winograd.transformed(self.weight.detach())

    @cached_property
    def backward_filters(self) -> Tensor:
        """The weights of the way back: turned by half a turn, the channels exchanged."""
        return winograd.transformed(self.weight.detach().flip(2, 3).transpose(0, 1))


class _Winograd(torch.autograd.Function):
    """A convolution, with a ReLU where `rectify` is set, that can be derived by its input alone."""

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
        (gate,) = context.saved_tensors or (None,)
        layer = context.layer
        padding = 2 if layer.reflects else 2 - layer.padding[0]
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        of_image = winograd.convolve(gradient, layer.backward_filters, padding=padding, gate=gate)
        return _fold(of_image) if layer.reflects else of_image, None, None


def _fold(padded: Tensor) -> Tensor:
    """The gradient of an image, from that of the image padded with one pixel by reflection."""
    padded[:, :, 2] += padded[:, :, 0]
    padded[:, :, -3] += padded[:, :, -1]
    padded[..., 2] += padded[..., 0]
    padded[..., -3] += padded[..., -1]
    return padded[:, :, 1:-1, 1:-1]
