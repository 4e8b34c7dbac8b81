"""Every request, by its name on the wire."""

from __future__ import annotations

from dataclasses import dataclass

from .deepdream import DeepDream
from .request import Request
from .style_transfer import StyleTransfer
from .visualise import Visualise


@dataclass(frozen=True)
class Identity(Request):
    """Return the picture unchanged: a test of everything except the networks.

    With the previous frame of an animation, it fails if the backend cannot estimate motion.
    """

    name = "identity"


REQUESTS: dict[str, type[Request]] = {
    request.name: request for request in (StyleTransfer, DeepDream, Visualise, Identity)
}
