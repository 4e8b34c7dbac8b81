"""Finds the running backend, or starts one: the connection file, the process, its environment.

Once a backend has bound its port, it writes port and key into the connection file in Atelier's home
folder, readable only by its user. It holds a lock while it runs, so of several started at once only
one stays. If another machine computes, a connecting process takes the backend's place.
"""

from __future__ import annotations

import errno
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

from . import remote
from .client import BackendClient
from .deferred_translation import N_
from .errors import AtelierError, BackendMissing, BackendUnavailable, ProtocolError, VersionMismatch
from .home import (
    atelier_home,
    backend_python,
    check_home,
    connection_file,
    install_command,
    log_file,
    open_log,
    write_privately,
)

START_S = 120.0
RETRY_S = 0.05
RESTART_S = 1.0
PATIENCE_S = 8.0
"""Time for a lost connection to another machine to be made again, before its problem is reported."""
LOG_BYTES = 1_000_000
CONNECTION_BYTES = 4096
WINDOWS_DETACHED = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(
    subprocess, "CREATE_NEW_PROCESS_GROUP", 0
)
NOT_PRIVATE = (errno.ELOOP, errno.EMLINK, errno.EACCES, errno.EPERM, errno.ENXIO)
"""The system's errors for symbolic links, for files of others, and for sockets."""
FOREIGN_VARIABLES = ("LD_", "DYLD_", "PYTHON", "GI_", "GIO_", "GTK_", "GDK_", "GIMP", "GEGL_", "BABL_")


@dataclass(frozen=True)
class Connection:
    """A backend's port and process, and the key shared with its clients, as hex digits.

    For a backend on another machine `port` and `pid` are those of the tunnel to it, `backend_port` is its
    own port there and `machine` the machine's name.
    """

    port: int
    pid: int
    key: str
    backend_port: int | None = None
    machine: str = ""
    is_scheduler: bool = False

    def is_valid(self) -> bool:
        """Return whether the values are in range. A signal to the pid -1 would reach every process."""
        ports = (self.port, self.port if self.backend_port is None else self.backend_port)
        numbers = all(map(_is_port, ports)) and type(self.pid) is int and 0 < self.pid < 2**31
        texts = isinstance(self.key, str) and isinstance(self.machine, str)
        flag = isinstance(self.is_scheduler, bool)
        return numbers and texts and flag and re.fullmatch("[0-9a-f]{64}", self.key) is not None

    def open(self) -> BackendClient:
        """Connect to the backend. Raises as BackendClient does."""
        key = bytes.fromhex(self.key)
        return BackendClient(self.port, key, backend_port=self.backend_port, machine=self.machine)


def _is_port(value: object) -> bool:
    return type(value) is int and 0 < value < 2**16


def write_connection(connection: Connection) -> None:
    """Write the connection file, readable only by this user."""
    fields = {name: value for name, value in asdict(connection).items() if value not in (None, "", False)}
    write_privately(connection_file(), json.dumps(fields))


def read_connection() -> Connection | None:
    """Read the connection file. Return None if it is missing or damaged.

    Raises:
        BackendUnavailable: other users may have read or written it; the text is the remedy.
    """
    try:
        content = _read_private(connection_file())
        connection = Connection(**json.loads(content))
        return connection if connection.is_valid() else None
    except (FileNotFoundError, ValueError, TypeError, RecursionError):
        return None


