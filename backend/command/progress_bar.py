"""Running a request in the backend, with a progress bar in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from tqdm import tqdm

from atelier_shared import launcher
from atelier_shared.messages import Picture, Progress, Queued, Region, Result
from atelier_shared.request import Request


def run_with_progress_bar(
    request: Request, content: Picture, region: Region, pictures: Sequence[Picture], expected: str
) -> Result:
    """Run a request in the backend and return its result.

    `expected` is the estimated time in words, shown until the first progress. Ctrl+C closes the
    connection, and so cancels the job.

    Raises:
        AtelierError: there is no backend, or it could not make the picture.
    """
    with tqdm(unit="step", desc=expected, leave=False) as bar, launcher.connect() as backend:
        for message in backend.messages(backend.submit(request, content, region, pictures)):
            if isinstance(message, Result):
                return message
            _show(bar, message)
    raise AssertionError("messages() ends with a Result or raises")


def _show(bar: tqdm[None], message: Queued | Progress | Result) -> None:
    if isinstance(message, Queued):
        bar.set_description_str(f"waiting, {message.place} ahead" if message.place else "working")
    elif isinstance(message, Progress):
        bar.set_description_str("working", refresh=False)
        bar.total, bar.n = message.total, message.step
        bar.refresh()
