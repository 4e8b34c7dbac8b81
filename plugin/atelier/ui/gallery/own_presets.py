"""Settings that the user has saved under names, in a small file of Atelier's home folder.

A damaged file counts as empty. A file that cannot be written is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from atelier_shared.home import PRESETS_FILE, atelier_home, read_json_object, write_json_object

Value = str | int | float
Values = Mapping[str, Value]
"""By the names of arguments; files as URIs."""

MOST_PRESETS = 200


def read_presets(filter_name: str) -> dict[str, Values]:
    """Return a filter's presets by name, the newest first. Values of an unexpected type are left out."""
    named = read_json_object(_file()).get(filter_name)
    presets = named if isinstance(named, dict) else {}
    return {name: _valid(values) for name, values in presets.items() if isinstance(values, dict)}


def save_preset(filter_name: str, name: str, values: Values) -> None:
    """Save settings under a name. They replace earlier ones of the same name."""
    others = {other: kept for other, kept in read_presets(filter_name).items() if other != name}
    newest = dict(list({name: dict(values), **others}.items())[:MOST_PRESETS])
    write_json_object(_file(), {**read_json_object(_file()), filter_name: newest})


def remove_preset(filter_name: str, name: str) -> None:
    """Remove the settings with a name."""
    others = {other: kept for other, kept in read_presets(filter_name).items() if other != name}
    write_json_object(_file(), {**read_json_object(_file()), filter_name: others})


def _valid(values: Mapping[object, object]) -> dict[str, Value]:
    return {name: value for name, value in values.items() if isinstance(name, str) and _is_value(value)}  # type: ignore[misc]


def _is_value(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _file() -> Path:
    return atelier_home() / PRESETS_FILE
