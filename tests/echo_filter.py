"""A filter that a test can script: what a job does is said by the seed of its request."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Generator

from atelier_protocol import Message, Progress, Result, Submit
from atelier_requests import DeepDream
from backend.worker import Run

ECHO, ENDLESS, RAISE, CRASH, KILLED, NO_MEMORY, HANG, LONG_ERROR = range(8)
SLOW_START_S = 8.0


def load() -> Run:
    return run


def load_slowly() -> Run:
    time.sleep(SLOW_START_S)
    return run


def run(submit: Submit) -> Generator[Message, None, None]:
    seed = submit.request.seed if isinstance(submit.request, DeepDream) else ECHO
    if seed == ENDLESS:
        for step in itertools.count(1):
            time.sleep(0.02)
            yield Progress(submit.job, step, step + 1, submit.content)
    elif seed == RAISE:
        raise ValueError("The picture is not to my liking.")
    elif seed == CRASH:
        os.abort()
    elif seed == KILLED:
        os.kill(os.getpid(), signal.SIGKILL)
    elif seed == NO_MEMORY:
        raise MemoryError
    elif seed == HANG:
        os.kill(os.getpid(), signal.SIGSTOP)
    elif seed == LONG_ERROR:
        raise RuntimeError("é" * 100_000)
    yield Progress(submit.job, 1, 1)
    yield Result(submit.job, submit.content)
