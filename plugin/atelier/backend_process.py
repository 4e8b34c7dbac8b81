"""Finds the running backend, or starts one: the connection file, the process, its environment.

A backend announces itself in `connection.json` in Atelier's home folder, readable by its user
alone, after it has bound its port. It holds a lock for as long as it lives, so however many are
started at once, one stays. Knows nothing of GIMP.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from atelier_protocol import BackendUnavailable, ProtocolError, VersionMismatch
from atelier_requests import N_
from backend_client import BackendClient

START_S = 120.0
RETRY_S = 0.05
RESTART_S = 1.0
LOG_BYTES = 1_000_000
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

    def open(self) -> BackendClient:
        """A client of the backend that listens there; raises as BackendClient does."""
        return BackendClient(self.port, bytes.fromhex(self.key))


def atelier_home() -> Path:
    """The folder that holds all of Atelier but the plug-in.

    ATELIER_HOME names it, else the file that the installer left beside this module, else it is
    `.atelier` in the user's own folder: not an XDG folder, for those differ inside a Flatpak.
    """
    if home := os.environ.get("ATELIER_HOME"):
        return Path(home).expanduser().absolute()
    note = Path(__file__).with_name("atelier-home.txt")
    if note.exists():
        return Path(note.read_text(encoding="utf-8").strip())
    return Path.home() / ".atelier"


def connection_file() -> Path:
    """Where the running backend says how to reach it."""
    return atelier_home() / "connection.json"


def write_connection(connection: Connection) -> None:
    """Announce a backend, in one piece and to this user alone."""
    path = connection_file()
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(connection), file)
    draft.replace(path)


def read_connection() -> Connection | None:
    """What the connection file says, or None where there is none to be understood."""
    try:
        fields = json.loads(connection_file().read_text(encoding="utf-8"))
        connection = Connection(int(fields["port"]), int(fields["pid"]), str(fields["key"]))
        bytes.fromhex(connection.key)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return connection


def connect_if_running() -> BackendClient | None:
    """A client of the running backend, or None where none answers.

    Raises:
        VersionMismatch: one answers, but in another version of the protocol.
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
        BackendUnavailable: none runs and none could be started; the text says what to do.
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


def log_file() -> Path:
    """Where the backend writes what happens to it."""
    return atelier_home() / "backend.log"


def backend_python() -> Path:
    """The Python that runs the backend."""
    venv = atelier_home() / "venv"
    return venv / "Scripts" / "pythonw.exe" if os.name == "nt" else venv / "bin" / "python"


def start_backend() -> subprocess.Popen[bytes]:
    """Start a backend that outlives this process, its terminal, and GIMP.

    Raises:
        BackendUnavailable: this process may not start programs, or the backend is not installed.
    """
    if sandbox := _sandbox():
        raise BackendUnavailable(_SANDBOXED, sandbox=sandbox)
    if not backend_python().exists():
        raise BackendUnavailable(_NOT_INSTALLED, home=atelier_home())
    with _open_log() as log:
        process = subprocess.Popen(
            [backend_python(), "-m", "backend"],
            cwd=atelier_home(),
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            creationflags=WINDOWS_DETACHED,
        )
    threading.Thread(target=process.wait, daemon=True).start()  # no zombie, should it end before us
    return process


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
_NOT_INSTALLED = N_("Atelier's backend is not installed in {home}: run 'python3 install.py' once.")