def _read_private(path: Path) -> bytes:
    """Read a regular file of this user that other users cannot read or write; nothing if it is too long.

    Raises:
        FileNotFoundError: the file is missing.
        BackendUnavailable: it is another user's or not a regular file, or other users may have access, or
            the system cannot open it.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in NOT_PRIVATE:
            raise BackendUnavailable(_NOT_PRIVATE, file=path, home=path.parent) from error
        raise _refusal(path, error) from error
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or (os.name == "posix" and not _is_private(status)):
            raise BackendUnavailable(_NOT_PRIVATE, file=path, home=path.parent)
        return file.read(CONNECTION_BYTES) if status.st_size <= CONNECTION_BYTES else b""


def _is_private(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & 0o077


def connect_if_running() -> BackendClient | None:
    """Connect to the running backend. Return None if none answers.

    Raises:
        VersionMismatch: the backend uses another version of the protocol.
        BackendUnavailable: other users may have read or written the connection file.
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
    """Connect to the backend, after starting one if none is running.

    `waiting` is called every RETRY_S seconds meanwhile, and may raise an exception to give up.

    Raises:
        VersionMismatch: the running backend uses another version of the protocol.
        BackendUnavailable: no backend could be started, or other users may have read or written the
            connection file; the text is the remedy.
    """
    began_at = time.monotonic()
    deadline = began_at + timeout_s
    process: subprocess.Popen[bytes] | None = None
    start_at = 0.0
    while True:
        client = connect_if_running()
        if client:
            return client
        if problem := process and _remote_problem(process, began_at):
            raise BackendUnavailable(problem.template, **problem.values)
        if (process and process.poll()) or time.monotonic() > deadline:
            raise BackendUnavailable(_CANNOT_START, log=log_file())
        if time.monotonic() >= start_at and (process is None or process.poll() == 0):
            process = start_backend()
            start_at = time.monotonic() + RESTART_S
        waiting()
        time.sleep(RETRY_S)


def _remote_problem(process: subprocess.Popen[bytes], began_at: float) -> AtelierError | None:
    """Return why another machine cannot be reached, once `process` has failed.

    Status 0: another process is already connecting. It has PATIENCE_S to succeed.
    """
    is_patient = process.poll() == 0 and time.monotonic() < began_at + PATIENCE_S
    return None if process.poll() is None or is_patient else remote.problem()


def start_backend() -> subprocess.Popen[bytes]:
    """Start a backend, or the connection to the computing machine.

    It outlives this process, its terminal, and GIMP.

    Raises:
        BackendUnavailable: this process is sandboxed, the backend is not installed, other users can write
            to its folder, or the system refused to start it or to write its log; the text is the remedy.
    """
    try:
        machine = remote.machine()
    except AtelierError as error:
        raise BackendUnavailable(error.template, **error.values) from error
    if sandbox := _sandbox():
        command = f"atelier remote {machine}" if machine else "atelier serve"
        raise BackendUnavailable(_SANDBOXED, sandbox=sandbox, command=command)
    try:
        if not backend_python().exists():
            raise BackendMissing(_NOT_INSTALLED, home=atelier_home(), install=install_command())
        check_home(atelier_home())
        process = _start_process("backend.remote" if machine else "backend")
    except OSError as error:
        raise _refusal(error.filename or backend_python(), error) from error
    threading.Thread(target=process.wait, daemon=True).start()  # prevents a zombie process
    return process


def _start_process(module: str) -> subprocess.Popen[bytes]:
    """Start a module of the backend with -I, so that it imports nothing from its working folder."""
    file = log_file()
    is_short = file.exists() and file.stat().st_size <= LOG_BYTES
    with open_log(file, append=is_short) as log:
        return subprocess.Popen(
            [backend_python(), "-I", "-m", module],
            cwd=atelier_home(),
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            creationflags=WINDOWS_DETACHED,
        )


def clean_environment() -> dict[str, str]:
    """Return this process' environment without the variables set by GIMP or its package."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN_VARIABLES)}
    return {**kept, "ATELIER_HOME": str(atelier_home())}


def _refusal(file: Path | str, error: OSError) -> BackendUnavailable:
    """Create the error for a file that the system did not open or start."""
    home, install = atelier_home(), install_command()
    return BackendUnavailable(_REFUSED, file=file, reason=error.strerror, home=home, install=install)


def _sandbox() -> str | None:
    if Path("/.flatpak-info").exists():
        return "Flatpak"
    return "Snap" if os.environ.get("SNAP_NAME") == "gimp" else None


_CANNOT_START = N_("Atelier's backend could not be started. See {log}, or run 'atelier doctor' for advice.")
_SANDBOXED = N_(
    "GIMP runs in a {sandbox} and is not allowed to start Atelier's backend. "
    "Run '{command}' in a terminal, then run the filter again."
)
_NOT_PRIVATE = N_(
    "{file} is not trusted, because it is not a regular file that only you can read and write. "
    "Remove it, and make sure that nobody else can write to {home}."
)
_REFUSED = N_(
    "Atelier's backend could not be started, because the system refused access to {file} ({reason}). "
    "Make sure that you own {home} and everything in it, or run '{install}' again."
)
_NOT_INSTALLED = N_("Atelier's backend is not installed in {home}. Run '{install}' first.")
