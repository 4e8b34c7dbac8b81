"""The choice of a device."""

from __future__ import annotations

import pytest
import torch

from backend.compat import devices


def accelerators_here() -> list[str]:
    """What PyTorch itself reports, asked another way than `devices` asks."""
    return [torch.accelerator.current_accelerator().type] if torch.accelerator.is_available() else []  # type: ignore[union-attr]


def test_auto_takes_the_accelerator_there_is_or_the_processor() -> None:
    assert devices.choose("auto").type == (accelerators_here() or ["cpu"])[0]


@pytest.mark.parametrize("name", ["cpu", *accelerators_here()])
def test_what_is_there_is_taken_and_can_compute(name: str) -> None:
    device = devices.choose(name)
    assert torch.ones(3, device=device).sum().item() == 3
    devices.release(device)


@pytest.mark.parametrize("name", [a for a in devices.ACCELERATORS if a not in accelerators_here()])
def test_what_is_not_there_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=f"no {name} device"):
        devices.choose(name)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA"),
        RuntimeError("MPS backend out of memory (MPS allocated: 17.9 GB)"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    ],
    ids=["cuda", "mps", "cpu"],
)
def test_memory_that_does_not_suffice_is_told_from_other_errors(error: RuntimeError) -> None:
    assert devices.is_out_of_memory(error)
    assert not devices.is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="no abacus device"):
        devices.choose("abacus")
