"""The plug-in's texts in GIMP's language, by the catalogue that `atelier.py` names to GIMP.

What the backend says, in a note or a failure, comes as it is, in English.
The template for translators, `locale/atelier.pot`, is made in this folder by

    xgettext --from-code=UTF-8 --keyword=N_ --package-name=Atelier -o locale/atelier.pot $(find . -name '*.py')
"""

from __future__ import annotations

from gi.repository import GLib

from atelier_shared.errors import AtelierError
from atelier_shared.settings import Wrong


def _(text: str) -> str:
    """A text in GIMP's language, or as it is where there is no translation."""
    return str(GLib.dgettext(None, text))


def ngettext(one: str, many: str, count: int) -> str:
    """The form of a text that goes with `count`, in GIMP's language."""
    return str(GLib.dngettext(None, one, many, count))


def translated(error: AtelierError | Wrong, **others: str) -> str:
    """An error's sentence in GIMP's language, and so the errors in it; `others` take the place of values."""
    template, values = _(error.template), error.values | others
    said = {name: translated(value) if isinstance(value, Wrong) else value for name, value in values.items()}
    return template.format(**said) if said else template
