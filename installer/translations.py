"""The catalogues of translations, compiled from `plugin/atelier/locale/LANGUAGE.po` as by msgfmt.

Standard library only, because the user's computer may not have msgfmt.

Source: GNU gettext manual, chapters "The Format of PO Files" and "The Format of GNU MO Files"
"""

from __future__ import annotations

import ast
import itertools
import re
import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .paths import CHECKOUT

SOURCES = CHECKOUT / "plugin" / "atelier" / "locale"
CATALOGUE = "LC_MESSAGES/atelier.mo"
FIELD = re.compile(r'^(msgctxt|msgid|msgid_plural|msgstr)(?:\[\d+\])? ((?:".*"\s*)+)', re.MULTILINE)
FUZZY = re.compile(r"^#,.*\bfuzzy\b", re.MULTILINE)
MAGIC, REVISION = 0x950412DE, 0


def compile_translations(target: Path) -> None:
    """Write `target`/LANGUAGE/LC_MESSAGES/atelier.mo for each language."""
    for source in sorted(SOURCES.glob("*.po")):
        file = target / source.stem / CATALOGUE
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(mo_file(dict(translations(source.read_text(encoding="utf-8")))))


def translations(po_file: str) -> Iterator[tuple[str, str]]:
    """Yield the texts of a .po file and their translations, as a .mo file has them.

    The forms of a plural are joined by NUL. Texts without a translation or with a fuzzy one are left out.
    """
    for entry in re.split(r"\n\s*\n", po_file):
        fields = defaultdict[str, list[str]](list)
        for name, quoted in FIELD.findall(entry):
            fields[name].append("".join(map(ast.literal_eval, quoted.splitlines())))
        text = "\0".join(fields["msgid"] + fields["msgid_plural"])
        if fields["msgctxt"]:
            text = f"{fields['msgctxt'][0]}\4{text}"
        if fields["msgstr"] and all(fields["msgstr"]) and not FUZZY.search(entry):
            yield text, "\0".join(fields["msgstr"])


def mo_file(translated: Mapping[str, str]) -> bytes:
    """Return a .mo file: a header, a table of lengths and offsets for texts and translations, and these."""
    entries = sorted((text.encode(), translation.encode()) for text, translation in translated.items())
    texts, strings = [text for text, _ in entries], [string for _, string in entries]
    header_bytes, table_bytes = struct.calcsize("<7I"), 8 * len(entries)
    tables_end = header_bytes + 2 * table_bytes
    header = struct.pack(
        *("<7I", MAGIC, REVISION, len(entries), header_bytes, header_bytes + table_bytes, 0, tables_end)
    )
    table = b"".join(itertools.starmap(struct.Struct("<2I").pack, _places(texts + strings, tables_end)))
    return header + table + b"".join(string + b"\0" for string in texts + strings)


def _places(strings: Sequence[bytes], start: int) -> Iterator[tuple[int, int]]:
    """Yield the length and the offset of each string, if they follow one another, ended by NUL."""
    for string in strings:
        yield len(string), start
        start += len(string) + 1
