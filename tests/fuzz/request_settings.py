"""Requests: any settings are within their limits or raise WrongSetting."""

from __future__ import annotations

import json

from atelier_shared.requests import REQUESTS
from atelier_shared.settings import Number, WrongSetting, settings

WORDS = [
    *(name.encode() + b"\n{" for name in REQUESTS),
    *(f'"{setting.name}": '.encode() for kind in REQUESTS.values() for setting in settings(kind)),
    *(b"1e400", b"NaN", b"-1", b"0.5", b"true", b"null", b":", b", ", b"relu1_1", b"starry:0.5", b"12-20"),
]


def one_input(data: bytes) -> None:
    """Parse a line with the filter's name, followed by its settings as a JSON object."""
    name, _, text = data.partition(b"\n")
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return
    kind = REQUESTS.get(name.decode(errors="replace"))
    if kind is None or not isinstance(fields, dict) or not fields.keys() <= {s.name for s in settings(kind)}:
        return
    try:
        request = kind(**fields)
    except WrongSetting as error:
        assert str(error)
        return
    for setting in settings(kind):
        value = getattr(request, setting.name)
        setting.check(value)
        assert not isinstance(setting, Number) or setting.low <= value <= setting.high
