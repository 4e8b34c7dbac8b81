"""The command `atelier stop`: asks the running backend to end, and ends its process if it does not answer."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from gettext import gettext as _

from filelock import Timeout

from atelier_shared import home, launcher, remote
from atelier_shared.errors import AtelierError, BackendSilent, VersionMismatch

from ..__main__ import lock_of

RELEASE_S = 20.0
"""Time for a backend to release its lock after it has closed its connection."""
RESTORE_S = 3.0
"""Time for a backend to restore its lost connection file."""
SIGNAL_S = 5.0
"""Time for a process to end after each signal."""


def stop_backend() -> bool:
    """Stop the running backend; return False if none was running.

    Raises:
        AtelierError: the process cannot be ended, or the connection file is not trusted.
    """
    return _request_end() or _kill()


def _request_end() -> bool:
    """Ask the backend to end, and return True once another one may start."""
    connection = launcher.read_connection()
    if connection and connection.machine:
        return False  # that backend stays; the process of the tunnel to it is ended
    try:
        client = launcher.connect_if_running()
        if client is None:
            return False
        with client:
            client.stop_backend()
            client.wait_until_gone()
    except (VersionMismatch, BackendSilent):
        return False
    return is_lock_free(within_s=RELEASE_S)


def _kill() -> bool:
    """End the process of a backend without an answer; return False if there is none.

    Only a live backend holds the lock. Without that check, the process number in a leftover connection
    file could belong to another program by now.
    """
    process = _process_of_holder()
    if process is None:
        return False
    for ending in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, ending)
        if is_lock_free(within_s=SIGNAL_S):
            return True
    template = _("The backend (process {process}) cannot be stopped. Restart the computer.")
    raise AtelierError(template, process=process)


def _process_of_holder() -> int | None:
    """Return the process of the backend, or of the connection to another machine, that holds the lock.

    Raises:
        AtelierError: it has lost its connection file and cannot write it again.
    """
    deadline = time.monotonic() + RESTORE_S
    while not is_lock_free(within_s=0):
        if connection := launcher.read_connection():
            return connection.pid
        if (connecting := remote.connecting_process()) is not None:
            return connecting
        if time.monotonic() > deadline:
            template = _(
                "A backend is running, but it cannot write {file}. "
                "Free some disk space and try again, or end its process 'python -I -m backend'."
            )
            raise AtelierError(template, file=home.connection_file())
        time.sleep(launcher.RETRY_S)
    return None


def is_lock_free(*, within_s: float) -> bool:
    """Return True if no backend holds the lock, or if it is released within some time."""
    folder = home.atelier_home()
    if not (folder / home.LOCK_FILE).exists():
        return True
    try:
        with lock_of(folder, wait_s=within_s):
            return True
    except Timeout:
        return False
