"""The note of another machine whose backend computes: its name, its speed, and problems in reaching it.

`atelier remote` writes the note. While there is one, no backend is started on this computer; a process of
`backend.remote` connects to the other one instead.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from .deferred_translation import N_
from .errors import AtelierError
from .home import (
    REMOTE_FILE,
    REMOTE_SLOWNESS_FILE,
    REMOTE_STATE_FILE,
    SLOWNESS_FILE,
    atelier_home,
    read_json_object,
    write_json_object,
    write_privately,
)

LONGEST_NAME = 255


def machine() -> str:
    """Return the name of the computing machine, as given to ssh; empty for this computer.

    Raises:
        AtelierError: the note is damaged. Without a name, this computer must not compute instead.
    """
    file = atelier_home() / REMOTE_FILE
    if not file.exists():
        return ""
    name = read_json_object(file).get("machine")
    if not isinstance(name, str) or not is_machine(name):
        raise AtelierError(_DAMAGED, file=file)
    return name


def is_machine(name: str) -> bool:
    """Return whether a text can be the name of a machine. With a hyphen first, ssh takes it as an option."""
    return 0 < len(name) <= LONGEST_NAME and name.isprintable() and " " not in name and name[0] != "-"


def set_machine(name: str) -> None:
    """Have the machine called `name` compute from now on; an empty name means this computer.

    Raises:
        OSError: the note cannot be written or removed.
    """
    home = atelier_home()
    for file in (REMOTE_FILE, REMOTE_STATE_FILE, REMOTE_SLOWNESS_FILE):
        (home / file).unlink(missing_ok=True)
    if name:
        write_privately(home / REMOTE_FILE, json.dumps({"machine": name}))


# ── Problems and speed ───────────────────────────────────────────────────────────────────────────


def problem() -> AtelierError | None:
    """Return why the machine cannot be reached, as noted by the connecting process."""
    note = read_json_object(atelier_home() / REMOTE_STATE_FILE)
    template, values = note.get("template"), note.get("values")
    if isinstance(template, str) and isinstance(values, dict):
        with contextlib.suppress(KeyError, IndexError, ValueError):
            return AtelierError(template, **values)
    return None


def connecting_process() -> int | None:
    """Return the number of the latest process with a connection to the machine."""
    pid = read_json_object(atelier_home() / REMOTE_STATE_FILE).get("pid")
    return pid if type(pid) is int and 0 < pid < 2**31 else None


def note_state(error: AtelierError | None) -> None:
    """Note this process as connecting, and why the machine cannot be reached; None if it can."""
    note: dict[str, object] = {"pid": os.getpid()}
    if error:
        values = {name: str(value) for name, value in error.values.items()}
        note |= {"template": error.template, "values": values}
    write_json_object(atelier_home() / REMOTE_STATE_FILE, note)


def note_slowness(notes: Mapping[str, object]) -> None:
    """Keep the machine's notes of its speed, for the expected times."""
    write_json_object(atelier_home() / REMOTE_SLOWNESS_FILE, dict(notes))


def slowness_file(home: Path) -> Path:
    """Return the file with the speed of the computing machine."""
    return home / (REMOTE_SLOWNESS_FILE if (home / REMOTE_FILE).exists() else SLOWNESS_FILE)


# ── Problems in words ────────────────────────────────────────────────────────────────────────────

_DAMAGED = N_(
    "{file} is damaged. Run 'atelier remote' with the name of the machine, or 'atelier remote --off'."
)
NO_SSH = N_("The program ssh could not be run ({reason}). Install OpenSSH's client.")
SILENT = N_("{machine} sent no answer. Try again, or log in there and run 'atelier doctor'.")
UNREACHABLE = N_(
    "{machine} cannot be reached ({reason}). Check the network, "
    "or run 'atelier remote --off' to use this computer."
)
OTHER_KEY = N_(
    "The host key of {machine} has changed, so another machine may be answering. Nothing was sent. "
    "'ssh {machine}' prints both keys; ask the administrator which is right."
)
REFUSED = N_("ssh could not log in to {machine} ({reason}). Make 'ssh {machine}' work without a password.")
NOT_INSTALLED = N_("Atelier is not installed on {machine}. Run 'python3 install.py' there.")
BACKEND_FAILED = N_("The backend on {machine} could not be started ({reason}). Run 'atelier doctor' there.")
OTHER_VERSION = N_(
    "{machine} and this computer have different versions of Atelier. "
    "Run 'python3 install.py' on both, from the same download."
)
NO_ANSWER = N_("The backend on {machine} does not answer ({reason}). Run 'atelier doctor' there.")
