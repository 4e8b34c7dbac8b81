"""The connection file of a running backend: written, restored while the backend runs, removed at its end.

Sources: docs/protocol.md; stat(2), because a file is identified by its device and inode.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from atelier_shared.errors import BackendUnavailable
from atelier_shared.home import LOCK_FILE, atelier_home, connection_file
from atelier_shared.launcher import Connection, read_connection, write_connection

RESTORE_S = 1.0

log = logging.getLogger(__name__)


@contextmanager
def published(connection: Connection, on_lost: Callable[[], None]) -> Iterator[None]:
    """Keep the connection file in place during the block: it is restored if it is lost or damaged.

    `on_lost` is called, from another thread, once the home folder or its lock file has been removed or
    replaced: another backend may start there, because this one's lock no longer protects the folder.
    """
    ended = threading.Event()
    keeper = threading.Thread(target=_keep, args=(connection, on_lost, _place(), ended), daemon=True)
    try:
        write_connection(connection)
        keeper.start()
        yield
    finally:
        ended.set()
        if keeper.is_alive():
            keeper.join()
        _remove(connection)


def _keep(connection: Connection, on_lost: Callable[[], None], place: object, ended: threading.Event) -> None:
    problem = ""
    while not ended.wait(RESTORE_S):
        try:
            if _place() != place:
                log.error("the home folder or its lock file was replaced; ending")
                on_lost()
                return
            if read_connection() is None:
                write_connection(connection)
            problem = ""
        except (OSError, BackendUnavailable) as error:  # for example a full disk; tried again each time
            if str(error) != problem:
                problem = str(error)
                log.warning("the connection file cannot be restored yet: %s", error)


def _place() -> tuple[object, ...]:
    """Return the identities of the home folder and of its lock file."""
    return _identity(atelier_home()), _identity(atelier_home() / LOCK_FILE)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return a file's device and inode; None if it is missing."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _remove(connection: Connection) -> None:
    """Remove the connection file, unless it is another backend's."""
    try:
        if read_connection() == connection:
            connection_file().unlink()
    except (OSError, BackendUnavailable) as error:
        log.warning("the connection file could not be removed: %s", error)
