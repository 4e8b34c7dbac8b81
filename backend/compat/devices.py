"""Which processor or graphics card computes. Knows nothing of what is computed."""

from __future__ import annotations

import torch

ACCELERATORS = ("cuda", "mps", "xpu")
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
"""What PyTorch says; only CUDA's error has a type of its own."""


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


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of PyTorch's says that a device's memory does not suffice."""
    return isinstance(error, torch.OutOfMemoryError) or any(
        words in str(error).lower() for words in OUT_OF_MEMORY
    )


def release(device: torch.device) -> None:
    """Give the memory that PyTorch caches on an accelerator back to the other programs."""
    if device.type in ACCELERATORS:
        getattr(torch, device.type).empty_cache()
