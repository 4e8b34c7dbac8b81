"""Real backends: endless and immediate jobs, replaced filters and commands, and shutdown."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from conftest import PICTURE, WHOLE, eventually, processes_with

from atelier_shared import launcher
from atelier_shared.client import BackendClient
from atelier_shared.errors import BackendSilent
from atelier_shared.messages import Picture, Progress, Region, Result
from atelier_shared.request import Request
from atelier_shared.requests import Identity


def make(client: BackendClient, picture: Picture = PICTURE, region: Region = WHOLE) -> Picture:
    *_, last = client.messages(client.submit(Identity(), picture, region))
    assert isinstance(last, Result)
    return last.picture


def begin(client: BackendClient, endless: Request) -> int:
    """Submit a job, wait until it is running, and return its number."""
    job = client.submit(endless, PICTURE, WHOLE)
    next(message for message in client.messages(job) if isinstance(message, Progress))
    return job


def assert_works() -> None:
    with launcher.connect() as client:
        assert make(client) == PICTURE


def stop_all_backends(home: Path) -> None:
    """Stop the backend that ATELIER_HOME names, and wait until no process of the installation is left.

    While a test damaged the connection file, `connect` may have started a second backend. If the first
    one stops before the second has tried the lock, the second takes over and has to be stopped as well.
    """

    def nothing_runs() -> bool:
        with contextlib.suppress(BackendSilent):
            if client := launcher.connect_if_running():
                with client:
                    client.stop_backend()
        return not processes_with("ATELIER_HOME", home)

    eventually(nothing_runs, "no process is left")


def run_instead(home: Path, *command: str, **variables: str) -> None:
    """Replace the command of the installation's backend, with additional environment variables."""
    (home / "venv").unlink()
    python = home / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    env = [f"{name}={value}" for name, value in variables.items()]
    words = " ".join(f"'{word}'" for word in ("env", *env, sys.executable, *command))
    python.write_text(f"#!/bin/sh\nexec {words}\n")
    python.chmod(0o755)


ECHOING = """
import sys
import backend.__main__ as backend, echo_filter
backend.load_filters = echo_filter.load_instead
sys.exit(backend.main([]))
"""


def echo_instead(home: Path) -> None:
    """Replace the filters of the installation's backend by `echo_filter`. All its other parts are real."""
    run_instead(home, "-c", ECHOING, PYTHONPATH=str(Path(__file__).parent))
