"""The one unpickler: arrays come out, and nothing that is no part of an array is ever called."""

from __future__ import annotations

import io
from pathlib import Path

import numpy
import pytest

from backend.weights.numpy_pickle import NotAnArray, load


def test_an_array_comes_out_as_it_went_in() -> None:
    array = numpy.array([[1.5, -2.0, 3.0]], dtype=numpy.float32)
    loaded = load(io.BytesIO(array.dumps(protocol=3)))  # type: ignore[call-arg]
    assert loaded.dtype == array.dtype
    assert loaded.tolist() == [[1.5, -2.0, 3.0]]


def test_arrays_may_lie_in_dictionaries_and_lists() -> None:
    kernel, bias = numpy.ones((2, 3)), numpy.arange(2)
    nested = numpy.array([{"conv": [kernel, bias]}], dtype=object)
    ((layers),) = load(io.BytesIO(nested.dumps(protocol=3)))  # type: ignore[call-arg]
    assert [part.tolist() for part in layers["conv"]] == [[[1, 1, 1], [1, 1, 1]], [0, 1]]


def test_what_numpy_called_its_parts_before_is_understood() -> None:
    pickled = numpy.arange(3).dumps(protocol=3)  # type: ignore[call-arg]
    older = pickled.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert older != pickled
    assert load(io.BytesIO(older)).tolist() == [0, 1, 2]


def test_a_command_is_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    command = f"cos\nsystem\n(S'touch {trace}'\ntR."
    with pytest.raises(NotAnArray, match=r"wants os\.system, which is no part of a numpy array"):
        load(io.BytesIO(command.encode()))
    assert not trace.exists()


@pytest.mark.parametrize(
    "name",
    ["builtins eval", "builtins getattr", "numpy load", "numpy fromfile", "numpy.core.multiarray fromstring"],
)
def test_a_harmful_name_is_refused_even_if_it_is_not_called(name: str) -> None:
    module, _, attribute = name.partition(" ")
    with pytest.raises(NotAnArray, match=f"wants {module}.{attribute}"):
        load(io.BytesIO(f"c{module}\n{attribute}\n.".encode()))


def test_a_name_with_dots_reaches_nothing_inside_what_is_admitted() -> None:
    """Protocol 4 looks names up by their parts: numpy, ndarray.tofile."""
    pickled = b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93."
    with pytest.raises(NotAnArray, match=r"numpy\.ndarray\.tofile"):
        load(io.BytesIO(pickled))
