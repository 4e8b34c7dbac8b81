"""Texts of the plug-in in GIMP's language; `atelier.py` names the catalogue to GIMP.

Errors carry English templates with values, also those of the backend, and are translated when they are shown.
CONTRIBUTING.md has the recipe for a translation.
"""

from __future__ import annotations

from gi.repository import GLib

from atelier_shared import errors


def _(text: str) -> str:
    """Translate a text into GIMP's language; return it unchanged if there is no translation."""
    return str(GLib.dgettext(None, text)) if text else ""  # of "" gettext returns the catalogue's header


def ngettext(one: str, many: str, count: int) -> str:
    """Translate the singular or plural form of a text that goes with `count`."""
    return str(GLib.dngettext(None, one, many, count))


def translated(error: errors.AtelierError | errors.Wrong, **values: str) -> str:
    """Translate an error's sentence and the errors nested in it; `values` replace the error's own."""
    return errors.translated(error, _, **values)
