"""Jobs for a real backend: one that is done at once, and one that never ends by itself."""

from __future__ import annotations

from conftest import PICTURE, WHOLE

import backend_process
from atelier_protocol import Picture, Progress, Region, Result
from atelier_requests import Identity, Request
from backend_client import BackendClient


def make(client: BackendClient, picture: Picture = PICTURE, region: Region = WHOLE) -> Picture:
    *_, last = client.messages(client.submit(Identity(), picture, region))
    assert isinstance(last, Result)
    return last.picture


def begin(client: BackendClient, endless: Request) -> int:
    """The number of a job that is at work."""
    job = client.submit(endless, PICTURE, WHOLE)
    next(message for message in client.messages(job) if isinstance(message, Progress))
    return job


def assert_works() -> None:
    with backend_process.connect() as client:
        assert make(client) == PICTURE
