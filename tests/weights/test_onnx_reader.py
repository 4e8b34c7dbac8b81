"""The reader of ONNX files: constants, and int8 tensors dequantised; the files are written by hand."""

from __future__ import annotations

import io
import struct

import pytest
import torch

from backend.weights.onnx_reader import NotOnnx, constants

FLOAT, INT8 = 1, 3


def varint(value: int) -> bytes:
    low, rest = value % 128, value // 128
    return bytes([low + 128]) + varint(rest) if rest else bytes([low])


def field(number: int, value: int | bytes) -> bytes:
    """Encode a field of a protocol buffer: an integer, or bytes after their length."""
    if isinstance(value, int):
        return varint(number * 8) + varint(value)
    return varint(number * 8 + 2) + varint(len(value)) + value


def tensor(name: str, data_type: int, dims: list[int], raw: bytes) -> bytes:
    fields = [field(1, size) for size in dims] + [field(2, data_type), field(8, name.encode()), field(9, raw)]
    return field(5, b"".join(fields))


def node(operator: str, inputs: list[str], output: str) -> bytes:
    fields = [field(1, name.encode()) for name in inputs]
    return field(1, b"".join([*fields, field(2, output.encode()), field(4, operator.encode())]))


def model(*parts: bytes) -> io.BytesIO:
    return io.BytesIO(field(1, 8) + field(2, b"a producer") + field(7, b"".join(parts)))


def test_a_constant_has_its_name_shape_and_values() -> None:
    values = [float(i) for i in range(300)]  # long enough for lengths of two bytes
    found = constants(model(tensor("kernel", FLOAT, [100, 3], struct.pack("<300f", *values))))
    assert list(found) == ["kernel"]
    assert found["kernel"].tolist() == [values[i : i + 3] for i in range(0, 300, 3)]


def test_int8_is_dequantised_with_a_scale_for_each_channel() -> None:
    found = constants(
        model(
            tensor("w", INT8, [2, 2], struct.pack("4b", 1, -2, 3, -128)),
            tensor("scale", FLOAT, [2], struct.pack("<2f", 0.5, 2.0)),
            tensor("zero", INT8, [2], struct.pack("2b", 0, 1)),
            node("DequantizeLinear", ["w", "scale", "zero"], "kernel"),
        )
    )
    # (1 - 0) / 2, (-2 - 0) / 2, (3 - 1) · 2, (-128 - 1) · 2
    assert found["kernel"].tolist() == [[0.5, -1.0], [4.0, -258.0]]
    assert found["kernel"].dtype == torch.float32


def test_a_scalar_scale_applies_to_all_values_and_computed_tensors_are_left_out() -> None:
    found = constants(
        model(
            tensor("w", INT8, [2], struct.pack("2b", 4, -6)),
            tensor("scale", FLOAT, [], struct.pack("<f", 0.25)),
            tensor("zero", INT8, [], struct.pack("b", 0)),
            node("DequantizeLinear", ["w", "scale", "zero"], "bias"),
            node("DequantizeLinear", ["computed", "scale", "zero"], "of_computed"),
            node("Relu", ["w"], "relu"),
        )
    )
    assert found["bias"].tolist() == [1.0, -1.5]
    assert not {"of_computed", "relu"} & found.keys()


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "content",
    [
        b"\xff" * 1_000_000,
        b"\x08" + b"\xff" * 10 + b"\x01",
        b"\x0b\x01",
        b"\x3a\x7f",
        b"",
        field(7, field(5, field(2, 99) + field(8, b"x") + field(9, b"1"))),
    ],
    ids=["endless integers", "eleven bytes", "a group", "cut", "nothing", "an unknown type"],
)
def test_a_damaged_file_is_refused_at_once(content: bytes) -> None:
    """A million bytes of one integer once took over 20 seconds."""
    with pytest.raises(NotOnnx):
        constants(io.BytesIO(content))
