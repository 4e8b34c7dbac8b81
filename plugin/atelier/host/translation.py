"""Texts of the plug-in in GIMP's language; `atelier.py` names the catalogue to GIMP.

Sentences from the backend, in a note or a failure, stay in English.
CONTRIBUTING.md has the recipe for a translation.
"""

from __future__ import annotations

from gi.repository import GLib

from atelier_shared.errors import AtelierError
from atelier_shared.settings import Wrong


def _(text: str) -> str:
    """Translate a text into GIMP's language; return it unchanged if there is no translation."""
    return str(GLib.dgettext(None, text))


def ngettext(one: str, many: str, count: int) -> str:
    """Translate the singular or plural form of a text that goes with `count`."""
    return str(GLib.dngettext(None, one, many, count))


def translated(error: AtelierError | Wrong, **values: str) -> str:
    """Translate an error's sentence and the errors nested in it; `values` replace the error's own."""
    template, filled_in = _(error.template), error.values | values
    texts = {
        name: translated(value) if isinstance(value, Wrong) else value for name, value in filled_in.items()
    }
    return template.format(**texts) if texts else template
