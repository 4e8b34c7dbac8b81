"""The template of the translations, locale/atelier.pot, and the languages' files, made again.

    python3 docs/make_translations.py            prints how many texts each language lacks
    python3 docs/make_translations.py de         prints the texts that a language lacks

Run it after every change of a text. It needs xgettext, msgmerge and msgattrib, from the package `gettext`.
A text counts as untranslated after its English has changed. `python3 install.py` compiles the translations.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
LOCALE = CHECKOUT / "plugin" / "atelier" / "locale"
TEMPLATE = LOCALE / "atelier.pot"
SOURCES = ("plugin/atelier", "backend")
NOTED_DATE = '"POT-Creation-Date'
"""The beginning of a line that would differ after each call."""


def main() -> None:
    make_template()
    for language in sorted(LOCALE.glob("*.po")):
        update(language)
        lacking = texts_lacking_in(language)
        print(f"{language.stem} lacks {lacking.count('msgid ')} texts")
        if language.stem in sys.argv:
            print(lacking)


def make_template() -> None:
    """Collect the marked texts."""
    files = [file for folder in SOURCES for file in sorted((CHECKOUT / folder).rglob("*.py"))]
    names = "\n".join(str(file.relative_to(CHECKOUT)) for file in files)
    options = ("--from-code=UTF-8", "--keyword=N_", "--no-location", "--package-name=Atelier")
    run("xgettext", "--files-from=-", *options, f"--output={TEMPLATE}", given=names)
    remove_date(TEMPLATE)


def update(language: Path) -> None:
    """Add new texts to a language, and remove those that are no longer used."""
    output = f"--output-file={language}"
    run("msgmerge", "--quiet", "--no-fuzzy-matching", output, str(language), str(TEMPLATE))
    run("msgattrib", "--no-obsolete", output, str(language))
    remove_date(language)


def texts_lacking_in(language: Path) -> str:
    """Return a language's entries without a translation, without the header."""
    return run("msgattrib", "--untranslated", str(language)).partition("\n\n")[2]


def remove_date(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(line for line in lines if not line.startswith(NOTED_DATE)), encoding="utf-8")


def run(*command: str, given: str | None = None) -> str:
    """Run a program in the checkout, and return its output."""
    done = subprocess.run(command, cwd=CHECKOUT, input=given, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


if __name__ == "__main__":
    main()
