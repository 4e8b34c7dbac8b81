"""The unpickler of NumPy arrays: arrays are loaded, and nothing outside of arrays is called."""

from __future__ import annotations

import io
from pathlib import Path

import numpy
import pytest

from backend.weights.numpy_pickle import NotAnArray, NotAPickle, load


def test_an_array_is_loaded_as_it_was_saved() -> None:
    array = numpy.array([[1.5, -2.0, 3.0]], dtype=numpy.float32)
    loaded = load(io.BytesIO(array.dumps(protocol=3)))  # type: ignore[call-arg]
    assert loaded.dtype == array.dtype
    assert loaded.tolist() == [[1.5, -2.0, 3.0]]


def test_arrays_in_dictionaries_and_lists_are_loaded() -> None:
    kernel, bias = numpy.ones((2, 3)), numpy.arange(2)
    nested = numpy.array([{"conv": [kernel, bias]}], dtype=object)
    ((layers),) = load(io.BytesIO(nested.dumps(protocol=3)))  # type: ignore[call-arg]
    assert [part.tolist() for part in layers["conv"]] == [[[1, 1, 1], [1, 1, 1]], [0, 1]]


def test_module_names_from_before_numpy_2_are_accepted() -> None:
    pickled = numpy.arange(3).dumps(protocol=3)  # type: ignore[call-arg]
    older = pickled.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert older != pickled
    assert load(io.BytesIO(older)).tolist() == [0, 1, 2]


def test_a_command_is_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    command = f"cos\nsystem\n(S'touch {trace}'\ntR."
    with pytest.raises(NotAnArray, match=r"names os\.system, which is not part of a NumPy array"):
        load(io.BytesIO(command.encode()))
    assert not trace.exists()


@pytest.mark.parametrize(
    "name",
    ["builtins eval", "builtins getattr", "numpy load", "numpy fromfile", "numpy.core.multiarray fromstring"],
)
def test_a_harmful_name_is_rejected_even_if_it_is_not_called(name: str) -> None:
    module, _, attribute = name.partition(" ")
    with pytest.raises(NotAnArray, match=f"names {module}.{attribute}"):
        load(io.BytesIO(f"c{module}\n{attribute}\n.".encode()))


def test_a_name_with_dots_does_not_reach_attributes_of_an_accepted_name() -> None:
    # Protocol 4 resolves dotted names part by part: numpy, ndarray.tofile.
    pickled = b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93."
    with pytest.raises(NotAnArray, match=r"numpy\.ndarray\.tofile"):
        load(io.BytesIO(pickled))


def pickled(*opcodes: bytes) -> io.BytesIO:
    return io.BytesIO(b"\x80\x04" + b"".join(opcodes) + b".")


NDARRAY, DTYPE = b"cnumpy\nndarray\n", b"cnumpy\ndtype\n"
RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
FLOATS = DTYPE + b"(\x8c\x02f4\x89\x88tR"
EMPTY = RECONSTRUCT + b"(" + NDARRAY + b"K\x00\x85C\x01btR"


def state(shape: bytes, kind: bytes, raw: bytes) -> bytes:
    """Return opcodes that set an array's state, from those of its shape, its type and its content."""
    return b"(K\x01" + shape + kind + b"\x89" + raw + b"tb"


def bytes_of(raw: bytes) -> bytes:
    return b"C" + bytes([len(raw)]) + raw


HOSTILE = {
    "an array at an address": [NDARRAY, b"(K\x01\x85\x8c\x01OC\x08", b"A" * 8, b"tR"],
    "an array by its class": [NDARRAY, b"(K\x01\x85tR"],
    "objects from bytes": [EMPTY, state(b"K\x01\x85", DTYPE + b"(\x8c\x02O8tR", bytes_of(b"A" * 8))],
    "a type of several fields": [DTYPE, b"(\x8c\x02V8\x89\x88tR"],
    "a negative offset": [
        FLOATS,
        b"(K\x03\x8c\x01<N\x8c\x01x\x85}\x8c\x01x(",
        FLOATS,
        b"J\xff\xff\xff\xffts",
        b"tb",
    ],
    "a negative side": [EMPTY, state(b"J\xff\xff\xff\xff\x85", FLOATS, bytes_of(b"1234"))],
    "too little content": [EMPTY, state(b"J\xff\xff\xff\x7f\x85", FLOATS, bytes_of(b"1234"))],
    "no type": [EMPTY, state(b"K\x01\x85", b"N", bytes_of(b"1234"))],
    "a changed function": [RECONSTRUCT, b"}\x8c\x08__call__K\x01sb"],
    "something else than an array": [RECONSTRUCT, b"(", DTYPE, b"K\x00\x85C\x01btR"],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_values_that_numpy_would_trust_are_refused(name: str) -> None:
    """NumPy itself would make arrays of wild addresses from some of these."""
    with pytest.raises((NotAnArray, NotAPickle)):
        load(pickled(*HOSTILE[name]))


def test_a_valid_array_is_loaded_from_such_opcodes() -> None:
    values = numpy.array([1.5, -2], dtype="<f4")
    loaded = load(pickled(EMPTY, state(b"K\x02\x85", FLOATS, bytes_of(values.tobytes()))))
    assert loaded.tolist() == [1.5, -2] and loaded.dtype == values.dtype
