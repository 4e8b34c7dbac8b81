"""The catalogue of the command line's texts, which install.py compiles into Atelier's home.

The modules of the command import `gettext` as `_`. Python's argparse takes its own texts from there too.
"""

from __future__ import annotations

import gettext

from atelier_shared.deferred_translation import N_
from atelier_shared.home import TRANSLATIONS_FOLDER, atelier_home

DOMAIN = "atelier"
TEXTS_OF_ARGPARSE = (
    N_("usage: "),
    N_("positional arguments"),
    N_("options"),
    N_("show this help message and exit"),
    N_("show program's version number and exit"),
    N_("%(prog)s: error: %(message)s\n"),
    N_("argument %(argument_name)s: %(message)s"),
    N_("the following arguments are required: %s"),
    N_("unrecognized arguments: %s"),
    N_("invalid choice: %(value)r (choose from %(choices)s)"),
    N_("invalid %(type)s value: %(value)r"),
    N_("expected one argument"),
    N_("expected at least one argument"),
)


def use_catalogue() -> None:
    """Translate texts into the language of LANGUAGE, LC_ALL, LC_MESSAGES or LANG, if there is a catalogue."""
    gettext.bindtextdomain(DOMAIN, atelier_home() / TRANSLATIONS_FOLDER)
    gettext.textdomain(DOMAIN)


def use_english() -> None:
    """Leave texts as they are."""
    gettext.textdomain("messages")
