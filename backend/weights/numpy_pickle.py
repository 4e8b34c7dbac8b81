"""A loader of NumPy arrays from pickles that refuses everything else: the only use of pickle in Atelier.

A pickle is a program that may call any function by name. This unpickler accepts only the names NumPy
uses to rebuild arrays, and none of them is NumPy's own function: NumPy trusts the sizes, offsets and
object addresses in a pickle. The functions here rebuild arrays of plain numbers from checked values.

Source: numpy/_core/src/multiarray/methods.c (array_setstate: the state of a pickled array)
"""

from __future__ import annotations

import pickle
import struct
from typing import IO, Any

import numpy

NUMBERS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
"""The types of numbers in arrays, by NumPy's names without byte order."""
OBJECTS = ("O4", "O8")
"""The types of arrays whose elements are pickled themselves, as a list."""
MAX_DIMENSIONS = 32

NotAPickle = pickle.UnpicklingError
"""Raised by torch, too, for a file in another format than its own."""


DAMAGED = (
    *(TypeError, ValueError, AttributeError, LookupError, OverflowError, RecursionError),
    *(struct.error, AssertionError),
)
"""Errors of Python's unpickler for damaged files, found by tests/fuzz/pickles.py."""


class NotAnArray(Exception):
    """The pickle has anything but arrays of numbers."""


def load(file: IO[bytes]) -> Any:
    """Load the arrays in `file`, in the same lists and dictionaries as they were saved.

    Raises:
        NotAnArray: it contains anything else; nothing of it was called.
        NotAPickle: the file is no pickle, or damaged.
        EOFError: the file is truncated.
    """
    try:
        return _ArrayUnpickler(file).load()
    except DAMAGED as error:
        raise NotAPickle(f"The pickle is damaged: {error}") from error


class _Type:
    """A pickled dtype: a name from NUMBERS or OBJECTS, and a byte order once its state is set."""

    __slots__ = ("name", "order")

    def __init__(self, name: str) -> None:
        self.name, self.order = name, "<"

    def __setstate__(self, state: tuple[object, ...]) -> None:
        version, order, *rest = state
        if version != 3 or order not in ("<", ">", "|") or rest[:3] != [None] * 3:
            raise NotAnArray("The pickle has a type of array elements that is not a plain number.")
        self.order = str(order)

    def decoded(self, raw: object) -> numpy.ndarray[Any, Any]:
        """Return the elements in an array's state, (n,): objects from a list, or numbers from bytes."""
        if self.name in OBJECTS and isinstance(raw, list):
            elements = numpy.empty(len(raw), object)
            for place, element in enumerate(raw):
                elements[place] = element
            return elements
        if self.name in NUMBERS and isinstance(raw, bytes):
            return numpy.frombuffer(raw, self.order + self.name)
        raise NotAnArray("The pickle has an array whose content is of another type than its elements.")


class _Array(numpy.ndarray[Any, Any]):
    """A pickled array. It is empty until its state is set."""

    def __setstate__(self, state: tuple[object, ...]) -> None:
        """Set shape, type and content as NumPy does, after checking that they belong together."""
        _, shape, kind, is_fortran, raw = state
        sides = shape if isinstance(shape, tuple) else (-1,)
        if len(sides) > MAX_DIMENSIONS or not all(type(side) is int and side >= 0 for side in sides):
            raise NotAnArray("The pickle has an array without a valid shape.")
        if not isinstance(kind, _Type):
            raise NotAnArray("The pickle has an array without a type.")
        array = kind.decoded(raw).reshape(sides, order="F" if is_fortran else "C")
        super().__setstate__(array.__reduce__()[2])  # type: ignore[arg-type]


class _Function:
    """A name of NumPy's in a pickle. Its attributes cannot be changed by the pickle."""

    __slots__ = ()

    def __setstate__(self, _: object) -> None:
        raise NotAnArray("The pickle changes a function.")


class _ArrayClass(_Function):
    """The class of arrays, as an argument of `_Reconstruct`. It cannot be called."""


class _Reconstruct(_Function):
    """Makes an empty array, whose state follows."""

    def __call__(self, kind: object, _shape: object, _code: object) -> _Array:
        if not isinstance(kind, _ArrayClass):
            raise NotAnArray("The pickle makes something else than an array.")
        return _Array(0)


class _MakeType(_Function):
    """Makes a type of numbers from its name."""

    def __call__(self, name: object, *_: object) -> _Type:
        if name not in (*NUMBERS, *OBJECTS):
            raise NotAnArray(f"The pickle has elements of the type {name!r:.20}, which are no numbers.")
        return _Type(str(name))


REFUSED = (
    *(pickle.INST, pickle.OBJ, pickle.NEWOBJ, pickle.NEWOBJ_EX),
    *(pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.PERSID, pickle.BINPERSID),
    *(pickle.BYTEARRAY8, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER),
)
"""Opcodes that arrays of numbers do not need: for objects of other classes, outside objects and buffers."""

ACCEPTED = {
    ("numpy", "ndarray"): _ArrayClass,
    ("numpy", "dtype"): _MakeType,
    ("numpy.core.multiarray", "_reconstruct"): _Reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _Reconstruct,  # its name since NumPy 2
}


class _ArrayUnpickler(pickle._Unpickler):
    """The unpickler in Python: unlike the one in C, it allocates no memory for an index in a damaged file."""

    dispatch = {  # noqa: RUF012
        code: load for code, load in pickle._Unpickler.dispatch.items() if bytes([code]) not in REFUSED
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ACCEPTED:
            raise NotAnArray(f"The pickle names {module}.{name}, which is not part of a NumPy array.")
        return ACCEPTED[module, name]()
