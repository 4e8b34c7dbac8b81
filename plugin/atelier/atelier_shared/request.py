"""The base of all requests: a frozen dataclass whose fields are a filter's settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .deferred_translation import N_
from .settings import choice, number, settings


@dataclass(frozen=True)
class Only:
    """Settings that have a say only where another one has one of some values."""

    settings: tuple[str, ...]
    where: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    """A filter's settings; `name` is the filter's on the wire, `only` says which of them have no say when.

    Raises WrongSetting when a setting is of the wrong kind or out of range.
    """

    name: ClassVar[str]
    only: ClassVar[tuple[Only, ...]] = ()

    def __post_init__(self) -> None:
        for setting in settings(type(self)):
            setting.check(getattr(self, setting.name))


def seed_setting() -> Any:
    help = N_("The same seed gives the same picture again; on a graphics card, nearly")
    return number(0, 0, 2**31 - 1, N_("Seed"), help)


def device_setting() -> Any:
    return choice(
        "auto",
        {
            "auto": N_("The fastest there is"),
            "cuda": N_("NVIDIA or AMD graphics card"),
            "mps": N_("Apple graphics"),
            "xpu": N_("Intel graphics card"),
            "cpu": N_("Processor"),
        },
        N_("Device"),
        N_("What computes the picture"),
    )
