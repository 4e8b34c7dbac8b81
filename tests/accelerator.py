"""An accelerator of `meta` tensors in place of a graphics card: it computes shapes and types, no values.

It also records the operators dispatched to it and counts the host synchronisations, the moments at which
the processor waits for a result. Values read from it are made up: 1, True, or ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

DEVICE = torch.device("meta")
aten = torch.ops.aten

COPIES = {aten._to_copy.default, aten.copy_.default}
"""Operators that may take tensors of both devices."""
SCALARS = {torch.bool: True, torch.int64: 1, torch.int32: 1}
COMPOSITE = (
    "CompositeImplicitAutograd",
    "CompositeExplicitAutograd",
    "CompositeExplicitAutogradNonFunctional",
)
"""PyTorch's names for kernels that consist of other operators and work on every device."""


class MixedDevices(Exception):
    """An operator was given tensors of the processor and of the accelerator."""


class Accelerator(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A mode in which `meta` tensors behave like those of a graphics card.

    Attributes:
        operators: names of the operators dispatched to the accelerator, such as `aten::add.Tensor`.
        types: types of the tensors on the accelerator.
        synchronisations: number of values read by the processor.
        uploads: number of tensors copied from the processor.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operators: set[str] = set()
        self.types: set[torch.dtype] = set()
        self.synchronisations = 0
        self.uploads = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        inputs = list(_tensors((args, kwargs)))
        here = [tensor for tensor in inputs if tensor.device == DEVICE]
        if here and func not in COPIES and any(_is_on_processor(tensor) for tensor in inputs):
            raise MixedDevices(func)
        if here and (func is aten._local_scalar_dense.default or kwargs.get("device") == torch.device("cpu")):
            self._record(func, here)
            return self._read(here[0], kwargs.get("dtype"))
        result = func(*self._with_known_indices(func, args), **kwargs)
        made = [tensor for tensor in _tensors(result) if tensor.device == DEVICE]
        if here or made:
            self._record(func, [*here, *made])
            self.uploads += func in COPIES and any(_is_on_processor(tensor) for tensor in inputs)
        return result

    def _record(self, func: Any, tensors: list[Tensor]) -> None:
        self.operators.add(str(func.name()))
        self.types |= {tensor.dtype for tensor in tensors}

    def _read(self, values: Tensor, dtype: torch.dtype | None) -> Any:
        """Return made-up values: a scalar for a scalar, otherwise a tensor of ones on the processor."""
        self.synchronisations += 1
        if values.ndim == 0:
            return SCALARS.get(values.dtype, 1.0)
        return torch.ones(values.shape, dtype=dtype or values.dtype)

    def _with_known_indices(self, func: Any, args: Any) -> Any:
        """Replace masks by the indices of all elements: which ones they select, only the values tell."""
        if func is not aten.index.Tensor:
            return args

        def all_elements(mask: Tensor) -> Tensor:
            if mask.dtype is not torch.bool:
                return mask
            self.synchronisations += 1
            return torch.arange(mask.numel(), device=DEVICE)

        return args[0], tree_map_only(Tensor, all_elements, args[1])


def _tensors(values: Any) -> Iterator[Tensor]:
    return (value for value in tree_leaves(values) if isinstance(value, Tensor))


def _is_on_processor(tensor: Tensor) -> bool:
    """Return whether a tensor is on the processor; PyTorch accepts scalars of the processor everywhere."""
    return tensor.device.type == "cpu" and tensor.ndim > 0


def is_composite(operator: str) -> bool:
    """Return whether an operator has a kernel made of other operators."""
    return any(torch._C._dispatch_has_kernel_for_dispatch_key(operator, key) for key in COMPOSITE)
