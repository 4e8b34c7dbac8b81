"""The table of filters: a new filter takes one entry in FILTERS."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from atelier_shared.deepdream import FRAMES, DeepDream
from atelier_shared.deferred_translation import N_
from atelier_shared.gallery_styles import GALLERY
from atelier_shared.imagenet_classes import CLASSES
from atelier_shared.networks import Grouped, network_layers
from atelier_shared.presets import PRESETS, Preset
from atelier_shared.request import Condition, PaintingRequest
from atelier_shared.settings import Setting, settings
from atelier_shared.style_transfer import StyleTransfer
from atelier_shared.visualise import Visualise

from .layers_as_frames import LAYERS_AS_FRAMES, THIS
from .output import OUTPUT_SETTINGS


@dataclass(frozen=True)
class PictureArgument:
    """An optional argument for a picture beside the layer, such as a style or a guide.

    One with `is_advanced` has its place under Advanced in the dialog.
    """

    name: str
    kind: Literal["file", "layer", "pattern"]
    label: str
    help: str
    is_advanced: bool = False


@dataclass(frozen=True)
class Filter:
    """A filter as presented by GIMP's menu, its dialog and its procedure.

    Attributes:
        request: the class of its requests; the fields are its settings.
        title: its name in windows and layer names.
        blurb: its description in one line.
        basic: the names of the settings above Advanced in the dialog; if there are none, all are.
        picture_arguments: the pictures beside the layer; all given ones go to the backend.
        extra_settings: settings of a run outside the request.
        presets: named groups of settings, offered in the dialog.
        set_by_picture: the new values of settings when a picture is chosen.
        suggestions: the texts offered for a text setting, as a function of the network's name.
        searched_names: the names to search for a text setting while typing.
    """

    request: type[PaintingRequest]
    title: str
    menu_label: str
    blurb: str
    basic: tuple[str, ...] = ()
    picture_arguments: tuple[PictureArgument, ...] = ()
    extra_settings: tuple[Setting, ...] = OUTPUT_SETTINGS
    presets: Mapping[str, Preset] = field(default_factory=dict)
    set_by_picture: Mapping[str, str] = field(default_factory=dict)
    suggestions: Mapping[str, Callable[[str], Grouped]] = field(default_factory=dict)
    searched_names: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def settings(self) -> tuple[Setting, ...]:
        """All settings, in the order of the dialog."""
        return (*settings(self.request), *self.extra_settings)

    @property
    def takes_frames(self) -> bool:
        """Whether the frames of an animation can be its content."""
        return LAYERS_AS_FRAMES in self.extra_settings

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Which settings have an effect only with certain values of another one."""
        no_zoom = Condition((FRAMES.name,), LAYERS_AS_FRAMES.name, (THIS,))
        return (*self.request.conditions, *([no_zoom] if FRAMES in self.extra_settings else []))

    def is_basic(self, setting: Setting) -> bool:
        """Return whether a setting has its place above Advanced in the dialog."""
        return not self.basic or setting.name in self.basic


STYLES = (
    PictureArgument("style", "file", N_("St_yle picture"), N_("The picture whose style is used")),
    PictureArgument(
        "style-layer",
        "layer",
        N_("Style from l_ayer"),
        N_("The layer whose style is used; of a layer in another image, only its selection"),
    ),
    PictureArgument("style-pattern", "pattern", N_("Style from _pattern"), N_("The pattern used as a style")),
    PictureArgument(
        "second-style",
        "file",
        N_("Secon_d style"),
        N_("A second picture whose style is mixed with the first"),
        is_advanced=True,
    ),
)
GUIDES = (
    PictureArgument("guide", "file", N_("_Guide picture"), N_("The picture whose features are dreamt of")),
    PictureArgument(
        "guide-layer", "layer", N_("Guide fro_m layer"), N_("The layer used as the guide picture")
    ),
)

FILTERS = {
    "plug-in-atelier-style-transfer": Filter(
        StyleTransfer,
        N_("Style Transfer"),
        N_("_Style Transfer…"),
        N_("Paint the layer in the style of another picture, as a new layer"),
        basic=("method", "quality", "strength", "style_size", "colours", LAYERS_AS_FRAMES.name),
        picture_arguments=STYLES,
        extra_settings=(LAYERS_AS_FRAMES, *OUTPUT_SETTINGS),
        suggestions={
            "content_layers": network_layers,
            "style_layers": network_layers,
            "gallery_mix": lambda _network: tuple((style, "") for style in GALLERY),
        },
    ),
    "plug-in-atelier-deepdream": Filter(
        DeepDream,
        N_("DeepDream"),
        N_("_DeepDream…"),
        N_("Strengthen the features that a neural network detects in the layer, as a new layer"),
        basic=(
            *("objective", "layers", "imagenet_class", "strength", "iterations", "octaves"),
            LAYERS_AS_FRAMES.name,
        ),
        picture_arguments=GUIDES,
        extra_settings=(FRAMES, LAYERS_AS_FRAMES, *OUTPUT_SETTINGS),
        presets=PRESETS,
        set_by_picture={"objective": "guide"},
        suggestions={"layers": network_layers},
        searched_names={"imagenet_class": CLASSES},
    ),
    "plug-in-atelier-visualise": Filter(
        Visualise,
        N_("Visualise"),
        N_("_Visualise…"),
        N_("Show what a neural network looks for, such as kinds of things, as a new layer"),
        basic=("units", "classes", "network", "layer", "channels", "iterations", "saturation"),
        suggestions={"layer": network_layers},
        searched_names={"classes": CLASSES},
    ),
}
