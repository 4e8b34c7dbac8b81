"""The documents: the tests, files and links in them exist."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
DOCUMENTS = [*CHECKOUT.glob("*.md"), *CHECKOUT.glob("*/*.md")]


def defined_tests() -> set[str]:
    """Return the names of all tests."""
    files = (CHECKOUT / "tests").rglob("test_*.py")
    return {name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_the_tests_and_links_of_a_document_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    tests = set(re.findall(r"`(test_\w+)`", text))
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in link]
    assert tests - defined_tests() == set()
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_readme_opens_with_the_two_commands() -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    (python3 \S+)", readme, re.MULTILINE)
    assert commands[:2] == ["python3 install.py", "python3 tests/run.py"]


def test_the_readme_s_tree_has_every_folder() -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    for folder in ("plugin/atelier", "backend"):
        for package in (CHECKOUT / folder).glob("*/__init__.py"):
            assert f"{package.parent.name}/" in readme, package


def test_gatys_loss_is_two_clicks_from_the_readme() -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    assert "(backend/style/fine_loss.py)" in readme and "(backend/style/losses.py)" in readme


def test_the_help_pages_are_those_of_the_present_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(CHECKOUT / "docs")
    make_help = importlib.import_module("make_help")
    files: dict[str, str] = make_help.files()
    shipped = {file.name: file.read_text(encoding="utf-8") for file in make_help.FOLDER.iterdir()}
    assert shipped == files, "Run docs/make_help.py."
