"""The only import of torchvision: quick, and also successful if its compiled operators cannot be loaded.

Use it as `from ..compat.torchvision_import import torchvision`.

A torchvision built for CUDA cannot load its binary beside a torch built for the processor. Its import
then fails while it registers fake versions of operators such as `torchvision::nms`, normally defined
by the binary. With the schemas defined here the import succeeds. The operators themselves
stay absent; Atelier does not use them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import torch

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
COMPILER = "torch._dynamo"


@contextmanager
def _without_compiler() -> Iterator[None]:
    """Skip torchvision's import of PyTorch's compiler, which takes time and memory at every start.

    Only torchvision's operator roi_align imports it, to check whether compilation is supported. A stub
    answers False. The compiler can still be imported afterwards.
    """
    if COMPILER in sys.modules:
        yield
        return
    compiler, functions = ModuleType(COMPILER), ModuleType(f"{COMPILER}.utils")
    functions.is_compile_supported = lambda *_: False  # type: ignore[attr-defined]
    sys.modules |= {module.__name__: module for module in (compiler, functions)}
    try:
        yield
    finally:
        for module in (compiler, functions):
            del sys.modules[module.__name__]


with _without_compiler():
    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::nms does not exist" not in str(error):
            raise
        # The definitions exist only as long as this library object.
        _library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for schema in SCHEMAS:
            _library.define(schema)  # type: ignore[no-untyped-call]
        import torchvision

__all__ = ["torchvision"]
