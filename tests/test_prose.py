"""The English of the docstrings: imperative verbs, and few relative and interrogative pronouns."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from test_architecture import MAY_IMPORT, folder_of, modules

CHECKOUT = Path(__file__).resolve().parent.parent
PRONOUN = re.compile(r"\b(what|which|who|whom|whose|whoever|whatever|that|those)\b", re.IGNORECASE)
WORD = re.compile(r"[A-Za-z][A-Za-z'’-]*")
MOST_PRONOUNS = 1.5
"""Per 100 words of a folder's docstrings. Measured in well-written projects: 1.0 to 1.3."""
NO_VERB = (
    *("A", "All", "An", "Any", "As", "At", "Each", "Every", "For", "From", "How", "In", "Its", "No"),
    *("Nothing", "Of", "On", "One", "So", "Some", "That", "The", "These", "Those", "To", "What", "When"),
    *("Where", "Whether", "Which", "Who", "Whoever", "Whose", "Why", "With"),
)
"""Words that begin a docstring of a function which does not say what the function does."""


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def docstrings(file: Path) -> Iterator[str]:
    """Yield the docstrings of a module, and the strings below its constants."""
    for node in ast.walk(tree_of(file)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            yield node.value.value


def functions(file: Path) -> Iterator[ast.FunctionDef]:
    """Yield the functions of a module that are no properties and no fixtures of a test."""
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.FunctionDef):
            decorators = " ".join(ast.unparse(each) for each in node.decorator_list)
            if not re.search(r"property|fixture", decorators):
                yield node


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_folder_s_docstrings_are_plain(folder: str) -> None:
    text = " ".join(
        t for name, file in modules().items() if folder_of(name) == folder for t in docstrings(file)
    )
    pronouns, words = len(PRONOUN.findall(text)), len(WORD.findall(text))
    assert 100 * pronouns / words <= MOST_PRONOUNS, f"{pronouns} in {words} words"


@pytest.mark.parametrize("module", modules())
def test_a_function_s_docstring_begins_with_a_verb(module: str) -> None:
    begun = {
        function.name: text.split()[0]
        for function in functions(modules()[module])
        if (text := ast.get_docstring(function)) and text.split()[0].rstrip(",:") in NO_VERB
    }
    assert not begun
