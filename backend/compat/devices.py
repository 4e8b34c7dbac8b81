"""Compute devices: the processor, and the graphics cards supported by PyTorch."""

from __future__ import annotations

import platform

import torch

from atelier_shared.deferred_translation import N_
from atelier_shared.errors import Wrong

ACCELERATORS = ("cuda", "mps", "xpu")
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
"""Parts of PyTorch's messages. Only CUDA's error has a type of its own."""


def choose(name: str) -> torch.device:
    """Return the device called `name`; for "auto" the first available accelerator, otherwise the processor.

    Raises:
        ValueError: this computer has no such device.
    """
    if name == "auto":
        name = next(filter(is_available, ACCELERATORS), "cpu")
    if not is_available(name):
        raise Wrong(N_("This computer has no {name} device for PyTorch. Choose another device."), name=name)
    torch.backends.cudnn.allow_tf32 = False  # PyTorch's default rounds convolutions unasked
    return torch.device(name)


def identity(device: torch.device) -> str:
    """Return the name of an accelerator with the versions of its driver or system and of PyTorch."""
    if device.type == "cuda":
        name, driver = torch.cuda.get_device_name(device), torch.version.cuda or torch.version.hip
    elif device.type == "xpu":
        properties = torch.xpu.get_device_properties(device)
        name, driver = properties.name, properties.driver_version
    else:
        name, driver = platform.machine(), platform.release()
    return f"{device.type} {name}, {driver}, torch {torch.__version__}"


def is_available(name: str) -> bool:
    """Return whether PyTorch can compute on the kind of device called `name`."""
    if name == "mps":
        return torch.backends.mps.is_available()
    return name == "cpu" or (name in ACCELERATORS and bool(getattr(torch, name).is_available()))


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether PyTorch raised `error` because a device ran out of memory."""
    return isinstance(error, torch.OutOfMemoryError) or any(
        words in str(error).lower() for words in OUT_OF_MEMORY
    )


def free_bytes(device: torch.device) -> int | None:
    """Return the free memory of an accelerator, including PyTorch's cache; None for the processor."""
    if device.type in ("cuda", "xpu"):
        module = getattr(torch, device.type)
        cached = module.memory_reserved(device) - module.memory_allocated(device)
        return int(module.mem_get_info(device)[0] + cached)
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return None


def release(device: torch.device) -> None:
    """Return the memory cached by PyTorch on an accelerator, so that other programs can use it."""
    if device.type in ACCELERATORS:
        getattr(torch, device.type).empty_cache()
