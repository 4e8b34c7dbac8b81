"""Control of the C library's memory allocator: keep freed memory in the process, or return it.

Linux clears every new page at the first write to it. An algorithm allocates and frees hundreds of
megabytes in every step, so clearing pages would take a third of its time. These functions affect the
GNU C library on Linux; on other systems they do nothing.
"""

from __future__ import annotations

import ctypes
import sys

MAX_PIXELS = 2**20
"""Largest picture for which freed memory is kept."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -3, -4, -8
"""Parameters of mallopt, from malloc.h: the most free memory kept at the end of the heap, the least size
of a block with a mapping of its own, the greatest number of such mappings, and of arenas."""

DEFAULT_MMAP_MAX, MMAP_THRESHOLD = 65536, 32 * 2**20
"""The number of mappings is glibc's default; the size is the upper limit of its automatic threshold."""
NEVER_TRIM = 2**31 - 1


def keep_for(pixels: int) -> None:
    """Keep freed memory for the next allocation, if the picture has at most MAX_PIXELS.

    Kept blocks do not always fit the next request, so the process takes up to a third more memory. This
    is too much for larger pictures: their blocks are returned at once, and so is all memory kept before.
    """
    share_one_arena()
    keep = pixels <= MAX_PIXELS
    # A block with a mapping of its own is returned when it is freed; without mappings it stays in the heap.
    _set(M_MMAP_MAX, 0 if keep else DEFAULT_MMAP_MAX)
    _set(M_MMAP_THRESHOLD, MMAP_THRESHOLD)
    _set(M_TRIM_THRESHOLD, NEVER_TRIM if keep else 2 * MMAP_THRESHOLD)
    if not keep:
        give_back()


def share_one_arena() -> None:
    """Limit glibc to one arena for all threads started from now on.

    A thread's own arena would keep up to 64 MB; `give_back` cannot return it.
    """
    _set(M_ARENA_MAX, 1)


def give_back() -> None:
    """Return the free memory of the shared arena to the system."""
    if library := _gnu_library():
        library.malloc_trim(0)


def _set(parameter: int, value: int) -> None:
    if library := _gnu_library():
        library.mallopt(parameter, value)


def _gnu_library() -> ctypes.CDLL | None:
    """Return the C library of this process if it is the GNU one."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None
