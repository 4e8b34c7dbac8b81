"""Faster ways to compute a feature network on a graphics card, chosen on the card itself.

Cards differ, so each candidate is timed once for each device, driver, version of PyTorch and network. It is
used only if its gradient and a short descent with it agree with float32's; otherwise the exact path stays.
Gram matrices and losses are always computed in float32.

Sources:
    https://pytorch.org/docs/stable/notes/cuda.html, section "TensorFloat-32 (TF32) on Ampere devices"
    Kalamkar et al. 2019, *A Study of BFLOAT16 for Deep Learning Training*, arXiv
"""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from atelier_shared.home import read_json_object, write_json_object

from ..compat import devices
from .cuda_graphs import Evaluation, recorded

if TYPE_CHECKING:
    from .feature_network import FeatureNetwork

TIMED_PX, CHECKED_PX = 512, 128
ROUNDS, WARM_UPS = 5, 2
STEPS, STEP_SIZE = 50, 0.02
MOST_GRADIENT_ERROR, MOST_LOSS_ERROR = 1e-2, 1e-2
"""Relative to float32's; for the loss after STEPS steps of Adam."""
MOST_TIME_RATIO = 0.95
"""A candidate that saves less is not worth its rounding."""
BEGUN = "begun"
"""Stands for a choice whose trials were begun and not finished, because of a crash or a cancelled job."""
EXACT_VARIABLE = "ATELIER_EXACT"
"""With this environment variable every network is computed in float32."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FastPath:
    """A way to compute a network.

    Attributes:
        channels_last: the order of the values in memory that convolutions with tensor cores need.
        tf32: whether convolutions may round their inputs to 10 bits of mantissa.
        bfloat16: whether convolutions are computed in bfloat16.
        recorded: whether evaluations are recorded as CUDA graphs.
    """

    channels_last: bool = False
    tf32: bool = False
    bfloat16: bool = False
    recorded: bool = False

    @contextlib.contextmanager
    def arithmetic(self, device: torch.device) -> Iterator[None]:
        """Compute in this way during the block, on `device`."""
        with contextlib.ExitStack() as stack:
            if self.tf32:
                stack.enter_context(torch.backends.cudnn.flags(enabled=True, allow_tf32=True))
            if self.bfloat16:
                stack.enter_context(torch.autocast(device.type, torch.bfloat16))
            yield


EXACT = FastPath()
ARITHMETICS = {
    "exact": EXACT,
    "channels-last": FastPath(channels_last=True),
    "tf32": FastPath(channels_last=True, tf32=True),
    "bfloat16": FastPath(channels_last=True, tf32=True, bfloat16=True),
}
CANDIDATES = ARITHMETICS | {
    f"{name}, recorded": replace(path, recorded=True) for name, path in ARITHMETICS.items()
}

Build = Callable[[FastPath], "FeatureNetwork"]


def choose(name: str, layer: str, build: Build, device: torch.device, results_file: Path) -> FastPath:
    """Return the fastest path for the network called `name` on an accelerator.

    A missing result is measured, with the features at `layer`, and written to `results_file`.
    """
    if device.type not in devices.ACCELERATORS or os.environ.get(EXACT_VARIABLE):
        return EXACT
    results, key = read_json_object(results_file), f"{devices.identity(device)}: {name}"
    chosen = str(results.get(key))
    if chosen not in CANDIDATES:
        # Before the trials, because they can crash the process. A second crash leaves the exact path.
        write_json_object(results_file, {**results, key: "exact" if chosen == BEGUN else BEGUN})
        chosen = fastest(layer, build, device)
        write_json_object(results_file, {**results, key: chosen})
    return CANDIDATES[chosen]


def fastest(layer: str, build: Build, device: torch.device) -> str:
    """Return the name of the fastest candidate whose results agree with those of the exact path."""
    exact = Trial(build(EXACT), layer, device)
    best, best_s = "exact", MOST_TIME_RATIO * exact.seconds()
    for name, path in CANDIDATES.items():
        if path == EXACT or (path.recorded and device.type != "cuda"):
            continue
        try:
            trial = Trial(build(path), layer, device)
            seconds, agrees = trial.seconds(), trial.agrees_with(exact)
        except RuntimeError as error:  # the card, its driver or its memory does not permit it
            log.info("%s: %s", name, error)
            continue
        log.info("%s: %.4f s, %s", name, seconds, "agrees" if agrees else "differs too much")
        if agrees and seconds < best_s:
            best, best_s = name, seconds
    return best


class Trial:
    """A network with a loss: the difference of an image's features at a layer to another image's."""

    def __init__(self, network: FeatureNetwork, layer: str, device: torch.device) -> None:
        self._network, self._layer, self._device = network, layer, device

    def seconds(self) -> float:
        """Return the shortest time of one gradient."""
        image, target = self._images(TIMED_PX)
        evaluate, times = self.evaluation(image, target), []
        for _ in range(WARM_UPS + ROUNDS):
            started = time.perf_counter()
            evaluate(image)[1].sum().item()
            times.append(time.perf_counter() - started)
        return min(times[WARM_UPS:])

    def agrees_with(self, exact: Trial) -> bool:
        """Return whether the gradient, and the loss after some steps, are close to the exact ones."""
        (own, image), (theirs, exact_image) = self._checked, exact._checked
        error = (own - theirs).norm() / theirs.norm()
        _, target = self._images(CHECKED_PX)
        losses = [exact.loss(each, target).item() for each in (image, exact_image)]
        is_close = math.isclose(*losses, rel_tol=MOST_LOSS_ERROR)
        return bool(error <= MOST_GRADIENT_ERROR) and is_close

    @functools.cached_property
    def _checked(self) -> tuple[Tensor, Tensor]:
        """The gradient of the first image, and the image after STEPS steps of Adam, (1, 3, H, W) each."""
        image, target = self._images(CHECKED_PX)
        evaluate = self.evaluation(image, target)
        return evaluate(image)[1], _descended(image, evaluate)

    def loss(self, image: Tensor, target: Tensor) -> Tensor:
        """Compute the mean squared difference of the features, (), in proportion to the target's."""
        with torch.no_grad():
            wanted = self._features(target)
        return (self._features(image) - wanted).square().mean() / wanted.square().mean()

    def evaluation(self, image: Tensor, target: Tensor) -> Evaluation:
        """Return the function from images of this size to the loss and its gradient."""

        def evaluate(image: Tensor) -> tuple[Tensor, Tensor]:
            image = image.detach().requires_grad_()
            loss = self.loss(image, target)
            with self._network.path.arithmetic(self._device):
                (gradient,) = torch.autograd.grad(loss, image)
            return loss.detach(), gradient

        return recorded(evaluate, image) if self._network.path.recorded else evaluate

    def _features(self, image: Tensor) -> Tensor:
        return self._network.features(image, [self._layer])[self._layer]

    def _images(self, side: int) -> tuple[Tensor, Tensor]:
        """Return the first image and the target: noise, and noise as smooth as a photograph."""
        side = max(side, self._network.minimum_px)
        random = torch.Generator().manual_seed(1)
        noise = torch.rand(1, 3, side, side, generator=random)
        coarse = torch.rand(1, 3, 9, 9, generator=random)
        smooth = torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear")
        return noise.to(self._device), (0.9 * smooth + 0.1 * noise).to(self._device)


def _descended(image: Tensor, evaluate: Evaluation) -> Tensor:
    """Return the image after STEPS steps of Adam."""
    image = image.clone()
    optimizer = torch.optim.Adam([image], lr=STEP_SIZE)
    for _ in range(STEPS):
        _, image.grad = evaluate(image)
        optimizer.step()
        image.clamp_(0, 1)
    return image
