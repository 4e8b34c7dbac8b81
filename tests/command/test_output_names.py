"""Which files are read and written: folders, patterns of the shell, patterns of names."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from atelier_shared.errors import AtelierError
from backend.command.output_names import contents, numbered, pieces

FILES = [Path("in/a.jpg"), Path("in/b.xcf.tif"), Path("other/c.svg")]
ONE: list[tuple[Path, ...]] = [(Path("s/oil.png"),)]
TWO: list[tuple[Path, ...]] = [(Path("s/oil.png"),), (Path("s/ink.jpg"),)]


def outputs(output: str, styles: list[tuple[Path, ...]] = ONE, ending: str | None = None) -> list[str]:
    return [str(piece.output) for piece in pieces(FILES, styles, output, ending)]


def test_a_folder_gets_files_of_the_same_names() -> None:
    assert outputs("out/") == ["out/a.jpg", "out/b.xcf.tif", "out/c.png"], "SVG cannot be written"
    assert outputs("out/", ending=".webp") == ["out/a.webp", "out/b.xcf.webp", "out/c.webp"]
    assert outputs("o{name}t/", ending=".png")[0] == "o{name}t/a.png", "only the last part is a pattern"


def test_an_existing_folder_needs_no_slash(tmp_path: Path) -> None:
    assert outputs(str(tmp_path))[0] == str(tmp_path / "a.jpg")


def test_several_styles_are_part_of_the_names() -> None:
    assert outputs("out/", TWO)[:2] == ["out/a-oil.jpg", "out/a-ink.jpg"]
    assert outputs("{folder}-{number}-{style}.png", TWO)[1] == "in-002-ink.png"
    mixed: list[tuple[Path, ...]] = [(Path("s/oil.png"), Path("ink.png"))]
    assert outputs("{name}-{style}", mixed)[0] == "a-oil+ink.jpg"


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("out.png", "is one file, and there are 3 results"),
        ("-", "is one file"),
        ("out/same-{style}.png", "written 3 times"),
        ("{name}-{strength}.png", "is no part of a file name"),
        ("in/", "would be overwritten"),
        ("{folder}/{name}{ending}", "would be overwritten"),
    ],
)
def test_names_that_cannot_work_are_refused(output: str, expected: str) -> None:
    with pytest.raises(AtelierError, match=expected):
        outputs(output)


def test_one_content_may_be_overwritten_by_its_name_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    assert [piece.output for piece in pieces([file], ONE, str(file), None)] == [file]
    with pytest.raises(AtelierError, match="would be overwritten"):
        pieces([file], ONE, str(tmp_path), None)
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(AtelierError, match="would be overwritten"):
        pieces([file], ONE, str(tmp_path / "link"), None)


def test_folders_and_patterns_stand_for_their_pictures(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.PNG", "[c].webp", "notes.txt", ".hidden.png"):
        if name.endswith("txt"):
            (tmp_path / name).write_text("")
        else:
            Image.new("RGB", (1, 1)).save(tmp_path / name)
    (tmp_path / "deeper").mkdir()
    names = [path.name for path in contents([tmp_path])]
    assert names == ["[c].webp", "a.PNG", "b.jpg"]
    assert [path.name for path in contents([tmp_path / "*.jpg", tmp_path / "b.jpg"])] == ["b.jpg"]
    assert contents([tmp_path / "[c].webp"]) == [tmp_path / "[c].webp"], "an existing file is no pattern"
    for empty in (tmp_path / "deeper", tmp_path / "*.heic"):
        with pytest.raises(AtelierError, match="no picture in"):
            contents([empty])


def test_frames_are_numbered() -> None:
    assert [path.name for path in numbered(Path("out/zoom.png"), 2)] == ["zoom-001.png", "zoom-002.png"]
    assert list(numbered(Path("out/zoom.png"), 1)) == [Path("out/zoom.png")]
