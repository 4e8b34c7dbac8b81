"""The small pictures of what is built in: one for each, whole, and made anew only where that is needed."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from atelier_shared.deepdream import DeepDream
from atelier_shared.gallery_styles import GALLERY
from atelier_shared.presets import PRESETS
from atelier_shared.style_transfer import StyleTransfer
from backend.command import thumbnails
from backend.command.thumbnails import THUMBNAIL_PX, make, wanted

PHOTO = Path(__file__).parents[2] / "samples" / "chelsea.jpg"
STYLE, OTHER, PRESET = "style-woodcut.png", "style-great-wave.png", "preset-snouts.png"


@pytest.fixture(scope="module")
def home(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with all weights."""
    home = tmp_path_factory.mktemp("home")
    (home / "models").symlink_to(models)
    return home


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three thumbnails are enough to see how all are made."""
    every = wanted()
    monkeypatch.setattr(thumbnails, "wanted", lambda: {name: every[name] for name in (STYLE, OTHER, PRESET)})


def files_in(home: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (home / "thumbnails").iterdir()}


def test_there_is_one_for_every_style_and_every_preset() -> None:
    every = wanted()
    assert len(every) == len(GALLERY) + len(PRESETS)
    assert {made.gallery_style for made in every.values() if isinstance(made, StyleTransfer)} == set(GALLERY)
    dreams = {name: made for name, made in every.items() if isinstance(made, DeepDream)}
    for key, preset in PRESETS.items():
        made = dreams[f"preset-{key}.png"]
        assert {name: getattr(made, name) for name in preset.settings} == preset.settings


def test_they_are_small_pictures_that_differ(home: Path) -> None:
    made = make(PHOTO, home)
    assert {file.name for file in made} == files_in(home).keys() == {STYLE, OTHER, PRESET}
    pictures = []
    for file in made:
        with Image.open(file) as picture:
            pictures.append(picture.convert("RGB"))
    assert {picture.size for picture in pictures} == {(THUMBNAIL_PX, THUMBNAIL_PX)}
    for one, another in zip(pictures, [*pictures[1:], pictures[0]], strict=True):
        assert max(ImageStat.Stat(ImageChops.difference(one, another)).mean) > 20


@pytest.mark.parametrize("harm", ["missing", "cut off", "of another kind", "of other settings"])
def test_only_what_is_not_there_whole_is_made_anew(home: Path, harm: str) -> None:
    make(PHOTO, home)
    place, before = home / "thumbnails" / STYLE, files_in(home)
    if harm == "missing":
        place.unlink()
    elif harm == "cut off":
        place.write_bytes(before[STYLE][:2000])
    elif harm == "of another kind":
        place.write_text("no picture")
    else:
        place.write_bytes(before[OTHER])
    assert make(PHOTO, home) == [place]
    assert files_in(home) == before
    assert make(PHOTO, home) == []


def test_none_is_left_half_written(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(PHOTO, home)
    before = files_in(home)
    (home / "thumbnails" / STYLE).unlink()

    def fail(*_: object) -> None:
        raise OSError("The disk is full.")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk is full"):
        make(PHOTO, home)
    assert files_in(home) == {name: content for name, content in before.items() if name != STYLE}
