"""A loader of NumPy arrays from pickles that refuses everything else: the only use of pickle in Atelier.

A pickle is a program that may call any function by name. This unpickler accepts only the names NumPy
uses to rebuild arrays.
"""

from __future__ import annotations

import pickle
from typing import IO, Any

import numpy

RECONSTRUCT = numpy.empty(0).__reduce__()[0]
ACCEPTED = {
    ("numpy", "ndarray"): numpy.ndarray,
    ("numpy", "dtype"): numpy.dtype,
    ("numpy.core.multiarray", "_reconstruct"): RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): RECONSTRUCT,  # its name since NumPy 2
}


NotAPickle = pickle.UnpicklingError
"""Raised by torch, too, for a file in another format than its own."""


class NotAnArray(Exception):
    """The pickle names a function or class outside NumPy's arrays."""


def load(file: IO[bytes]) -> Any:
    """Load the arrays in `file`, in the same lists and dictionaries as they were saved.

    Raises:
        NotAnArray: it contains anything else; nothing of it was called.
    """
    return _ArrayUnpickler(file).load()


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ACCEPTED:
            raise NotAnArray(f"The pickle names {module}.{name}, which is not part of a NumPy array.")
        return ACCEPTED[module, name]
