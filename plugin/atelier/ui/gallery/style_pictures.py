"""The pictures in the gallery's styles, painted by the installer as style pictures for the other methods."""

from __future__ import annotations

from pathlib import Path

from gi.repository import Gio

from atelier_shared.gallery_styles import GALLERY
from atelier_shared.home import STYLES_FOLDER, atelier_home


def style_picture(name: str) -> Gio.File | None:
    """Return the picture in a gallery style; None if an incomplete installation does not have it."""
    path = _path(name)
    return Gio.File.new_for_path(str(path)) if path.exists() else None


def _path(name: str) -> Path:
    return atelier_home() / STYLES_FOLDER / f"{name}.jpg"


def gallery_style_of(file: Gio.File) -> str:
    """Return the name of a gallery style from the file of its picture; an empty text for another file."""
    path = Path(file.get_path() or "")
    return path.stem if path.stem in GALLERY and path == _path(path.stem) else ""
