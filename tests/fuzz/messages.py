"""Frames: `unpack` returns a message, unchanged by packing and unpacking, or raises ProtocolError."""

from __future__ import annotations

import dataclasses

from atelier_shared.codec import pack, unpack
from atelier_shared.errors import ProtocolError
from atelier_shared.messages import CHANNELS, DEPTH_BYTES, MESSAGES
from atelier_shared.requests import REQUESTS
from atelier_shared.settings import settings

BETWEEN_FRAMES = b"\n"
FIELDS = {field.name for kind in MESSAGES.values() for field in dataclasses.fields(kind)}
SETTINGS = {setting.name for request in REQUESTS.values() for setting in settings(request)}
NAMES = {"type", "filter", "width", "height", "x", "y", "channels", "depth"}
NAMES = NAMES.union(MESSAGES, FIELDS, CHANNELS, DEPTH_BYTES, REQUESTS, SETTINGS)
WORDS = [f'"{name}"'.encode() for name in sorted(NAMES)]


def one_input(data: bytes) -> None:
    try:
        message = unpack(data.split(BETWEEN_FRAMES))
    except ProtocolError:
        return
    assert unpack(pack(message)) == message
