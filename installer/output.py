"""What the installer prints: short lines on the terminal, and everything in a log in the home folder.

The output of pip and of other programs is only in the log, or on the terminal too with --verbose.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from pathlib import Path

from atelier_shared.home import open_log

REPORTS = logging.getLogger("installer")
PROGRAMS = logging.getLogger("installer.programs")
"""The output of programs; it is passed on to the log of REPORTS."""
LOG_LINE = "%(asctime)s %(message)s"


class PrivateLog(logging.FileHandler):
    """A new log, readable only for this user."""

    def _open(self) -> io.TextIOWrapper:
        return io.TextIOWrapper(open_log(Path(self.baseFilename)), encoding="utf-8", errors="replace")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, ARG002  # as logging calls it
        """Write nothing more: a full disk is reported by the step that meets it, without a traceback."""
        REPORTS.removeHandler(self)
        with contextlib.suppress(OSError):
            self.close()


def log_to(file: Path, *, verbose: bool) -> None:
    """Begin the log; with `verbose`, print the output of programs too."""
    for logger in (REPORTS, PROGRAMS):
        logger.setLevel(logging.INFO)
        for earlier in list(logger.handlers):
            logger.removeHandler(earlier)
            earlier.close()
    REPORTS.propagate = False
    log = PrivateLog(file)
    log.setFormatter(logging.Formatter(LOG_LINE, "%H:%M:%S"))
    REPORTS.addHandler(log)
    if verbose:
        PROGRAMS.addHandler(logging.StreamHandler(sys.stdout))


def is_verbose() -> bool:
    """Return whether the output of programs is printed."""
    return bool(PROGRAMS.handlers)


def report(text: str) -> None:
    """Print a line without buffering, and log it."""
    print(text, flush=True)
    REPORTS.info(text)


def log_output(line: str) -> None:
    """Log a line of a program's output."""
    PROGRAMS.info(line.rstrip())


def fail(explanation: str, log: Path) -> int:
    """Print the reason of a failure and the place of the log, and return the exit status for it."""
    REPORTS.info(explanation)
    place = f" The log is {log}." if REPORTS.handlers else ""
    print(f"install.py: {explanation}{place}", file=sys.stderr, flush=True)
    return 1


def print_any_character() -> None:
    """Replace characters that the terminal's encoding lacks, such as … in Latin 1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
