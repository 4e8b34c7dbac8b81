"""The filters as GIMP knows them: their names, their menu entries, their arguments.

The arguments are the pictures that a filter takes beside the layer, and the settings of its request
as `atelier_requests` declares them. Nothing here runs a filter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gi.repository import Gimp, Gio, GObject

from atelier_shared.deepdream import FRAMES, DeepDream
from atelier_shared.deferred_translation import N_
from atelier_shared.gallery_styles import GALLERY
from atelier_shared.networks import LAYERS, Offer
from atelier_shared.presets import PRESETS, Preset
from atelier_shared.settings import Choice, Number, Setting, Text, settings
from atelier_shared.style_transfer import StyleTransfer

from .translation import _


@dataclass(frozen=True)
class Source:
    """A picture beside the layer that a person may give; `kind` is file, layer or pattern.

    One that is seldom given has its place under Advanced.
    """

    name: str
    kind: str
    label: str
    help: str
    is_seldom: bool = False


@dataclass(frozen=True)
class Filter:
    """What GIMP and a person are told of a filter.

    `sources` are the pictures it takes, and `without` says that there is none where one is needed;
    `extras` are numbers beside the request. Whoever gives a picture sets what stands in `given`. In the
    dialog `in_sight` is not hidden under Advanced, and `presets` are offered, and for some texts what
    may stand there: in `offered`, by the setting's name and then the network's.
    """

    request: type[StyleTransfer | DeepDream]
    title: str
    menu_label: str
    blurb: str
    sources: tuple[Source, ...]
    without: str
    in_sight: tuple[str, ...]
    extras: tuple[Number, ...] = ()
    presets: Mapping[str, Preset] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)
    offered: Mapping[str, Callable[[str], Offer]] = field(default_factory=dict)

    @property
    def settings(self) -> tuple[Setting, ...]:
        """All that is asked for but pictures."""
        return (*settings(self.request), *self.extras)


FILTERS = {
    "plug-in-atelier-style-transfer": Filter(
        StyleTransfer,
        N_("Style Transfer"),
        N_("_Style Transfer…"),
        N_("Paint the layer in the manner of another picture, as a new layer"),
        sources=(
            Source("style", "file", N_("St_yle picture"), N_("The picture whose manner is taken on")),
            Source(
                "style-layer",
                "layer",
                N_("Style from l_ayer"),
                N_("A layer as a style; of another image, only what is selected there"),
            ),
            Source("style-pattern", "pattern", N_("Style from _pattern"), N_("One of GIMP's patterns")),
            Source(
                "second-style",
                "file",
                N_("Secon_d style"),
                N_("A picture whose manner is mixed in"),
                is_seldom=True,
            ),
        ),
        without=N_("Choose a style picture first."),
        in_sight=("method", "quality", "strength", "style_size", "colours"),
        offered={
            **dict.fromkeys(("content_layers", "style_layers"), LAYERS.__getitem__),
            "gallery_mix": lambda _network: tuple((style, "") for style in GALLERY),
        },
    ),
    "plug-in-atelier-deepdream": Filter(
        DeepDream,
        N_("DeepDream"),
        N_("_DeepDream…"),
        N_("Strengthen what a neural network sees in the layer, as a new layer"),
        sources=(
            Source("guide", "file", N_("_Guide picture"), N_("The picture whose features are dreamt of")),
            Source("guide-layer", "layer", N_("Guide fro_m layer"), N_("A layer as the guide")),
        ),
        without=N_("Choose a guide picture first."),
        in_sight=("objective", "layers", "imagenet_class", "strength", "iterations", "octaves"),
        extras=(FRAMES,),
        presets=PRESETS,
        given={"objective": "guide"},
        offered={"layers": LAYERS.__getitem__},
    ),
}


def argument(setting: Setting) -> str:
    """A setting's name as GIMP wants it."""
    return setting.name.replace("_", "-")


def picture_in(config: Gimp.ProcedureConfig, source: Source) -> Any:
    """The file, layer or pattern that is given, if any.

    GIMP 3.2 gives the path of a file that it has saved back with a slash too many.
    """
    given = config.get_property(source.name)
    path = given.get_path() if isinstance(given, Gio.File) else None
    return Gio.File.new_for_path("/" + path.lstrip("/")) if path and path.startswith("//") else given


def declare_arguments(procedure: Gimp.Procedure, chosen: Filter) -> None:
    """Tell GIMP what a filter takes beside the image and the layer."""
    for source in chosen.sources:
        _declare_source(procedure, source)
    for setting in chosen.settings:
        _declare(procedure, setting)


def _declare_source(procedure: Gimp.Procedure, source: Source) -> None:
    words, flags = (source.name, _(source.label), _(source.help)), GObject.ParamFlags.READWRITE
    if source.kind == "file":
        procedure.add_file_argument(*words, Gimp.FileChooserAction.OPEN, True, None, flags)
    elif source.kind == "layer":
        procedure.add_layer_argument(*words, True, flags)
    else:
        procedure.add_pattern_argument(*words, True, None, False, flags)


def _declare(procedure: Gimp.Procedure, setting: Setting) -> None:
    words, flags = (argument(setting), _(setting.label), _(setting.help)), GObject.ParamFlags.READWRITE
    if isinstance(setting, Number):
        whole = isinstance(setting.default, int)
        add = procedure.add_int_argument if whole else procedure.add_double_argument
        add(*words, setting.low, setting.high, setting.default, flags)
    elif isinstance(setting, Text):
        procedure.add_string_argument(*words, setting.default, flags)
    else:
        procedure.add_choice_argument(*words, _choice(setting), setting.default, flags)


def _choice(setting: Choice) -> Gimp.Choice:
    choice = Gimp.Choice.new()
    for number, (value, label) in enumerate(setting.options.items()):
        choice.add(value, number, _(label), "")
    return choice
