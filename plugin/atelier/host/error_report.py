"""Failures of a run, with details to copy into a bug report."""

from __future__ import annotations

import platform
from dataclasses import dataclass

from gi.repository import Gimp

from atelier_shared import home
from atelier_shared.messages import PROTOCOL_VERSION

LOG_BYTES = 4000


@dataclass(frozen=True)
class Failure:
    """A failed or cancelled run: GIMP's status, a sentence for the user, and the traceback."""

    status: Gimp.PDBStatusType
    sentence: str
    trace: str


def error_details(failure: Failure, settings: str) -> str:
    """Return the sentence, the versions, the settings, the traceback and the end of the backend's log."""
    versions = (
        f"GIMP {Gimp.version()}, Python {platform.python_version()}, {platform.platform()}, "
        f"protocol {PROTOCOL_VERSION}"
    )
    return "\n\n".join((failure.sentence, versions, settings, failure.trace.strip(), _end_of_log())) + "\n"


def _end_of_log() -> str:
    log = home.log_file()
    if not log.exists():
        return f"{log} does not exist."
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_BYTES))
        return f"The end of {log}:\n" + file.read().decode(errors="replace").strip()
