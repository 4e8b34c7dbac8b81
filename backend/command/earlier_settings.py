"""Settings of an earlier result: a layer's parasite `atelier-settings`, or a line of --json."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping
from gettext import gettext as _
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from atelier_shared.deferred_translation import N_
from atelier_shared.errors import AtelierError
from atelier_shared.requests import REQUESTS

HELP = N_("repeat the settings and styles of a line of --json, or of a layer's parasite 'atelier-settings'")
MAX_BYTES = 10_000_000
FILES = ("style", "style_mask", "guide", "mask", "frames")
"""The fields of a line besides the settings, as the options are called."""


def take(options: argparse.Namespace) -> Mapping[str, Any]:
    """Return the settings in the file `options.settings`, and add its pictures to the options.

    Pictures given as options go before those of the file.

    Raises:
        AtelierError: the file cannot be read, is of another filter, or names layers of GIMP.
    """
    record = _read(options.settings)
    filter_name = record.pop("filter", None)
    if filter_name not in REQUESTS or getattr(REQUESTS[filter_name], "command", "") != options.command:
        template = _("{file} has no settings for 'atelier {command}'.")
        raise AtelierError(template, file=options.settings, command=options.command)
    settings = record.pop("settings", None)
    if settings is None:  # a parasite
        pictures = [_local_path(place, options.settings) for place in record.pop("pictures", [])]
        record, settings = {}, {name: value for name, value in record.items() if name not in FILES}
        if pictures:
            record = {"style": pictures} if options.command == "style" else {"guide": pictures[0]}
    for name in FILES:
        if record.get(name) and not getattr(options, name, None):
            value = record[name]
            paths = [Path(each) for each in value] if isinstance(value, list) else value
            setattr(options, name, Path(paths) if isinstance(paths, str) else paths)
    known = {field.name for field in dataclasses.fields(REQUESTS[filter_name])}
    if unknown := settings.keys() - known:
        template = _("{file} has settings that this version does not have: {names}.")
        raise AtelierError(template, file=options.settings, names=", ".join(sorted(unknown)))
    return dict(settings)


def _read(path: Path) -> dict[str, Any]:
    """Read the object in a file; of several lines, all must have the same settings."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES).decode()
        lines = [json.loads(line) for line in _objects(content)]
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        template = _("{file} cannot be read as settings: {reason}.")
        raise AtelierError(template, file=path, reason=reason) from error
    records = [line for line in lines if isinstance(line, dict) and "filter" in line and "error" not in line]
    kept = [
        {name: value for name, value in record.items() if name in ("filter", "settings", *FILES)}
        for record in records
    ]
    if not records:
        raise AtelierError(_("{file} has no settings."), file=path)
    if any(each != kept[0] for each in kept):
        raise AtelierError(_("{file} has different settings in its lines. Keep one line."), file=path)
    return dict(records[0])


def _objects(content: str) -> list[str]:
    """Return the lines, or the whole text if it is one object over several lines."""
    lines = [line for line in content.splitlines() if line.strip("\0 ")]
    return (
        lines
        if all(line.startswith("{") and line.endswith("}") for line in lines)
        else [content.strip("\0\n ")]
    )


def _local_path(place: str, file: Path) -> str:
    """Return the path of a file's URI in a parasite.

    Raises:
        AtelierError: it is the name of a layer or pattern.
    """
    if not place.startswith("file://"):
        template = _(
            "{file} names “{place}”, a layer or pattern of GIMP. "
            "Give a picture of it instead, with --style or --guide."
        )
        raise AtelierError(template, file=file, place=place)
    return unquote(urlsplit(place).path, errors="surrogateescape")
