"""Every mutant still applies to the source, has tests, and is in SECURITY.md. `run.py` runs them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
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


def test_every_protection_is_in_the_table_of_the_document() -> None:
    document = (CHECKOUT / "SECURITY.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| ([^|]+) \| `[^|`]+\.py` \| `-k ", document, re.MULTILINE)
    assert listed == [mutant.protection for mutant in MUTANTS]
