"""Replacing a file safely: as a whole, through links, with its mode and owner kept.

The new file is made beside the old one, under a new and unpredictable name, readable only for this user.
A link stays a link: its target is replaced.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .streams import is_stream, opened_stream


@contextlib.contextmanager
def replacing(path: Path, suffix: str) -> Iterator[Path]:
    """Yield an empty draft with a name in `suffix`; at the end of the block it becomes `path`.

    A pipe or device, and standard output as "-", gets the draft's bytes instead. If the block raises,
    `path` stays as it was and the draft is removed.

    Raises:
        OSError: the file cannot be written, or is write-protected.
    """
    if is_stream(path):
        with tempfile.TemporaryDirectory(prefix="atelier-") as folder:
            draft = Path(folder, f"picture{suffix}")
            yield draft
            with opened_stream(path) as stream, draft.open("rb") as content:
                shutil.copyfileobj(content, stream)
        return
    target = Path(os.path.realpath(path))
    with draft_beside(target, suffix) as draft:
        yield draft
        _copy_permissions(target, draft)
        draft.replace(target)


@contextlib.contextmanager
def draft_beside(path: Path, suffix: str) -> Iterator[Path]:
    """Yield a new empty file in the folder of a file; it is removed at the end of the block if still there.

    Raises:
        OSError: the folder does not allow it, or the file is write-protected.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not os.access(target, os.W_OK):  # its folder alone would allow replacing it
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))
    descriptor, name = tempfile.mkstemp(suffix, ".atelier-", target.parent)
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _copy_permissions(target: Path, draft: Path) -> None:
    """Give the draft the mode and owner of the target; without a target, those of a new file."""
    if not target.exists():
        draft.chmod(0o666 & ~_umask())
        return
    if hasattr(os, "chown"):
        status = target.stat()
        with contextlib.suppress(PermissionError):  # only root may give files away
            os.chown(draft, status.st_uid, status.st_gid)
    shutil.copymode(target, draft)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
