"""The unpickler of NumPy arrays: arrays are loaded, and nothing outside of arrays is called."""

from __future__ import annotations

import io
from pathlib import Path

import numpy
import pytest

from backend.weights.numpy_pickle import NotAnArray, load


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
