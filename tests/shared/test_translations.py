"""The translations: complete, with the values, commands and marks of the English texts."""

from __future__ import annotations

import ast
import gettext
import io
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from installer.translations import SOURCES, compile_translations, mo_file, translations

CHECKOUT = Path(__file__).parents[2]
MARKS = {"_", "N_", "ngettext"}
LANGUAGES = ["ar", "de", "es", "fr", "it", "ja", "ko", "pl", "pt_BR", "ru", "tr", "uk", "zh_CN", "zh_TW"]
AGAIN = "run docs/make_translations.py"
VALUE = re.compile(r"\{\w*\}|%\(\w+\)[rs]|%s")
LAYER = re.compile(r"[A-Za-z]+\d?_\d\w*")
"""The name of a network's layer, such as relu1_1."""
COMMAND = re.compile(r"install\.py|atelier [a-z]+\b|(?<![\w}-])--?[a-z][\w-]*|" + LAYER.pattern)
MNEMONIC = re.compile(r"_\w")
PLURALS = re.compile(r"nplurals=(\d+); plural=(.+);")
FULL_STOPS = (".", "。")


def marked_in(source: str) -> Iterator[str]:
    """Yield the texts marked for translation in a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKS:
            texts = [each.value for each in node.args if isinstance(each, ast.Constant)]
            if text := "\0".join(text for text in texts if isinstance(text, str)):
                yield text


def texts_in(template: str) -> Iterator[str]:
    """Yield the texts of a gettext template, except the empty one of its header."""
    for entry in template.split("\n\n")[1:]:
        quoted = re.findall(r'^msgid(?:_plural)? ((?:".*"\s*)+)', entry, re.MULTILINE)
        yield "\0".join("".join(map(ast.literal_eval, lines.splitlines())) for lines in quoted)


@cache
def english() -> frozenset[str]:
    return frozenset(texts_in((SOURCES / "atelier.pot").read_text(encoding="utf-8")))


@cache
def translated(language: str) -> dict[str, str]:
    return dict(translations((SOURCES / f"{language}.po").read_text(encoding="utf-8")))


def pairs(language: str) -> Iterator[tuple[str, str]]:
    """Yield each English text with each form of its translation; of a plural, the plural form."""
    for text, translation in translated(language).items():
        if text:
            for form in translation.split("\0"):
                yield text.split("\0")[-1], form


def test_the_template_has_exactly_the_marked_texts() -> None:
    files = [file for folder in ("plugin/atelier", "backend") for file in (CHECKOUT / folder).rglob("*.py")]
    marked = {text for file in files for text in marked_in(file.read_text(encoding="utf-8"))}
    assert len(marked) > 200
    assert marked - english() == set(), AGAIN
    assert english() - marked == set(), AGAIN


def test_the_languages_are_complete() -> None:
    assert sorted(file.stem for file in SOURCES.glob("*.po")) == LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
class TestEachLanguage:
    def test_every_text_is_translated(self, language: str) -> None:
        assert english() - translated(language).keys() == set(), f"{AGAIN} {language}"
        assert translated(language).keys() - english() == {""}, AGAIN

    def test_values_and_commands_are_kept(self, language: str) -> None:
        for text, translation in pairs(language):
            for pattern in (VALUE, COMMAND):
                assert sorted(pattern.findall(translation)) == sorted(pattern.findall(text)), translation

    def test_plural_forms_are_as_many_as_the_header_says(self, language: str) -> None:
        (count, rule) = PLURALS.findall(translated(language)[""])[0]
        form_of = gettext.c2py(rule)
        assert {form_of(number) for number in range(200)} == set(range(int(count)))
        forms = [each.split("\0") for text, each in translated(language).items() if "\0" in text]
        assert forms and all(len(each) == int(count) for each in forms)

    def test_labels_have_one_mnemonic_where_the_english_has_one(self, language: str) -> None:
        for text, translation in pairs(language):
            counts = [len(MNEMONIC.findall(LAYER.sub("", each))) for each in (text, translation)]
            assert counts[0] == counts[1], translation

    def test_the_ends_of_texts_agree(self, language: str) -> None:
        for text, translation in pairs(language):
            if text == text.strip():
                assert translation == translation.strip()
            assert translation.endswith("\n") == text.endswith("\n")
            assert translation.endswith("…") == text.endswith("…"), translation
            assert translation.endswith(FULL_STOPS) == text.endswith("."), translation
            assert "<" not in translation and "&" not in translation, "labels would read it as markup"

    def test_a_compiled_catalogue_is_read_by_gettext(self, language: str, tmp_path: Path) -> None:
        compile_translations(tmp_path)
        catalogue = gettext.translation("atelier", tmp_path, [language])
        for text, translation in translated(language).items():
            if "\0" not in text:
                assert catalogue.gettext(text) == translation


PO_FILE = """
msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\n"

#, fuzzy
msgid "guessed"
msgstr "geraten"

msgid "untranslated"
msgstr ""

msgctxt "menu"
msgid ""
"a \\"quoted\\" "
"text\\n"
msgstr "ein „Text“\\n"

msgid "{count} job"
msgid_plural "{count} jobs"
msgstr[0] "{count} Auftrag"
msgstr[1] "{count} Aufträge"

#~ msgid "obsolete"
#~ msgstr "veraltet"
"""


def test_contexts_plurals_and_escapes_are_compiled_and_fuzzy_translations_left_out() -> None:
    catalogue = gettext.GNUTranslations(io.BytesIO(mo_file(dict(translations(PO_FILE)))))
    assert catalogue.pgettext("menu", 'a "quoted" text\n') == "ein „Text“\n"
    assert [catalogue.ngettext("{count} job", "{count} jobs", n) for n in (1, 2)] == [
        "{count} Auftrag",
        "{count} Aufträge",
    ]
    for text in ("guessed", "untranslated", "obsolete"):
        assert catalogue.gettext(text) == text
