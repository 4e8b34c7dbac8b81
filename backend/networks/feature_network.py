"""Feature networks: a frozen sequence of named layers after a normalisation of the image.

Sources:
    Gatys et al. 2016, *Image Style Transfer Using Convolutional Neural Networks*, CVPR, section 2
    (features of a network, layer by layer)
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from atelier_shared.deferred_translation import N_
from atelier_shared.errors import Wrong

from .cpu import convolution
from .fast_paths import EXACT
from .feature_memory import FeatureMemory
from .receptive_fields import Reach, reaches


class FeatureNetwork(nn.Module):
    """A frozen network as a sequence of named layers.

    Args:
        normalise: from [0, 1] to the range of values the weights were trained on.
        body: the layers in order of depth, by name.
        minimum_px: shortest side of the smallest image it accepts.
        classes: the names of the classes, if its last layer is a classifier.

    `path` is the arithmetic of its convolutions. Features always have the type of the image. `memory`
    keeps features of the last small pictures.
    """

    def __init__(
        self, normalise: nn.Module, body: nn.Sequential, minimum_px: int, classes: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.normalise = normalise
        self.body = body
        self.minimum_px = minimum_px
        self.classes = tuple(classes)
        self.path = EXACT
        self.memory = FeatureMemory()
        self.eval().requires_grad_(False)

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers, in order of depth."""
        return tuple(name for name, _ in self.body.named_children())

    def features(self, image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Compute the features of an image, (1, 3, H, W), at each of `layers`: (1, C, h, w), by depth.

        They are differentiable with respect to the image. Layers after the deepest of `layers` are not
        computed.

        Raises:
            ValueError: the network has no layer of such a name, or the image is too small for it.
        """
        last = self._deepest(layers)
        if min(image.shape[-2:]) < self.minimum_px:
            height, width = image.shape[-2:]
            template = N_("The network takes pictures of at least {least} px, not {width} × {height} px.")
            raise Wrong(template, least=self.minimum_px, width=width, height=height)
        with self.path.arithmetic(image.device):
            found = self._compute(image, layers, last)
        return {name: values.to(image.dtype) for name, values in found.items()}

    def _compute(self, image: Tensor, layers: Sequence[str], last: str) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        values = self.normalise(image)
        for name, layer in convolution.steps(self.body, layers):
            values = layer(values)
            if name in layers:
                found[name] = values
            if name == last:
                break
        return found

    def channels_of(self, layer: str) -> int:
        """Return the number of channels of a layer, by computing it for the smallest image.

        Raises:
            ValueError: the network has no layer of such a name.
        """
        device = next(self.body.parameters()).device
        image = torch.zeros(1, 3, self.minimum_px, self.minimum_px, device=device)
        return self.features(image, [layer])[layer].shape[1]

    def halo_px(self, layers: Sequence[str]) -> int:
        """Return the margin in pixels around a tile seen by its features at the deepest of `layers`.

        It is a multiple of `stride_px`. With this margin, a tile whose edges lie on multiples of
        `stride_px` has the same features as in the whole picture.

        Raises:
            ValueError: the network has no layer of such a name.
        """
        return self._reaches[self._deepest(layers)].halo_px

    def stride_px(self, layers: Sequence[str]) -> int:
        """Return the pixels from one position to the next at the deepest of `layers`.

        Raises:
            ValueError: the network has no layer of such a name.
        """
        return self._reaches[self._deepest(layers)].stride_px

    @functools.cached_property
    def _reaches(self) -> dict[str, Reach]:
        return reaches(self.body, self.minimum_px)

    def check_layers(self, layers: Iterable[str]) -> None:
        """Check the names of layers.

        Raises:
            ValueError: the network has no layer of such a name.
        """
        if unknown := set(layers) - set(self.layers):
            missing = ", ".join(sorted(unknown))
            template = N_("This network has no layer {missing}. Choose from {layers}.")
            raise Wrong(template, missing=missing, layers=", ".join(self.layers))

    def check_classes(self) -> None:
        """Check that the network has classes.

        Raises:
            ValueError: it has none.
        """
        if not self.classes:
            raise Wrong(
                N_("This network has no classes. Choose one with classes, such as efficientnet-lite0.")
            )

    def _deepest(self, layers: Sequence[str]) -> str:
        self.check_layers(layers)
        return max(layers, key=self.layers.index)


def check_channels(layer: str, channels: range, count: int) -> None:
    """Raise a ValueError unless `channels` are among the `count` channels of a layer, from 0 on."""
    if not 0 <= channels.start < channels.stop <= count:
        template = N_("{layer} has the channels 0 to {last}, not {low} to {high}. Choose among these.")
        raise Wrong(template, layer=layer, last=count - 1, low=channels.start, high=channels.stop - 1)


class Normalise(nn.Module):
    """Normalisation of an image tensor to a mean of 0 and a deviation of 1 by channel.

    torchvision's transform copies its numbers to the graphics card in every call, and blocks.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Sequence[float], deviation: Sequence[float]) -> None:
        super().__init__()
        for name, values in {"mean": mean, "deviation": deviation}.items():
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Normalise (1, 3, H, W) to (1, 3, H, W)."""
        return (image - self.mean) / self.deviation
