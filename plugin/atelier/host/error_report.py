"""What went wrong with a run, for a person: a sentence, and the details that they can hand on."""

from __future__ import annotations

import platform
from dataclasses import dataclass

from gi.repository import Gimp

from atelier_shared import home
from atelier_shared.messages import PROTOCOL_VERSION

LOG_BYTES = 4000


@dataclass(frozen=True)
class Failure:
    """Why there is no layer: GIMP's word for it, a sentence that says what to do, and the traceback."""

    status: Gimp.PDBStatusType
    sentence: str
    trace: str


def details(failure: Failure, settings: str) -> str:
    """All that helps to find the cause: the sentence, versions, settings, traceback, the end of the log."""
    versions = (
        f"GIMP {Gimp.version()}, Python {platform.python_version()}, {platform.platform()}, "
        f"protocol {PROTOCOL_VERSION}"
    )
    return "\n\n".join((failure.sentence, versions, settings, failure.trace.strip(), _end_of_log())) + "\n"


def _end_of_log() -> str:
    log = home.log_file()
    if not log.exists():
        return f"There is no {log}."
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_BYTES))
        return f"The end of {log}:\n" + file.read().decode(errors="replace").strip()
