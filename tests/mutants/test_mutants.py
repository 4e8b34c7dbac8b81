"""Every mutant still applies to the source, has tests, and is in SECURITY.md. `run.py` runs them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mutants import run
from mutants.protections import MUTANTS, Mutant

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.protection)
def test_a_mutant_applies_once_and_has_tests(mutant: Mutant) -> None:
    source = (CHECKOUT / mutant.file).read_text(encoding="utf-8")
    assert source.count(mutant.text) == 1
    assert mutant.removed not in (mutant.text, source)
    compile(source.replace(mutant.text, mutant.removed), mutant.file, "exec")
    file, words = mutant.tests
    tests = (CHECKOUT / file).read_text(encoding="utf-8")
    for word in set(re.findall(r"[\w-]+", words)) - {"and", "or", "not"}:
        assert word in tests, word


def test_a_mutant_whose_text_has_changed_does_not_apply(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without this the unchanged source passes its tests, and the mutant counts as a survivor."""
    (tmp_path / "door.py").write_text("lock()\n")
    monkeypatch.setattr(run, "run_tests", lambda *_: run.SURVIVED)
    assert not run.is_killed(Mutant("the door", "door.py", "close()", "", ("", "")), tmp_path)
    assert capsys.readouterr().out.startswith("DOES NOT APPLY the door: ")
    assert not run.is_killed(Mutant("the door", "door.py", "lock()", "", ("", "")), tmp_path)
    assert capsys.readouterr().out.startswith("SURVIVED the door ")
    assert (tmp_path / "door.py").read_text() == "lock()\n"


def test_every_protection_is_in_the_table_of_the_document() -> None:
    document = (CHECKOUT / "SECURITY.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| ([^|]+) \| `[^|`]+\.py` \| `-k ", document, re.MULTILINE)
    assert listed == [mutant.protection for mutant in MUTANTS]
