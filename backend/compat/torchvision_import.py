"""The only import of torchvision; it also succeeds if torchvision's compiled operators cannot be loaded.

Use it as `from ..compat.torchvision_import import torchvision`.

A torchvision built for CUDA cannot load its binary beside a torch built for the processor. Its import
then fails while it registers fake versions of operators such as `torchvision::nms`, normally defined
by the binary. With the schemas defined here the import succeeds. The operators themselves
stay absent; Atelier does not use them.
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
    # The definitions exist only as long as this library object.
    _library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for schema in SCHEMAS:
        _library.define(schema)  # type: ignore[no-untyped-call]
    import torchvision

__all__ = ["torchvision"]
