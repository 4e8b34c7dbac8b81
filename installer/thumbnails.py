"""The installer's step for the thumbnails of GIMP's dialogs."""

from __future__ import annotations

from .paths import Plan
from .process import report, run
from .self_check import PHOTO


def make_thumbnails(plan: Plan) -> None:
    """Make missing, damaged and outdated thumbnails of styles and presets."""
    report("Making the thumbnails of styles and presets …")
    run([str(plan.home.python), "-I", "-m", "backend.command.thumbnails", str(PHOTO), str(plan.home.folder)])
