"""Kinds of settings: numbers, choices and texts, with their defaults, ranges, labels and help.

The fields of a request are declared with `number`, `choice` and `text`. `settings` returns them again as
Number, Choice and Text, from which the dialogs, the command line and the checks are made.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .deferred_translation import N_
from .errors import Wrong

LONGEST_TEXT = 1000
"""Characters of a text setting."""


class WrongSetting(Wrong):
    """A setting with a value of the wrong kind or out of range; `values` has its name as `setting`."""

    def __init__(self, setting: Setting, template: str, **values: object) -> None:
        super().__init__(template, setting=setting.name, **values)
        self.setting = setting


@dataclass(frozen=True)
class Number:
    """A whole or decimal number from `low` to `high`, both included."""

    name: str
    label: str
    help: str
    default: int | float
    low: int | float
    high: int | float

    def check(self, value: object) -> None:
        """Raise WrongSetting unless `value` has the default's type and lies within the bounds."""
        types = (int,) if isinstance(self.default, int) else (int, float)
        if isinstance(value, bool) or not isinstance(value, types):
            raise WrongSetting(self, N_("{setting} must be a number, not {value}."), value=repr(value))
        if not self.low <= value <= self.high:  # also true of NaN
            template = N_("{setting} must be from {low} to {high}, not {value}.")
            raise WrongSetting(self, template, low=self.low, high=self.high, value=repr(value))

    def clamp(self, value: float) -> float:
        """Return the number within the bounds nearest to `value`."""
        return min(self.high, max(self.low, value))


@dataclass(frozen=True)
class Choice:
    """One of several named values; `options` maps each value to its label."""

    name: str
    label: str
    help: str
    default: str
    options: Mapping[str, str]

    def check(self, value: object) -> None:
        """Raise WrongSetting unless `value` is one of the options."""
        if not isinstance(value, str) or value not in self.options:
            template = N_("{setting} must be one of {options}, not {value}.")
            raise WrongSetting(self, template, options=", ".join(self.options), value=repr(value))


@dataclass(frozen=True)
class Text:
    """A text in a notation that `parse` understands; `parse` raises Wrong for any other text."""

    name: str
    label: str
    help: str
    default: str
    parse: Callable[[str], object]

    def check(self, value: object) -> None:
        """Raise WrongSetting unless `value` is a short enough text that can be parsed."""
        if not isinstance(value, str) or len(value) > LONGEST_TEXT:
            template = N_("{setting} must be a text of at most {count} characters.")
            raise WrongSetting(self, template, count=LONGEST_TEXT)
        try:
            self.parse(value)
        except Wrong as error:
            raise WrongSetting(self, N_("{setting}: {problem}"), problem=error) from error


Setting = Number | Choice | Text


# ── Settings as fields of a dataclass ────────────────────────────────────────────────────────────


def number(default: int | float, low: int | float, high: int | float, label: str, help: str) -> Any:
    """Declare a field that is a Number."""
    return _field(Number, default, label=label, help=help, low=low, high=high)


def choice(default: str, options: Mapping[str, str], label: str, help: str) -> Any:
    """Declare a field that is a Choice."""
    return _field(Choice, default, label=label, help=help, options=options)


def text(parse: Callable[[str], object], label: str, help: str, default: str = "") -> Any:
    """Declare a field that is a Text."""
    return _field(Text, default, label=label, help=help, parse=parse)


def _field(kind: type[Setting], default: object, **properties: object) -> Any:
    return dataclasses.field(default=default, metadata={"kind": kind, **properties})


def settings(request: type) -> Iterator[Setting]:
    """Yield the settings of a request class, in the order of the dialog."""
    for field in dataclasses.fields(request):
        properties = dict(field.metadata)
        kind: Callable[..., Setting] = properties.pop("kind")
        yield kind(name=field.name, default=field.default, **properties)


def within_bounds(request: type, name: str, value: float) -> float:
    """Return the number nearest to `value` that the Number called `name` of a request class allows."""
    (setting,) = (each for each in settings(request) if each.name == name)
    assert isinstance(setting, Number), name
    return setting.clamp(value)
