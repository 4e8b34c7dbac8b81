"""A scripted filter for tests: the seed of a dream selects the behaviour of its job.

A style transfer by *fine* has some steps, each with a picture of the usual size. A PATIENT dream has the
number of iterations that it asks for, but its previews are made at once.
"""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Generator
from pathlib import Path

from atelier_shared.deepdream import DeepDream
from atelier_shared.messages import Help, Message, Picture, Progress, Result, Submit
from atelier_shared.style_transfer import StyleTransfer
from backend.compat import allocator
from backend.serving.job_pipe import JobPipe
from backend.serving.worker_process import Run

ECHO, ENDLESS, RAISE, CRASH, KILLED, NO_MEMORY, HANG = range(7)
LONG_ERROR, SLOW, HOARD, SLUGGISH, BRIEF, PATIENT = range(7, 13)
SLOW_START_S = 9.0
SLUGGISH_STEP_S = 40.0
SLOW_STEP_S = 11.0
BRIEF_S = 0.25
PAINTING_STEPS, PAINTING_STEP_S = 15, 0.1
PATIENT_STEP_S = 0.1
SO_FAR = Picture(256, 170, "RGB", "u8", bytes(3 * 256 * 170))
HOARDED_BYTES = 100_000_000
FINISHING = 10**6
"""The step reported by the stubborn filter after it was asked to finish early."""


def load() -> Run:
    return run


def load_instead(_models: Path) -> Run:
    """Load this filter in place of the real ones, `load_filters`."""
    return run


def load_slowly() -> Run:
    time.sleep(SLOW_START_S)
    return run


def load_stubborn() -> Run:
    return run_stubborn


def run(submit: Submit | Help, _pipe: JobPipe) -> Generator[Message, bool | None, None]:
    assert isinstance(submit, Submit)
    if isinstance(submit.request, StyleTransfer) and submit.request.method == "fine":
        for step in range(1, PAINTING_STEPS + 1):
            time.sleep(PAINTING_STEP_S)
            yield Progress(submit.job, step, PAINTING_STEPS, SO_FAR)
    seed = submit.request.seed if isinstance(submit.request, DeepDream) else ECHO
    if seed == ENDLESS:
        for step in itertools.count(1):
            time.sleep(0.02)
            if (yield Progress(submit.job, step, step + 1, submit.content)):
                break
    elif seed == RAISE:
        raise ValueError("The picture is not accepted.")
    elif seed == CRASH:
        os.abort()
    elif seed == KILLED:
        os.kill(os.getpid(), signal.SIGKILL)
    elif seed == NO_MEMORY:
        raise MemoryError
    elif seed == HANG:
        os.kill(os.getpid(), signal.SIGSTOP)
    elif seed == SLOW:
        time.sleep(SLOW_STEP_S)
    elif seed == BRIEF:
        time.sleep(BRIEF_S)
    elif seed == PATIENT and not submit.is_preview:
        assert isinstance(submit.request, DeepDream)
        for step in range(1, submit.request.iterations + 1):
            time.sleep(PATIENT_STEP_S)
            if (yield Progress(submit.job, step, submit.request.iterations, submit.content)):
                break
    elif seed == SLUGGISH:
        yield Progress(submit.job, 1, 2)
        time.sleep(SLUGGISH_STEP_S)
    elif seed == HOARD:
        allocator.keep_for(1)
        bytearray(HOARDED_BYTES)
    elif seed == LONG_ERROR:
        raise RuntimeError("é" * 100_000)
    yield Progress(submit.job, 1, 1)
    yield Result(submit.job, submit.content)


def run_stubborn(submit: Submit | Help, _pipe: JobPipe) -> Generator[Message, bool | None, None]:
    """Ignore requests to finish early, but report them as the step FINISHING."""
    finish_early = None
    while True:
        time.sleep(0.02)
        finish_early = yield Progress(submit.job, FINISHING if finish_early else 1, FINISHING)
