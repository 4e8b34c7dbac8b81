"""Installation of the backend by install.py, in the main loop of a dialog."""

from __future__ import annotations

import re
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from gi.repository import Gio, GLib

from atelier_shared.home import PYTHON, backend_python
from atelier_shared.launcher import clean_environment

PROGRESS = re.compile(r"  (?:(\d+)%  )?(\d+:\d\d(?:  .*)?)")
"""A line of install.py below the text of a step: the percentage, the time, and details."""

ERROR = "install.py: "
PIECE_BYTES = 4096

OnProgress = Callable[[str, float | None, str], None]
OnEnd = Callable[[str], None]


class BackendInstallation:
    """A running install.py.

    `on_progress` gets the text of the present step, the part of it that is done, if known, and the time since
    its start with the present piece of work. `on_end` gets the error, or an empty text once the backend is
    installed.
    """

    def __init__(self, installer: Path, on_progress: OnProgress, on_end: OnEnd) -> None:
        """Start install.py.

        Raises:
            GLib.Error: Python cannot be started.
        """
        self._on_progress, self._on_end, self._text = on_progress, on_end, ""
        flags = Gio.SubprocessFlags.STDOUT_PIPE | Gio.SubprocessFlags.STDERR_MERGE
        launcher = Gio.SubprocessLauncher.new(flags)
        launcher.set_environ([f"{name}={value}" for name, value in clean_environment().items()])
        self._process = launcher.spawnv([shutil.which(PYTHON) or sys.executable, str(installer)])
        self._output, self._unfinished = self._process.get_stdout_pipe(), b""
        self._read_on()

    def cancel(self) -> None:
        """Stop install.py and report nothing more. Except on Windows, it removes incomplete parts first."""
        self._on_progress, self._on_end = lambda _text, _part, _details: None, lambda _error: None
        if sys.platform == "win32":
            self._process.force_exit()  # GLib sends no signals there
        else:
            self._process.send_signal(signal.SIGINT)

    def _read_on(self) -> None:
        self._output.read_bytes_async(PIECE_BYTES, GLib.PRIORITY_DEFAULT, None, self._read)

    def _read(self, output: Gio.InputStream, result: Gio.AsyncResult) -> None:
        piece = output.read_bytes_finish(result).get_data()
        *lines, self._unfinished = (self._unfinished + piece).split(b"\n")
        for line in lines:
            self._report(line.decode(errors="replace").rstrip("\r"))
        self._read_on() if piece else self._end()

    def _end(self) -> None:
        """Report the end, judged by the last line, because libgimp may take the exit status of children."""
        has_failed = self._text.startswith(ERROR) or not backend_python().exists()
        self._on_end(self._text.removeprefix(ERROR) if has_failed else "")

    def _report(self, line: str) -> None:
        progress = PROGRESS.fullmatch(line)
        if not progress:
            self._text = line
        part = int(progress[1]) / 100 if progress and progress[1] else None
        self._on_progress(self._text, part, progress[2] if progress else "")
