"""The check that all frames of an animation have one size and kind."""

from __future__ import annotations

from gettext import gettext as _

from ..picture_files import Canvas, PictureFileError
from ..picture_files.pixels import Pixels


def check_alike(canvas: Canvas, first: Canvas, output: int) -> None:
    """Refuse frames of several sizes or kinds.

    Raises:
        PictureFileError: this one differs from the first one.
    """
    here, there = canvas.file.pixels, first.file.pixels
    if here.values.shape[:2] != there.values.shape[:2]:
        template = _(
            "Frame {number} has {size} pixels, and the first one {first_size}. Scale all frames to one size."
        )
        sizes = {"size": _size_of(here), "first_size": _size_of(there)}
        raise PictureFileError(template, number=output, **sizes)
    if (here.channels, here.depth) != (there.channels, there.depth):
        template = _(
            "Frame {number} has pixels of another kind ({kind}) than the first one ({first_kind}). "
            "Convert all frames to one kind."
        )
        kinds = {"kind": _kind_of(here), "first_kind": _kind_of(there)}
        raise PictureFileError(template, number=output, **kinds)


def _size_of(pixels: Pixels) -> str:
    height, width = pixels.values.shape[:2]
    return f"{width}×{height}"


def _kind_of(pixels: Pixels) -> str:
    return f"{pixels.channels}, {pixels.depth}"
