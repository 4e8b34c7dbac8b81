"""How a process that computes keeps its memory. Knows the C library's allocator, and not torch."""

from __future__ import annotations

ENVIRONMENT = {
    "GLIBC_TUNABLES": ":".join(
        (
            "glibc.malloc.mmap_max=0",
            "glibc.malloc.trim_threshold=8589934592",
            "glibc.malloc.hugetlb=1",
        )
    )
}
"""Freed memory is kept for the next feature map, in huge pages.

Fresh pages, which the system has to clear, are a fifth of an evaluation's time otherwise. Set before
the process starts; other C libraries than glibc take no notice.
"""
