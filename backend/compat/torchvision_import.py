"""The one place that imports torchvision, also where its compiled operators cannot be loaded.

Whoever needs torchvision writes `from .vision import torchvision`. Nothing here knows what for.

A torchvision built for CUDA cannot load its binary beside a torch built for the processor, and then
its import fails while it describes operators (`torchvision::nms`) that the binary would have
defined. With their schemas defined the import succeeds; the operators themselves, which Atelier
does not use, stay absent.
"""

from __future__ import annotations

import torch

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

try:
    import torchvision
except RuntimeError as error:
    if "torchvision::nms does not exist" not in str(error):
        raise
    # Definitions last as long as the library object that made them.
    _library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for schema in SCHEMAS:
        _library.define(schema)  # type: ignore[no-untyped-call]
    import torchvision

__all__ = ["torchvision"]
