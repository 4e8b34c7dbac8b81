"""About how long a job will take: the work it is, and how fast this computer did such work before.

Work is counted in pixel-steps: the pixels of a size times the steps done at it, over all sizes, and in a
dream over all layers. The speeds are noted by the backend, in a file that anyone may delete. Standard
library alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from .deepdream import DeepDream
from .deferred_translation import N_
from .request import Request
from .schedule import COARSEST_PX, shared_out
from .style_transfer import StyleTransfer
from .text_settings import weights_by_name

SPEEDS_FILE = "speeds.json"
MOST_BYTES = 64 * 1024
LEAST, MOST = 1e-6, 1e18
"""Of seconds and of work, to be taken for such."""


class Speed(NamedTuple):
    """Seconds that jobs have taken, and the work that was done in them, the newest counting most."""

    seconds: float
    work: float


Speeds = Mapping[str, Speed]


def work(request: Request, width: int, height: int) -> float:
    """The pixel-steps of a job on a picture of that size; 0 for one that does nothing."""
    if isinstance(request, StyleTransfer) and request.strength > 0:
        pixels = _pixels(width, height, request.working_px)
        return pixels * (_fine_steps(request, width, height) if request.method == "fine" else 1)
    if isinstance(request, DeepDream):
        shares = [math.pow(request.octave_scale, -2 * octave) for octave in range(request.octaves)]
        steps = request.iterations * _gradients(request)
        return steps * sum(shares) * _pixels(width, height, request.size)
    return 0.0


def _gradients(request: DeepDream) -> int:
    """How many a step of a dream takes: one for each of its layers."""
    return 1 if request.objective == "class" else max(1, len(weights_by_name(request.layers)))


def _fine_steps(request: StyleTransfer, width: int, height: int) -> float:
    """The steps of the fine method, one at a coarser size counted as what it is of one at the finest."""
    shortest_px = min(width, height) * min(1.0, request.working_px / max(width, height))
    coarser = max(0, int(math.log2(shortest_px / COARSEST_PX)))
    shares = shared_out(request.steps, min(1 + coarser, request.steps))
    return sum(share * 4.0**-finer for finer, share in enumerate(reversed(shares)))


def kind(request: Request, device: str) -> str:
    """What jobs have in common with this one on a device, if their speed says something of its own."""
    network = getattr(request, "network", "")
    method = getattr(request, "method", "")
    if method not in ("", "fine"):
        network = ""  # the other methods bring their own
    return " ".join(filter(None, (request.name, method, network, device)))


def noted_as(kind: str, done: float) -> str:
    """The name under which the speed of a job of a kind is noted: with those of about as much work.

    So the many small jobs, previews above all, do not make one forget how fast a large one was.
    """
    return f"{kind} 1e{math.floor(math.log10(done))}"


def estimate(request: Request, width: int, height: int, speeds: Speeds) -> float | None:
    """Seconds that the job takes, going by the one of `speeds` of its kind that was of the likest work.

    None where no job of its kind was ever measured.
    """
    to_do = work(request, width, height)
    of_its_kind = kind(request, getattr(request, "device", ""))
    known = [speed for named, speed in speeds.items() if named.rpartition(" ")[0] == of_its_kind]
    if not known:
        return None
    likest = min(known, key=lambda speed: abs(math.log(max(to_do, 1.0) / speed.work)))
    return to_do * likest.seconds / likest.work


def in_words(seconds: float | None) -> tuple[str, int]:
    """A sentence to be translated, and the number to be put in for its {count}."""
    if seconds is None:
        return N_("How long it takes was not measured yet on this computer"), 0
    taking = N_("Takes about {count} s"), N_("Takes about {count} min"), N_("Takes about {count} h")
    return _in_units(seconds, taking)


def left_in_words(seconds: float) -> tuple[str, int]:
    """What is left of a job, as `in_words` says it of the whole."""
    left = N_("about {count} s left"), N_("about {count} min left"), N_("about {count} h left")
    return _in_units(seconds, left)


def _in_units(seconds: float, sentences: tuple[str, str, str]) -> tuple[str, int]:
    """The one of the sentences on seconds, minutes and hours that fits, and its number."""
    if seconds < 95:
        return sentences[0], _rounded(seconds)
    if seconds < 95 * 60:
        return sentences[1], _rounded(seconds / 60)
    return sentences[2], _rounded(seconds / 3600)


def read_speeds(home: Path) -> dict[str, Speed]:
    """The speeds noted in Atelier's home folder; what cannot be understood is left out."""
    try:
        content = (home / SPEEDS_FILE).read_bytes()
        fields = json.loads(content) if len(content) <= MOST_BYTES else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return dict(_understood(fields.items())) if isinstance(fields, dict) else {}


def _understood(fields: Iterable[tuple[str, object]]) -> Iterable[tuple[str, Speed]]:
    for name, value in fields:
        if isinstance(value, list) and len(value) == 2 and all(_is_amount(amount) for amount in value):
            yield name, Speed(*value)


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and LEAST <= value < MOST


def _pixels(width: int, height: int, longest_px: int) -> float:
    scale = min(1.0, longest_px / max(width, height))
    return width * scale * height * scale


def _rounded(amount: float) -> int:
    """To a number that promises no more than is known: 7, 15, 40."""
    step = 1 if amount < 10 else 5
    return max(1, step * round(amount / step))
