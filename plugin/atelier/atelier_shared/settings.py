"""Kinds of settings: numbers, choices and texts, with their defaults, ranges, labels and help.

The fields of a request are declared with `number`, `choice` and `text`; `settings` reads them back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .deferred_translation import N_


class Wrong(ValueError):
    """Something is written in another form than it must be.

    Its text is `template` with `values` put in; who shows it may put them into a translation.
    """

    def __init__(self, template: str, **values: object) -> None:
        super().__init__(template.format(**values))
        self.template, self.values = template, values


class WrongSetting(Wrong):
    """A setting has a value that it cannot have; the value called `setting` is the setting's name."""

    def __init__(self, setting: Setting, template: str, **values: object) -> None:
        super().__init__(template, setting=setting.name, **values)
        self.setting = setting


@dataclass(frozen=True)
class Number:
    """A whole or decimal setting between two bounds, both allowed."""

    name: str
    label: str
    help: str
    default: int | float
    low: int | float
    high: int | float

    def check(self, value: object) -> None:
        """Raise WrongSetting unless `value` is of the default's kind and within the bounds."""
        kinds = (int,) if isinstance(self.default, int) else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise WrongSetting(self, N_("{setting} must be a number, not {value}."), value=repr(value))
        if not self.low <= value <= self.high:  # which NaN is not either
            template = N_("{setting} must be from {low} to {high}, not {value}.")
            raise WrongSetting(self, template, low=self.low, high=self.high, value=repr(value))


@dataclass(frozen=True)
class Choice:
    """One of several named settings; `options` maps each value to the label a person reads."""

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
    """A setting that is written; `parse` reads it, and raises Wrong where that cannot be done."""

    name: str
    label: str
    help: str
    default: str
    parse: Callable[[str], object]

    def check(self, value: object) -> None:
        """Raise WrongSetting unless `value` is a text of the right form, and no endless one."""
        if not isinstance(value, str) or len(value) > LONGEST_TEXT:
            template = N_("{setting} must be a text of at most {count} letters.")
            raise WrongSetting(self, template, count=LONGEST_TEXT)
        try:
            self.parse(value)
        except Wrong as error:
            raise WrongSetting(self, N_("{setting}: {problem}"), problem=error) from error


Setting = Number | Choice | Text
LONGEST_TEXT = 1000


# ── Declaring them as fields of a dataclass ──────────────────────────────────────────────────────


def number(default: int | float, low: int | float, high: int | float, label: str, help: str) -> Any:
    settings = {"kind": Number, "label": label, "help": help, "low": low, "high": high}
    return dataclasses.field(default=default, metadata=settings)


def choice(default: str, options: Mapping[str, str], label: str, help: str) -> Any:
    settings = {"kind": Choice, "label": label, "help": help, "options": options}
    return dataclasses.field(default=default, metadata=settings)


def text(parse: Callable[[str], object], label: str, help: str) -> Any:
    return dataclasses.field(
        default="", metadata={"kind": Text, "label": label, "help": help, "parse": parse}
    )


def settings(request: type) -> Iterator[Setting]:
    """The settings of a kind of request, in the order a person reads them."""
    for field in dataclasses.fields(request):
        values = dict(field.metadata)
        kind: type[Number] | type[Choice] | type[Text] = values.pop("kind")
        default: Any = field.default
        yield kind(name=field.name, default=default, **values)
