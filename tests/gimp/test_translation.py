"""The template for translators has exactly the translatable texts of the plug-in."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PLUGIN = Path(__file__).parents[2] / "plugin" / "atelier"
MARKS = {"_", "N_", "ngettext"}


def marked_in(source: str) -> Iterator[str]:
    """Yield the texts marked for translation in a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKS:
            for argument in node.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value


def texts_in(template: str) -> Iterator[str]:
    """Yield the texts of a gettext template, except the empty one of its header."""
    for lines in re.findall(r'^msgid(?:_plural)? ((?:".*"\n)+)', template, re.MULTILINE):
        if text := "".join(map(ast.literal_eval, lines.splitlines())):
            yield text


def test_the_template_has_exactly_the_texts_of_the_plug_in() -> None:
    marked = {text for file in PLUGIN.rglob("*.py") for text in marked_in(file.read_text(encoding="utf-8"))}
    in_template = set(texts_in((PLUGIN / "locale" / "atelier.pot").read_text(encoding="utf-8")))
    assert len(marked) > 200
    assert marked - in_template == set(), "make the template again with the command in host/translation.py"
    assert in_template - marked == set(), "make the template again with the command in host/translation.py"
