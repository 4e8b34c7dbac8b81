"""Finds the running backend, or starts one: the connection file, the process, its environment.

A backend announces itself in `connection.json` in Atelier's home folder, readable by its user
alone, after it has bound its port. It holds a lock for as long as it lives, so however many are
started at once, one stays. Knows nothing of GIMP.
"""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from .client import BackendClient
from .deferred_translation import N_
from .errors import BackendUnavailable, ProtocolError, VersionMismatch
from .home import atelier_home, backend_python, connection_file, log_file, write_privately

START_S = 120.0
RETRY_S = 0.05
RESTART_S = 1.0
LOG_BYTES = 1_000_000
CONNECTION_BYTES = 4096
WINDOWS_DETACHED = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(
    subprocess, "CREATE_NEW_PROCESS_GROUP", 0
)
FOREIGN_VARIABLES = ("LD_", "DYLD_", "PYTHON", "GI_", "GIO_", "GTK_", "GDK_", "GIMP", "GEGL_", "BABL_")


@dataclass(frozen=True)
class Connection:
    """Where a backend listens, and the key that both sides know, as hex digits."""

    port: int
    pid: int
    key: str

    def is_possible(self) -> bool:
        """Whether there can be such a port, process and key; `pid` is for signals, where -1 is everybody."""
        numbers = type(self.port) is type(self.pid) is int and 0 < self.port < 2**16 and 0 < self.pid < 2**31
        return numbers and isinstance(self.key, str) and re.fullmatch("[0-9a-f]{64}", self.key) is not None

    def open(self) -> BackendClient:
        """A client of the backend that listens there; raises as BackendClient does."""
        return BackendClient(self.port, bytes.fromhex(self.key))


def write_connection(connection: Connection) -> None:
    """Announce a backend in the connection file, which only this user can read."""
    write_privately(connection_file(), json.dumps(asdict(connection)))


def read_connection() -> Connection | None:
    """What the connection file says, or None where there is none to be understood.

    Raises:
        BackendUnavailable: there is one that others may have written or read; the text says what to do.
    """
    try:
        content = _read_private(connection_file())
        connection = Connection(**json.loads(content))
        return connection if connection.is_possible() else None
    except (FileNotFoundError, ValueError, TypeError, RecursionError):
        return None


def _read_private(path: Path) -> bytes:
    """What is in a file that is this user's alone; nothing of one that is too long.

    Raises:
        FileNotFoundError: there is none.
        BackendUnavailable: it is not this user's alone, or no file at all.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise
    except OSError as error:  # a link, or closed to us
        raise BackendUnavailable(_NOT_OURS, file=path, home=path.parent) from error
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or (os.name == "posix" and not _is_ours_alone(about)):
            raise BackendUnavailable(_NOT_OURS, file=path, home=path.parent)
        return file.read(CONNECTION_BYTES) if about.st_size <= CONNECTION_BYTES else b""


def _is_ours_alone(about: os.stat_result) -> bool:
    return about.st_uid == os.geteuid() and not about.st_mode & 0o077


def connect_if_running() -> BackendClient | None:
    """A client of the running backend, or None where none answers.

    Raises:
        VersionMismatch: one answers, but in another version of the protocol.
        BackendUnavailable: others may have written or read the connection file.
    """
    connection = read_connection()
    if connection is None:
        return None
    try:
        return connection.open()
    except VersionMismatch:
        raise
    except (OSError, ProtocolError):
        return None


def connect(*, waiting: Callable[[], None] = lambda: None, timeout_s: float = START_S) -> BackendClient:
    """A client of the backend, which is started first where none runs.

    `waiting` is called every few hundredths of a second meanwhile, and may raise to give up.

    Raises:
        VersionMismatch: a backend of another version runs.
        BackendUnavailable: none runs and none could be started, or others may have written or read the
            connection file; the text says what to do.
    """
    deadline = time.monotonic() + timeout_s
    process: subprocess.Popen[bytes] | None = None
    start_at = 0.0
    while True:
        client = connect_if_running()
        if client:
            return client
        if time.monotonic() >= start_at and (process is None or process.poll() == 0):
            process = start_backend()
            start_at = time.monotonic() + RESTART_S
        if (process and process.poll()) or time.monotonic() > deadline:
            raise BackendUnavailable(_CANNOT_START, log=log_file())
        waiting()
        time.sleep(RETRY_S)


def start_backend() -> subprocess.Popen[bytes]:
    """Start a backend that outlives this process, its terminal, and GIMP.

    Raises:
        BackendUnavailable: this process may not start programs, or the backend is not installed, or the
            system refuses to start it or to write its log; the text says what to do.
    """
    if sandbox := _sandbox():
        raise BackendUnavailable(_SANDBOXED, sandbox=sandbox)
    try:
        if not backend_python().exists():
            raise BackendUnavailable(_NOT_INSTALLED, home=atelier_home())
        process = _start_process()
    except OSError as error:
        place = error.filename or backend_python()
        raise BackendUnavailable(_REFUSED, file=place, reason=error.strerror, home=atelier_home()) from error
    threading.Thread(target=process.wait, daemon=True).start()  # no zombie, should it end before us
    return process


def _start_process() -> subprocess.Popen[bytes]:
    with _open_log() as log:
        return subprocess.Popen(
            [backend_python(), "-m", "backend"],
            cwd=atelier_home(),
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            creationflags=WINDOWS_DETACHED,
        )


def clean_environment() -> dict[str, str]:
    """This process' environment without what GIMP or its package set for themselves."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN_VARIABLES)}
    return {**kept, "ATELIER_HOME": str(atelier_home())}


def _open_log() -> IO[bytes]:
    log = log_file()
    too_long = log.exists() and log.stat().st_size > LOG_BYTES
    return log.open("wb" if too_long else "ab")


def _sandbox() -> str | None:
    if Path("/.flatpak-info").exists():
        return "Flatpak"
    return "Snap" if os.environ.get("SNAP_NAME") == "gimp" else None


_CANNOT_START = N_("Atelier's backend could not be started; {log} says why, and 'atelier doctor' what to do.")
_SANDBOXED = N_(
    "GIMP runs in a {sandbox} and may not start Atelier's backend itself: "
    "run 'atelier serve' in a terminal, then run the filter again."
)
_NOT_OURS = N_(
    "{file} is not trusted, for it is not a file that you alone can read and write: "
    "remove it, and see to it that nobody else can write into {home}."
)
_REFUSED = N_(
    "Atelier's backend could not be started, for the system refuses {file} ({reason}): see to it that you "
    "own {home} and all that is in it, or run 'python3 install.py' again."
)
_NOT_INSTALLED = N_("Atelier's backend is not installed in {home}: run 'python3 install.py' once.")
