"""Jobs for a real backend: one that ends at once, and one that never ends by itself."""

from __future__ import annotations

import contextlib
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
