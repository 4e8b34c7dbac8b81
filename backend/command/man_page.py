"""The manual page of the command, in the language of man(7), from the options' own help."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

INTRODUCTION = """\
.SH DESCRIPTION
Neural style transfer and DeepDream of picture files. A local backend computes; it starts by itself, and
no picture leaves the computer. Results keep the bit depth, colour profile and metadata of the content.
"""
NOTES = r"""
.SH EXIT STATUS
0: all pictures were made. 1: at least one was not; the others were. 2: the options are wrong.
130: cancelled with Ctrl+C. 141: the reader of the output has gone.
.SH ENVIRONMENT
.TP
.B ATELIER_HOME
the folder of the installation, instead of ~/.atelier
.SH EXAMPLES
.nf
atelier style photo.jpg --style painting.jpg -o painted.png
atelier style *.jpg --style one.jpg --style two.jpg --each-style -o out/ --sheet sheet.png
atelier dream photo.tif --preset spirals -o '{name}-dream.tif'
cat photo.jpg | atelier dream - -o - > dreamt.jpg
.fi
"""


def man_page(parser: argparse.ArgumentParser, version: str) -> str:
    """Return the page, in roff."""
    commands = _commands(parser)
    parts = [
        f'.TH ATELIER 1 "" "Atelier {version}" "User Commands"',
        ".SH NAME\natelier \\- neural style transfer and DeepDream",
        ".SH SYNOPSIS",
        *(f".B {_escaped(_usage(command))}\n.br" for command in commands.values()),
        INTRODUCTION.rstrip(),
        ".SH COMMANDS",
        *(_section(name, command, parser) for name, command in commands.items()),
    ]
    return "\n".join(parts) + NOTES


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    (found,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return dict(found.choices)


def _usage(command: argparse.ArgumentParser) -> str:
    """Return the shortest usage: arguments and required options."""
    words = [command.prog]
    for action in command._actions:
        if not action.option_strings:
            words.append(f"{action.metavar or action.dest}{' ...' if action.nargs == '+' else ''}")
        elif action.required:
            words.append(f"{action.option_strings[0]} {action.metavar}")
    optional = [action for action in command._actions if action.option_strings and not action.required]
    has_options = any(not isinstance(action, argparse._HelpAction) for action in optional)
    return " ".join([*words, *(["[options]"] if has_options else [])])


def _section(name: str, command: argparse.ArgumentParser, parser: argparse.ArgumentParser) -> str:
    return "\n".join([f".SS {name}", _escaped(_purpose(name, parser)), *_options(command)])


def _purpose(name: str, parser: argparse.ArgumentParser) -> str:
    (found,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    purpose = next(choice.help or "" for choice in found._choices_actions if choice.dest == name)
    return f"{purpose[:1].upper()}{purpose[1:]}."


def _options(command: argparse.ArgumentParser) -> Iterator[str]:
    formatter = command._get_formatter()
    for action in command._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        value = "" if action.nargs == 0 else f" {_value(action)}"
        names = ", ".join(action.option_strings) + value if action.option_strings else action.metavar
        yield f".TP\n.B {_escaped(str(names))}\n{_escaped(formatter._expand_help(action))}"


def _value(action: argparse.Action) -> str:
    if action.metavar is None and action.choices is not None:
        return "|".join(map(str, action.choices))
    return str(action.metavar or action.dest.upper())


def _escaped(text: str) -> str:
    """Escape a text for roff: backslashes, hyphens of options, and control characters at its start."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)
