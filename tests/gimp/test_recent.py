"""What is noted of the files that were used and of favourites, and what is made of a note that is damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ui.gallery import recent
from ui.gallery.recent import (
    MEMORY_FILE,
    MOST_BYTES,
    MOST_RECENT,
    Memory,
    recall,
    remember,
    set_favourite,
)


class File:
    """A file as Gio has them."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def get_uri(self) -> str:
        return self._uri


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Atelier's home, of the test's own."""
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path))
    return tmp_path


def test_nothing_is_remembered_at_first() -> None:
    assert recall() == Memory()


def test_files_are_remembered_the_last_one_first_and_each_once() -> None:
    for uris in (["file:///a", "file:///b"], ["file:///c"], ["file:///b"]):
        remember([File(uri) for uri in uris])
    assert recall().recent == ("file:///b", "file:///c", "file:///a")


def test_what_has_no_place_of_its_own_is_not_remembered(home: Path) -> None:
    layer = object()
    remember([layer])
    assert not list(home.iterdir())
    remember([layer, File("file:///a")])
    assert recall().recent == ("file:///a",)


def test_the_oldest_files_are_forgotten() -> None:
    for number in range(MOST_RECENT + 3):
        remember([File(f"file:///{number}")])
    recent = recall().recent
    assert len(recent) == MOST_RECENT
    assert recent[0] == f"file:///{MOST_RECENT + 2}"
    assert recent[-1] == "file:///3"


def test_favourites_come_and_go_and_leave_the_files_alone() -> None:
    remember([File("file:///a")])
    for key in ("style:woodcut", "preset:eyes", "style:woodcut"):
        set_favourite(key, True)
    assert recall() == Memory(("file:///a",), ("preset:eyes", "style:woodcut"))
    set_favourite("preset:eyes", False)
    set_favourite("preset:never", False)
    assert recall() == Memory(("file:///a",), ("style:woodcut",))


@pytest.mark.parametrize(
    ("note", "understood"),
    [
        (b"", Memory()),
        (b"{", Memory()),
        (b"\xff\xfe", Memory()),
        (b"[1]", Memory()),
        (b"[" * 100_000, Memory()),
        (b'{"recent": "file:///a", "favourites": 3}', Memory()),
        (b'{"recent": ["file:///a", 1, null], "more": []}', Memory(("file:///a",))),
        (b'{"recent": ["a"]}' + b" " * MOST_BYTES, Memory()),
    ],
    ids=["empty", "cut off", "no text", "a list", "deep", "other kinds", "some of it", "endless"],
)
def test_of_a_damaged_note_what_can_be_understood_counts(home: Path, note: bytes, understood: Memory) -> None:
    (home / MEMORY_FILE).write_bytes(note)
    assert recall() == understood
    remember([File("file:///new")])
    assert recall().recent == ("file:///new", *understood.recent)


def test_a_note_is_written_in_one_piece(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember([File("file:///a")])

    def cut_off(self: Path, text: str, encoding: str) -> int:
        with self.open("w", encoding=encoding) as file:
            file.write(text[:5])
        raise OSError("The disk is full.")

    monkeypatch.setattr(Path, "write_text", cut_off)
    remember([File("file:///b")])
    assert json.loads((home / MEMORY_FILE).read_bytes())["recent"] == ["file:///a"]


def test_a_home_that_is_not_there_is_no_harm(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(home / "gone"))
    remember([File("file:///a")])
    recent.set_favourite("style:woodcut", True)
    assert recall() == Memory()
    assert not list(home.iterdir())
