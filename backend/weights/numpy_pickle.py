"""Numpy arrays out of a pickle, and nothing else: the one place where something is unpickled.

A pickle is a program that may call whatever it names. Here it may name what a numpy array is made of,
and is refused at anything else. Nothing is known of what the arrays mean.
"""

from __future__ import annotations

import pickle
from typing import IO, Any

import numpy

RECONSTRUCT = numpy.empty(0).__reduce__()[0]
ADMITTED = {
    ("numpy", "ndarray"): numpy.ndarray,
    ("numpy", "dtype"): numpy.dtype,
    ("numpy.core.multiarray", "_reconstruct"): RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): RECONSTRUCT,  # its name since numpy 2
}


NotAPickle = pickle.UnpicklingError
"""What torch raises too for a file that it was to read and that is none of its own."""


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
