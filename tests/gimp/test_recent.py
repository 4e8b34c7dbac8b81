"""Recent files and favourites: storing them, and reading a damaged file."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest

from atelier_shared.home import MAX_JSON_BYTES, STYLES_FILE, STYLES_FOLDER
from ui.gallery import recent
from ui.gallery.recent import MAX_RECENT, History, add_recent, read_history, set_favourite


class File:
    """A stand-in for a Gio.File."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def get_uri(self) -> str:
        return self._uri


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder."""
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path))
    return tmp_path


def test_the_history_is_empty_at_first() -> None:
    assert read_history() == History()


def test_recent_files_are_listed_once_newest_first() -> None:
    for uris in (["file:///a", "file:///b"], ["file:///c"], ["file:///b"]):
        add_recent([File(uri) for uri in uris])
    assert read_history().recent == ("file:///b", "file:///c", "file:///a")


def test_pictures_without_a_uri_are_not_stored(home: Path) -> None:
    layer = object()
    add_recent([layer])
    assert not list(home.iterdir())
    add_recent([layer, File("file:///a")])
    assert read_history().recent == ("file:///a",)


def test_pictures_of_gallery_styles_are_not_stored(home: Path) -> None:
    add_recent([File((home / STYLES_FOLDER / "great wave.jpg").as_uri())])
    assert not list(home.iterdir())


def test_the_oldest_files_are_dropped() -> None:
    for number in range(MAX_RECENT + 3):
        add_recent([File(f"file:///{number}")])
    recent = read_history().recent
    assert len(recent) == MAX_RECENT
    assert recent[0] == f"file:///{MAX_RECENT + 2}"
    assert recent[-1] == "file:///3"


def test_favourites_are_added_and_removed_independently_of_files() -> None:
    add_recent([File("file:///a")])
    for key in ("style:woodcut", "preset:eyes", "style:woodcut"):
        set_favourite(key, True)
    assert read_history() == History(("file:///a",), ("preset:eyes", "style:woodcut"))
    set_favourite("preset:eyes", False)
    set_favourite("preset:never", False)
    assert read_history() == History(("file:///a",), ("style:woodcut",))


@pytest.mark.parametrize(
    ("content", "history"),
    [
        (b"", History()),
        (b"{", History()),
        (b"\xff\xfe", History()),
        (b"[1]", History()),
        (b"[" * 100_000, History()),
        (b'{"recent": "file:///a", "favourites": 3}', History()),
        (b'{"recent": ["file:///a", 1, null], "more": []}', History(("file:///a",))),
        (b'{"recent": ["a"]}' + b" " * MAX_JSON_BYTES, History()),
    ],
    ids=[
        "empty",
        "truncated",
        "not UTF-8",
        "a list",
        "deeply nested",
        "wrong types",
        "partly valid",
        "too large",
    ],
)
def test_valid_values_of_a_damaged_file_are_used(home: Path, content: bytes, history: History) -> None:
    (home / STYLES_FILE).write_bytes(content)
    assert read_history() == history
    add_recent([File("file:///new")])
    assert read_history().recent == ("file:///new", *history.recent)


def test_a_failed_write_leaves_the_old_file(home: Path) -> None:
    """The system stops the write in the middle, as it does when a disk is full."""
    add_recent([File("file:///a")])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5, limits[1]))
    try:
        add_recent([File("file:///b")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert json.loads((home / STYLES_FILE).read_bytes())["recent"] == ["file:///a"]
    assert [file.name for file in home.iterdir()] == [STYLES_FILE]


def test_a_missing_home_folder_is_ignored(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(home / "gone"))
    add_recent([File("file:///a")])
    recent.set_favourite("style:woodcut", True)
    assert read_history() == History()
    assert not list(home.iterdir())
