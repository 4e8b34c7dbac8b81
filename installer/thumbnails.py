"""The installer's step for the pictures in GIMP's dialogs: thumbnails, and the styles as style pictures."""

from __future__ import annotations

from .paths import CHECKOUT, Plan
from .process import run
from .progress import LongStep, Steps
from .self_check import PHOTO

STYLES_PHOTO = CHECKOUT / "samples" / "coffee.jpg"


def make_thumbnails(plan: Plan) -> None:
    """Make missing, damaged and outdated thumbnails of styles and presets, and style pictures."""
    for pictures, module, photo in (
        ("thumbnails of styles and presets", "thumbnails", PHOTO),
        ("style pictures", "style_pictures", STYLES_PHOTO),
    ):
        arguments = ("-I", "-m", f"backend.command.{module}", str(photo), str(plan.home.folder))
        progress = Steps()
        with LongStep(f"Making the {pictures}", progress):
            run([str(plan.home.python), *arguments], progress.read)
