"""The results of a filter in this session of GIMP: name, settings and a small picture of each.

They are kept in GIMP as global parasites. So they outlast the dialog and an undo, are never written to a
file, and end with GIMP.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gi.repository import Gimp

from atelier_shared.errors import ProtocolError
from atelier_shared.messages import Picture

MOST_RESULTS = 8


class SessionResult(NamedTuple):
    """A result: its layer's name, the settings as in the layer's parasite, and a small 8-bit RGB picture."""

    name: str
    record: Mapping[str, Any]
    picture: Picture


def session_results(filter_name: str) -> list[SessionResult]:
    """Return the results of a filter, the newest first."""
    found = (_decode(bytes(Gimp.get_parasite(key).get_data())) for key in reversed(_keys(filter_name)))
    return [result for result in found if result]


def add_session_result(filter_name: str, result: SessionResult) -> None:
    """Keep a result, and forget the oldest ones above MOST_RESULTS."""
    keys = _keys(filter_name)
    number = int(keys[-1].rpartition("-")[2]) + 1 if keys else 1
    Gimp.attach_parasite(Gimp.Parasite.new(f"{_prefix(filter_name)}{number}", 0, _encode(result)))
    for key in keys[: max(0, len(keys) + 1 - MOST_RESULTS)]:
        Gimp.detach_parasite(key)


def _prefix(filter_name: str) -> str:
    return f"atelier-result-{filter_name}-"


def _keys(filter_name: str) -> Sequence[str]:
    """Return the names of a filter's parasites, the oldest first."""
    prefix = _prefix(filter_name)
    numbers = (name[len(prefix) :] for name in Gimp.get_parasite_list() if name.startswith(prefix))
    return [f"{prefix}{number}" for number in sorted(int(each) for each in numbers if each.isdecimal())]


def _encode(result: SessionResult) -> bytes:
    """Return JSON in ASCII: GIMP's Python takes no other bytes as a parasite's data."""
    picture = result.picture
    pixels = b64encode(zlib.compress(bytes(picture.pixels), level=1)).decode()
    fields = {"name": result.name, "record": result.record, "size": [picture.width, picture.height]}
    return json.dumps({**fields, "rgb": pixels}).encode()


def _decode(data: bytes) -> SessionResult | None:
    """Return the result in a parasite; None if another program has written it."""
    try:
        fields = json.loads(data)
        width, height = fields["size"]
        picture = Picture(width, height, "RGB", "u8", zlib.decompress(b64decode(fields["rgb"])))
        return SessionResult(str(fields["name"]), dict(fields["record"]), picture)
    except (ValueError, LookupError, TypeError, zlib.error, ProtocolError):
        return None
