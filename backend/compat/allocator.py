"""How this process takes memory from the system: kept from one step and job to the next, or given back.

A fresh page is cleared by the system when it is first written to. Algorithms take hundreds of
megabytes in every step and give them back, so that this becomes a third of their time. On Linux with
the GNU C library alone; elsewhere nothing here does anything.

Knows no tensors.
"""

from __future__ import annotations

import ctypes
import sys

MOST_PIXELS = 2**20
"""Of a picture for which memory is kept."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -3, -4, -8
"""What can be set with mallopt, from malloc.h."""
MOST_MAPPINGS, MAPPED_BYTES = 65536, 32 * 2**20
"""The library's own bounds: how many blocks are mapped each for itself, and from which size on at most."""


def keep_for(pixels: int) -> None:
    """Keep from now on what is freed, where the work is on a picture of so few pixels that it pays.

    What is kept does not always fit what comes next, so that up to a third more is taken: too much
    for larger pictures. What was kept before one of those is given back.
    """
    share_one_arena()
    keeps = pixels <= MOST_PIXELS
    _set(M_MMAP_MAX, 0 if keeps else MOST_MAPPINGS)
    _set(M_MMAP_THRESHOLD, MAPPED_BYTES)
    _set(M_TRIM_THRESHOLD, 2**31 - 1 if keeps else 2 * MAPPED_BYTES)
    if not keeps:
        give_back()


def share_one_arena() -> None:
    """Have all threads that begin from now on take their memory from the one place of the first thread.

    Else each has its own, of whose end `give_back` cannot give back up to 64 MB.
    """
    _set(M_ARENA_MAX, 1)


def give_back() -> None:
    """Give what is free back to the system, of what the threads share."""
    if library := _gnu_library():
        library.malloc_trim(0)


def _set(what: int, value: int) -> None:
    if library := _gnu_library():
        library.mallopt(what, value)


def _gnu_library() -> ctypes.CDLL | None:
    """The C library of this process, where it is GNU's."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None
