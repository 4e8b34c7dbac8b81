"""Numpy arrays out of a pickle, and nothing else: the one place where something is unpickled.

A pickle is a program, which may call whatever it names. This one may name what a numpy array is made
of, three names, and is refused at any other. It knows nothing of what the arrays mean.
"""

from __future__ import annotations

import pickle
from typing import IO, Any

import numpy

ADMITTED = {
    ("numpy", "ndarray"): numpy.ndarray,
    ("numpy", "dtype"): numpy.dtype,
    ("numpy.core.multiarray", "_reconstruct"): numpy.empty(0).__reduce__()[0],  # numpy calls it otherwise now
}


class NotAnArray(Exception):
    """The pickle names something that is no part of a numpy array."""


def load(file: IO[bytes]) -> Any:
    """What `file` holds: arrays, in whatever lists and dictionaries they were put.

    Raises:
        NotAnArray: it wants something else as well; nothing of that was called.
    """
    return _ArrayUnpickler(file).load()


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ADMITTED:
            raise NotAnArray(f"The pickle wants {module}.{name}, which is no part of a numpy array.")
        return ADMITTED[module, name]
