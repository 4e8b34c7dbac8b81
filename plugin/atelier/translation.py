"""The plug-in's texts in GIMP's language, by the catalogue that `atelier.py` names to GIMP.

The template for translators, `locale/atelier.pot`, is made in this folder by

    xgettext --from-code=UTF-8 --keyword=N_ --package-name=Atelier -o locale/atelier.pot *.py
"""

from __future__ import annotations

from gi.repository import GLib

from atelier_protocol import AtelierError


def _(text: str) -> str:
    """A text in GIMP's language, or as it is where there is no translation."""
    return str(GLib.dgettext(None, text))


def ngettext(one: str, many: str, count: int) -> str:
    """The form of a text that goes with `count`, in GIMP's language."""
    return str(GLib.dngettext(None, one, many, count))


def translated(error: AtelierError) -> str:
    """An error's sentence in GIMP's language."""
    template = _(error.template)
    return template.format(**error.values) if error.values else template
