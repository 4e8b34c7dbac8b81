"""The arguments of the filters' procedures in GIMP: their declaration, and the values of a call."""

from __future__ import annotations

from typing import Any

from gi.repository import Gimp, Gio, GObject

from atelier_shared.settings import Choice, Number, Setting, Text, settings

from .filters import Filter, PictureArgument
from .source_pictures import SourcePicture
from .translation import _

FLAGS = GObject.ParamFlags.READWRITE


def argument_name(setting: Setting) -> str:
    """Return the name of a setting's argument: GIMP permits no underscores in names."""
    return setting.name.replace("_", "-")


# ── Declaration ──────────────────────────────────────────────────────────────────────────────────


def declare_arguments(procedure: Gimp.Procedure, chosen: Filter) -> None:
    """Declare a filter's pictures and settings; GIMP itself adds the image and the layer."""
    for argument in chosen.picture_arguments:
        _declare_picture(procedure, argument)
    for setting in chosen.settings:
        _declare_setting(procedure, setting)


def _declare_picture(procedure: Gimp.Procedure, argument: PictureArgument) -> None:
    texts = (argument.name, _(argument.label), _(argument.help))
    if argument.kind == "file":
        procedure.add_file_argument(*texts, Gimp.FileChooserAction.OPEN, True, None, FLAGS)
    elif argument.kind == "layer":
        procedure.add_layer_argument(*texts, True, FLAGS)
    else:
        procedure.add_pattern_argument(*texts, True, None, False, FLAGS)


def _declare_setting(procedure: Gimp.Procedure, setting: Setting) -> None:
    texts = (argument_name(setting), _(setting.label), _(setting.help))
    if isinstance(setting, Number):
        whole = isinstance(setting.default, int)
        add = procedure.add_int_argument if whole else procedure.add_double_argument
        add(*texts, setting.low, setting.high, setting.default, FLAGS)
    elif isinstance(setting, Text):
        procedure.add_string_argument(*texts, setting.default, FLAGS)
    else:
        procedure.add_choice_argument(*texts, _choice(setting), setting.default, FLAGS)


def _choice(setting: Choice) -> Gimp.Choice:
    choice = Gimp.Choice.new()
    for number, (value, label) in enumerate(setting.options.items()):
        choice.add(value, number, _(label), "")
    return choice


# ── Values ───────────────────────────────────────────────────────────────────────────────────────


def setting_values(config: Gimp.ProcedureConfig, chosen: Filter) -> dict[str, Any]:
    """Return the values of the request's settings, by name."""
    return {setting.name: _value(config, setting) for setting in settings(chosen.request)}


def _value(config: Gimp.ProcedureConfig, setting: Setting) -> Any:
    """Return the value of a setting; GIMP represents an empty text as None."""
    value = config.get_property(argument_name(setting))
    return "" if value is None else value


def given_pictures(config: Gimp.ProcedureConfig, chosen: Filter) -> list[SourcePicture]:
    """Return the given files, layers and patterns."""
    return [given for each in chosen.picture_arguments if (given := given_picture(config, each))]


def given_picture(config: Gimp.ProcedureConfig, argument: PictureArgument) -> SourcePicture | None:
    """Return the file, layer or pattern given for an argument.

    GIMP 3.2 restores the path of a saved file with one slash too many.
    """
    given = config.get_property(argument.name)
    path = given.get_path() if isinstance(given, Gio.File) else None
    return Gio.File.new_for_path("/" + path.lstrip("/")) if path and path.startswith("//") else given
