"""The choice of a device."""

from __future__ import annotations

import pytest
import torch

from backend.compat import devices


def accelerators_here() -> list[str]:
    """Return what PyTorch itself reports, by another function than `devices` uses."""
    return [torch.accelerator.current_accelerator().type] if torch.accelerator.is_available() else []  # type: ignore[union-attr]


def test_auto_is_the_accelerator_or_else_the_processor() -> None:
    assert devices.choose("auto").type == (accelerators_here() or ["cpu"])[0]


@pytest.mark.parametrize("name", ["cpu", *accelerators_here()])
def test_an_available_device_can_compute(name: str) -> None:
    device = devices.choose(name)
    assert torch.ones(3, device=device).sum().item() == 3
    devices.release(device)


@pytest.mark.parametrize("name", [a for a in devices.ACCELERATORS if a not in accelerators_here()])
def test_a_missing_device_is_an_error_with_its_name(name: str) -> None:
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
def test_running_out_of_memory_is_distinguished_from_other_errors(error: RuntimeError) -> None:
    assert devices.is_out_of_memory(error)
    assert not devices.is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(ValueError, match="no abacus device"):
        devices.choose("abacus")


def test_the_processor_s_free_memory_is_unknown() -> None:
    assert devices.free_bytes(torch.device("cpu")) is None


@pytest.mark.parametrize("name", ["cuda", "xpu"])
def test_a_card_s_free_memory_includes_what_pytorch_keeps_for_reuse(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = {"mem_get_info": (500, 1000), "memory_reserved": 300, "memory_allocated": 100}
    for function, value in figures.items():
        monkeypatch.setattr(getattr(torch, name), function, lambda _, value=value: value)
    assert devices.free_bytes(torch.device(name)) == 700


def test_apple_s_free_memory_is_what_the_system_recommends_less_what_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 900)
    monkeypatch.setattr(torch.mps, "current_allocated_memory", lambda: 200)
    assert devices.free_bytes(torch.device("mps")) == 700
