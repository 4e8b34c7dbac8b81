"""Pickles of arrays: any file gives lists, dictionaries and arrays of numbers, or is refused."""

from __future__ import annotations

import io

import numpy

from backend.weights import numpy_pickle
from backend.weights.numpy_pickle import NotAnArray, NotAPickle

WORDS = [
    *(b"\x80\x04", b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", b"cnumpy.core.multiarray\n_reconstruct\n"),
    *(
        b"\x8c\x02f4",
        b"\x8c\x02O8",
        b"\x89\x88tR",
        b"K\x00\x85C\x01btR",
        b"(K\x01",
        b"K\x02\x85",
        b"tb",
        b"C\x08",
    ),
    *(b"cos\nsystem\n", b"\x93", b"\x81", b"N", b"]", b"}", b"s", b"u", b"."),
]


def one_input(data: bytes) -> None:
    try:
        loaded = numpy_pickle.load(io.BytesIO(data))
    except (NotAnArray, NotAPickle, EOFError, MemoryError):
        return
    if isinstance(loaded, numpy.ndarray):
        assert loaded.size * loaded.itemsize == loaded.nbytes
        repr(loaded.ravel()[:100])
