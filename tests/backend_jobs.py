"""Jobs for a real backend: one that is done at once, and one that never ends by itself."""

from __future__ import annotations

from conftest import PICTURE, WHOLE

from atelier_shared import launcher
from atelier_shared.client import BackendClient
from atelier_shared.messages import Picture, Progress, Region, Result
from atelier_shared.request import Request
from atelier_shared.requests import Identity


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
    with launcher.connect() as client:
        assert make(client) == PICTURE
