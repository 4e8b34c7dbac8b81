"""The style pictures in the gallery's styles: complete, undamaged, and made only when needed."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from backend.command import style_pictures
from backend.command.style_pictures import STYLE_PX, make

PHOTO = Path(__file__).parents[2] / "samples" / "coffee.jpg"


@pytest.fixture(scope="module")
def home(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home folder with all weights."""
    home = tmp_path_factory.mktemp("home")
    (home / "models").symlink_to(models)
    return home


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit the styles to two, because all are made in the same way."""
    monkeypatch.setattr(style_pictures, "GALLERY", ("woodcut", "great wave"))


def test_style_pictures_are_paintings_of_the_photo(home: Path) -> None:
    assert {file.name for file in make(PHOTO, home)} == {"woodcut.jpg", "great wave.jpg"}
    with Image.open(PHOTO) as photo:
        pictures = [photo.convert("RGB").resize((STYLE_PX, STYLE_PX * photo.height // photo.width))]
    for name in ("woodcut", "great wave"):
        with Image.open(home / "styles" / f"{name}.jpg") as style:
            pictures.append(style.convert("RGB"))
    for one, another in pairwise(pictures):
        assert one.size == another.size
        assert max(ImageStat.Stat(ImageChops.difference(one, another)).mean) > 20


@pytest.mark.parametrize("harm", ["missing", "cut off", "of other settings"])
def test_only_missing_damaged_and_outdated_style_pictures_are_made(home: Path, harm: str) -> None:
    make(PHOTO, home)
    file, other = home / "styles" / "woodcut.jpg", home / "styles" / "great wave.jpg"
    before = file.read_bytes()
    if harm == "missing":
        file.unlink()
    elif harm == "cut off":
        file.write_bytes(before[:2000])
    else:
        file.write_bytes(other.read_bytes())
    assert make(PHOTO, home) == [file]
    assert file.read_bytes() == before
    assert make(PHOTO, home) == []
