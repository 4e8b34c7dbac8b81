"""The installer's step for the pictures in GIMP's dialogs: thumbnails, and the styles as style pictures."""

from __future__ import annotations

from .paths import CHECKOUT, Plan
from .process import run
from .progress import LongStep, Steps
from .self_check import PHOTO

STYLES_PHOTO = CHECKOUT / "samples" / "coffee.jpg"


def make_thumbnails(plan: Plan) -> None:
    """Make missing, damaged and outdated thumbnails of styles and presets, and style pictures."""
    progress = Steps()
    with LongStep("Making the thumbnails of styles and presets", progress):
        for module, photo in (("thumbnails", PHOTO), ("style_pictures", STYLES_PHOTO)):
            arguments = ("-I", "-m", f"backend.command.{module}", str(photo), str(plan.home.folder))
            run([str(plan.home.python), *arguments], progress.read)
