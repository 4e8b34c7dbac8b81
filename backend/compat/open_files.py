"""The process' limit of open files, sockets included. On Windows these functions change nothing."""

from __future__ import annotations

import sys
from pathlib import Path

ENOUGH = 4096


def raise_limit() -> None:
    """Raise the limit to ENOUGH, or as far as the system permits."""
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY and soft < ENOUGH:
            possible = ENOUGH if hard == resource.RLIM_INFINITY else min(ENOUGH, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (possible, hard))


def free() -> int:
    """Return how many more files this process may open."""
    if sys.platform == "win32":
        return ENOUGH
    import resource

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    open_now = sum(1 for _ in Path("/dev/fd").iterdir())
    return ENOUGH if limit == resource.RLIM_INFINITY else limit - open_now
