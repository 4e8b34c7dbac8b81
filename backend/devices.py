"""Which processor or graphics card computes. Knows nothing of what is computed."""

from __future__ import annotations

import torch

ACCELERATORS = ("cuda", "mps", "xpu")


def choose(name: str) -> torch.device:
    """The device called `name`; "auto" takes the first accelerator there is, else the processor.

    Raises:
        ValueError: there is no such device in this computer.
    """
    if name == "auto":
        name = next(filter(is_available, ACCELERATORS), "cpu")
    if not is_available(name):
        raise ValueError(f"This computer has no {name} device that PyTorch can use; choose another.")
    return torch.device(name)


def is_available(name: str) -> bool:
    """Whether PyTorch can compute on the kind of device called `name`."""
    if name == "mps":
        return torch.backends.mps.is_available()
    return name == "cpu" or (name in ACCELERATORS and bool(getattr(torch, name).is_available()))


def release(device: torch.device) -> None:
    """Give the memory that PyTorch caches on an accelerator back to the other programs."""
    if device.type in ACCELERATORS:
        getattr(torch, device.type).empty_cache()
