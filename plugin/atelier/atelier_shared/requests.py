"""Every request that there is, by its name on the wire."""

from __future__ import annotations

from dataclasses import dataclass

from .deepdream import DeepDream
from .request import Request
from .style_transfer import StyleTransfer


@dataclass(frozen=True)
class Identity(Request):
    """Give the picture back as it came: a test of everything but the networks."""

    name = "identity"


REQUESTS: dict[str, type[Request]] = {kind.name: kind for kind in (StyleTransfer, DeepDream, Identity)}
