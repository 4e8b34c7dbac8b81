"""Thumbnails, and style pictures in the gallery's styles: complete, undamaged, and made only when needed."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from atelier_shared.deepdream import DeepDream
from atelier_shared.gallery_styles import GALLERY
from atelier_shared.presets import PRESETS
from atelier_shared.style_transfer import StyleTransfer
from backend.command import style_pictures, thumbnails
from backend.command.style_pictures import STYLE_PX
from backend.command.thumbnails import THUMBNAIL_PX, make, requests

SAMPLES = Path(__file__).parents[2] / "samples"
PHOTO, STYLES_PHOTO = SAMPLES / "chelsea.jpg", SAMPLES / "coffee.jpg"
STYLE, OTHER, PRESET = "style-woodcut.png", "style-great-wave.png", "preset-snouts.png"


@pytest.fixture(scope="module")
def home(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home folder with all weights."""
    home = tmp_path_factory.mktemp("home")
    (home / "models").symlink_to(models)
    return home


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit the thumbnails to three and the styles to two, because all are made in the same way."""
    monkeypatch.setattr(style_pictures, "GALLERY", ("woodcut", "great wave"))
    every = requests()
    monkeypatch.setattr(
        thumbnails, "requests", lambda: {name: every[name] for name in (STYLE, OTHER, PRESET)}
    )


def files_in(home: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (home / "thumbnails").iterdir()}


def test_every_style_and_every_preset_has_a_thumbnail() -> None:
    every = requests()
    assert len(every) == len(GALLERY) + len(PRESETS)
    assert {made.gallery_style for made in every.values() if isinstance(made, StyleTransfer)} == set(GALLERY)
    dreams = {name: made for name, made in every.items() if isinstance(made, DeepDream)}
    for key, preset in PRESETS.items():
        made = dreams[f"preset-{key}.png"]
        assert {name: getattr(made, name) for name in preset.settings} == preset.settings


def test_thumbnails_are_small_and_differ(home: Path) -> None:
    made = make(PHOTO, home)
    assert {file.name for file in made} == files_in(home).keys() == {STYLE, OTHER, PRESET}
    pictures = []
    for file in made:
        with Image.open(file) as picture:
            pictures.append(picture.convert("RGB"))
    assert {picture.size for picture in pictures} == {(THUMBNAIL_PX, THUMBNAIL_PX)}
    for one, another in zip(pictures, [*pictures[1:], pictures[0]], strict=True):
        assert max(ImageStat.Stat(ImageChops.difference(one, another)).mean) > 20


@pytest.mark.parametrize("harm", ["missing", "cut off", "not a picture", "of other settings"])
def test_only_missing_damaged_and_outdated_thumbnails_are_made(home: Path, harm: str) -> None:
    make(PHOTO, home)
    file, before = home / "thumbnails" / STYLE, files_in(home)
    if harm == "missing":
        file.unlink()
    elif harm == "cut off":
        file.write_bytes(before[STYLE][:2000])
    elif harm == "not a picture":
        file.write_text("no picture")
    else:
        file.write_bytes(before[OTHER])
    assert make(PHOTO, home) == [file]
    assert files_in(home) == before
    assert make(PHOTO, home) == []


def test_a_failed_write_leaves_no_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(PHOTO, home)
    before = files_in(home)
    (home / "thumbnails" / STYLE).unlink()

    def fail(*_: object) -> None:
        raise OSError("The disk is full.")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk is full"):
        make(PHOTO, home)
    assert files_in(home) == {name: content for name, content in before.items() if name != STYLE}


def test_style_pictures_are_paintings_of_the_photo(home: Path) -> None:
    assert {file.name for file in style_pictures.make(STYLES_PHOTO, home)} == {
        "woodcut.jpg",
        "great wave.jpg",
    }
    with Image.open(STYLES_PHOTO) as photo:
        pictures = [photo.convert("RGB").resize((STYLE_PX, STYLE_PX * photo.height // photo.width))]
    for name in ("woodcut", "great wave"):
        with Image.open(home / "styles" / f"{name}.jpg") as style:
            pictures.append(style.convert("RGB"))
    for one, another in pairwise(pictures):
        assert one.size == another.size
        assert max(ImageStat.Stat(ImageChops.difference(one, another)).mean) > 20


@pytest.mark.parametrize("harm", ["missing", "cut off", "of other settings"])
def test_only_missing_damaged_and_outdated_style_pictures_are_made(home: Path, harm: str) -> None:
    style_pictures.make(STYLES_PHOTO, home)
    file, other = home / "styles" / "woodcut.jpg", home / "styles" / "great wave.jpg"
    before = file.read_bytes()
    if harm == "missing":
        file.unlink()
    elif harm == "cut off":
        file.write_bytes(before[:2000])
    else:
        file.write_bytes(other.read_bytes())
    assert style_pictures.make(STYLES_PHOTO, home) == [file]
    assert file.read_bytes() == before
    assert style_pictures.make(STYLES_PHOTO, home) == []
