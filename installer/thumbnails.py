"""Has the environment make the small pictures of styles and presets, as far as they are not there whole."""

from __future__ import annotations

from .paths import Plan
from .process import run, say
from .self_check import PHOTO


def make_thumbnails(plan: Plan) -> None:
    """The small pictures that GIMP's dialogs show."""
    say("Making the small pictures of styles and presets …")
    run([str(plan.home.python), "-I", "-m", "backend.command.thumbnails", str(PHOTO), str(plan.home.folder)])
