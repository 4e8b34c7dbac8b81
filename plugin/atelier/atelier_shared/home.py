"""Atelier's home folder: where it is, the names of the files in it, and how they are written and read.

Files are replaced as a whole: a reader never sees half of one. Programs are run from this folder, so it
is used only if no other user can write to it. Its notes and logs are readable only for this user.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from .deferred_translation import N_
from .errors import BackendUnavailable

NOTE_OF_THE_HOME = "atelier-home.txt"
"""Beside the folder `atelier_shared`: the installer notes the home, and in a second line its own folder.

In GIMP's extension the first line is empty, and the second one is relative to the folder of the note.
"""
INSTALLER = "install.py"
CONNECTION_FILE = "connection.json"
LOCK_FILE = "backend.lock"
LOG_FILE = "backend.log"
SLOWNESS_FILE = "slowness.json"
STYLES_FILE = "styles.json"
PRESETS_FILE = "presets.json"
KERNELS_FILE = "kernels.json"
REMOTE_FILE = "remote.json"
REMOTE_STATE_FILE = "remote-state.json"
REMOTE_SLOWNESS_FILE = "remote-slowness.json"
SCHEDULER_CERTIFICATE_FILE = "cluster-scheduler.pem"
WORKER_CERTIFICATE_FILE = "cluster-worker.pem"
PACKAGES_FILE = "packages.txt"
"""The installed packages and their versions; in VENV_FOLDER."""
PLUGIN_FILE = "plugin.txt"
"""The fingerprint of the installed plug-in."""
SELF_CHECK_LOG = "self-check.log"
INSTALL_LOG = "install.log"
PYTHON = "py" if sys.platform == "win32" else "python3"
"""The command for Python in a terminal."""
VENV_FOLDER = "venv"
COMMAND_FOLDER = "bin"
MODELS_FOLDER = "models"
THUMBNAILS_FOLDER = "thumbnails"
STYLES_FOLDER = "styles"
"""Pictures in the gallery's styles, named by them, such as `great wave.jpg`."""
TRANSLATIONS_FOLDER = "locale"
"""The catalogues of the command line; the plug-in's own are in its folder, as GIMP requires."""

MAX_JSON_BYTES = 1_000_000


# ── Paths ────────────────────────────────────────────────────────────────────────────────────────


def atelier_home() -> Path:
    """Return the folder with everything of Atelier except the plug-in.

    This is the variable ATELIER_HOME if set, otherwise the folder noted by the installer beside this
    package, otherwise `.atelier` in the user's home. An XDG folder would differ inside a Flatpak.
    """
    if home := os.environ.get("ATELIER_HOME"):
        return Path(home).expanduser().absolute()
    noted = _read_note()
    return Path(noted[0]) if noted and noted[0] else Path.home() / ".atelier"


def installer() -> Path | None:
    """Return the install.py that has installed this package, or None if it is not known or was moved."""
    noted = _read_note()
    if len(noted) < 2:
        return None
    file = Path(__file__).parent.parent.joinpath(noted[1], INSTALLER).resolve()
    return file if file.is_file() else None


def install_command(option: str = "") -> str:
    """Return the command for a terminal that runs install.py with an option.

    Without a known install.py it has no path, so it is for a terminal in Atelier's folder.
    """
    path = str(installer() or INSTALLER)
    quoted = path if re.fullmatch(r"[\w@%+=:,./\\~-]+", path) else f'"{path}"'
    return f"{PYTHON} {quoted} {option}".rstrip()


def _read_note() -> list[str]:
    """Return the lines of the note; none if there is no note, as in a checkout that is not installed."""
    note = Path(__file__).parent.with_name(NOTE_OF_THE_HOME)
    return note.read_text(encoding="utf-8").splitlines() if note.exists() else []


def connection_file() -> Path:
    """Return the file with the running backend's port and key."""
    return atelier_home() / CONNECTION_FILE


def log_file() -> Path:
    """Return the backend's log."""
    return atelier_home() / LOG_FILE


def backend_python() -> Path:
    """Return the backend's Python executable."""
    venv = atelier_home() / VENV_FOLDER
    return venv / "Scripts" / "pythonw.exe" if sys.platform == "win32" else venv / "bin" / "python"


def check_home(home: Path) -> None:
    """Check that this folder is the user's own and that no other user can write to it.

    On Windows the permissions of the user's folder protect it instead.

    Raises:
        BackendUnavailable: it is not; the text is the remedy.
        OSError: it is missing or cannot be examined.
    """
    status = home.stat()
    if os.name == "posix" and (status.st_uid != os.geteuid() or status.st_mode & 0o022):
        raise BackendUnavailable(_HOME_NOT_TRUSTED, home=home, install=install_command())


_HOME_NOT_TRUSTED = N_(
    "{home} is not trusted, because it belongs to another user or other users can write to it. If they have "
    "changed nothing in it, 'chmod go-w' on it is enough. Otherwise remove it and run '{install}'."
)

# ── Files ────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a draft beside `path`; at the end of the block it replaces `path`.

    If the block raises, `path` stays as it was and the draft is removed.

    Raises:
        OSError: the draft cannot take the place of `path`.
    """
    draft = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    draft.unlink(missing_ok=True)
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_privately(path: Path, text: str) -> None:
    """Replace `path` by a file with `text`, readable and writable only for this user.

    Raises:
        OSError: the file cannot be written.
    """
    with replacing(path) as draft:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)


def open_log(path: Path, *, append: bool = False) -> IO[bytes]:
    """Open a log for writing, readable and writable only for this user. A link in its place is refused.

    Raises:
        OSError: the log cannot be opened.
    """
    flags = os.O_APPEND if append else os.O_TRUNC
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | flags | getattr(os, "O_NOFOLLOW", 0), 0o600)
    if os.name == "posix":
        os.fchmod(descriptor, 0o600)  # earlier versions made it readable for everyone
    return os.fdopen(descriptor, "ab")


def read_json_object(path: Path, max_bytes: int = MAX_JSON_BYTES) -> dict[str, Any]:
    """Return the JSON object in a small file of notes; an empty one if it is missing or damaged."""
    try:
        content = path.read_bytes()
        value = json.loads(content) if len(content) <= max_bytes else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def write_json_object(path: Path, value: dict[str, Any]) -> None:
    """Replace a small file of notes. Errors are ignored, because losing notes does no harm."""
    with contextlib.suppress(OSError):
        write_privately(path, json.dumps(value, indent=1))
