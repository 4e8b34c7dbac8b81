"""A reader of the constant tensors of an ONNX file; int8 tensors are dequantised.

An ONNX file is a protocol buffer. Four of its messages suffice for the weights, so this reader takes the
place of the onnx package.

Sources: onnx.proto of ONNX 1.16, messages ModelProto, GraphProto, TensorProto and NodeProto;
Protocol Buffers, *Encoding*.
"""

from __future__ import annotations

import io
from collections import defaultdict
from typing import IO, Any

import torch
from torch import Tensor

# Field numbers: of a model, a graph, a tensor, a node.
GRAPH = 7
NODE, INITIALIZER = 1, 5
DIMS, DATA_TYPE, NAME, RAW_DATA = 1, 2, 8, 9
INPUT, OUTPUT, OPERATOR = 1, 2, 4

TYPES = {1: torch.float32, 3: torch.int8, 6: torch.int32, 7: torch.int64}
VARINT, FIXED_64, LENGTH_DELIMITED, FIXED_32 = 0, 1, 2, 5
LONGEST_VARINT_BITS = 63
"""The position of the last byte's bits: an integer has at most ten bytes."""

Message = dict[int, list[Any]]
"""The values of each field by its number: integers, or bytes, which may hold another message."""


class NotOnnx(Exception):
    """The file is damaged, or is no ONNX file."""


def constants(file: IO[bytes]) -> dict[str, Tensor]:
    """Return the constants of the file's graph by name; a dequantised one has the name of its node's output.

    Constants without raw bytes, such as sizes, are left out: they are no weights.

    Raises:
        NotOnnx: the file is damaged, or is no ONNX file.
    """
    try:
        return _constants(file.read())
    except (ValueError, LookupError, TypeError, AttributeError, RuntimeError, OverflowError) as error:
        raise NotOnnx(f"The ONNX file is damaged: {error}") from error


def _constants(content: bytes) -> dict[str, Tensor]:
    (graph,) = _message(content)[GRAPH]
    fields = _message(graph)
    initializers = map(_message, fields[INITIALIZER])
    tensors = dict(_tensor(initializer) for initializer in initializers if any(initializer[RAW_DATA]))
    for node in map(_message, fields[NODE]):
        names = [name.decode() for name in (*node[INPUT], *node[OUTPUT])]
        if node[OPERATOR] == [b"DequantizeLinear"] and names[0] in tensors:
            *inputs, output = names
            tensors[output] = _dequantised(*(tensors[name] for name in inputs))
    return tensors


def _dequantised(values: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
    """Compute (values - zero point) · scale.

    Scale and zero point are scalars, (), or one number for each index of the first axis of `values`, (n,).
    """
    shape = (-1, *(1 for _ in values.shape[1:])) if scale.dim() else ()
    return (values.float() - zero_point.float().reshape(shape)) * scale.reshape(shape)


def _tensor(fields: Message) -> tuple[str, Tensor]:
    (name,), (data_type,), (raw,) = fields[NAME], fields[DATA_TYPE], fields[RAW_DATA]
    return name.decode(), torch.frombuffer(bytearray(raw), dtype=TYPES[data_type]).reshape(fields[DIMS])


def _message(encoded: bytes) -> Message:
    fields: Message = defaultdict(list)
    stream = io.BytesIO(encoded)
    while stream.tell() < len(encoded):
        number, kind = divmod(_varint(stream), 8)
        fields[number].append(_varint(stream) if kind == VARINT else _bytes(_length(kind, stream), stream))
    return fields


def _bytes(length: int, stream: IO[bytes]) -> bytes:
    content = stream.read(length)
    if len(content) < length:
        raise ValueError("it is cut off")
    return content


def _length(kind: int, stream: IO[bytes]) -> int:
    return _varint(stream) if kind == LENGTH_DELIMITED else {FIXED_64: 8, FIXED_32: 4}[kind]


def _varint(stream: IO[bytes]) -> int:
    """Read an integer: seven bits per byte, lowest first; the eighth bit is 1 if more bytes follow."""
    value = shift = 0
    while (byte := stream.read(1)[0]) >= 128:
        if shift == LONGEST_VARINT_BITS:
            raise ValueError("an integer has more than ten bytes")
        value |= (byte - 128) << shift
        shift += 7
    return value | byte << shift
