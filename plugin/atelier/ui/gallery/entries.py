"""Gallery entries: built-in styles, presets, files, layers and patterns.

Choosing an entry sets arguments of the filter; the arguments in turn determine the chosen entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gi.repository import Gimp, Gio, GLib

from atelier_shared.deferred_translation import N_
from atelier_shared.gallery_styles import GALLERY
from atelier_shared.presets import CONTROLLED
from atelier_shared.settings import Setting, WrongSetting
from atelier_shared.style_transfer import StyleTransfer
from host.arguments import argument_name, given_picture, given_pictures
from host.filters import Filter, PictureArgument
from host.layer_tree import layers_in
from host.layers_as_frames import LAYERS_AS_FRAMES
from host.new_layers import settings_of
from host.source_pictures import SourcePicture
from host.translation import _

from .own_presets import read_presets
from .recent import History
from .style_pictures import gallery_style_of, style_picture
from .thumbnails import (
    Loader,
    built_in_thumbnail,
    file_thumbnail,
    layer_thumbnail,
    no_thumbnail,
    pattern_thumbnail,
)

DEFAULT_GROUP = "built-in"
RESTORING = ("own", "result")
"""The kinds of entries that set every argument."""


@dataclass(frozen=True)
class Entry:
    """An item of the gallery.

    A built-in style or preset has `settings`: argument values by argument name. Saved settings ("own") and
    layers made by the filter ("result") have `settings` and a `kind`. Any other entry has a `picture` and its
    `kind`, as in PictureArgument.
    """

    key: str
    name: str
    detail: str
    load_thumbnail: Loader
    settings: Mapping[str, Any] = field(default_factory=dict)
    kind: str = ""
    picture: SourcePicture | None = None

    @property
    def can_be_favourite(self) -> bool:
        """True except for layers, which exist only while their image is open, and saved settings."""
        return self.kind not in ("layer", *RESTORING)

    @property
    def group(self) -> str:
        """The group that lists this entry."""
        return self.kind or DEFAULT_GROUP


# ── Groups ───────────────────────────────────────────────────────────────────────────────────────

TITLES = {
    "built-in": N_("Styles"),
    "favourites": N_("Favourites"),
    "file": N_("Recent files"),
    "layer": N_("Layers"),
    "pattern": N_("Patterns"),
    "own": N_("Saved settings"),
    "result": N_("Results in open images"),
}
PRESET_TITLES = {
    **TITLES,
    "built-in": N_("Presets"),
    "file": N_("Guide: recent files"),
    "layer": N_("Guide: layers"),
}


def has_gallery(chosen: Filter) -> bool:
    """Return whether a filter has anything to choose from."""
    return bool(chosen.presets or chosen.picture_arguments)


def group_titles(chosen: Filter) -> dict[str, str]:
    """Return the groups of a filter's gallery with their translated titles."""
    groups = {"built-in", "favourites", "own", "result", *_kinds(chosen)}
    titles = PRESET_TITLES if chosen.presets else TITLES
    return {group: _(title) for group, title in titles.items() if group in groups}


def list_entries(group: str, chosen: Filter, history: History) -> list[Entry]:
    """List the current entries of a group."""
    if group == "favourites":
        return [entry for key in history.favourites if (entry := _favourite(key, chosen))]
    if group == "own":
        presets = read_presets(chosen.request.name)
        return [_own_entry(name, arguments_of(chosen, values)) for name, values in presets.items()]
    if group == "result":
        layers = (layer for image in Gimp.get_images() for layer in layers_in(image))
        return [entry for layer in layers if (entry := _result_entry(layer, chosen))]
    if group == "file":
        return [file_entry(Gio.File.new_for_uri(uri)) for uri in history.recent]
    if group == "layer":
        return [_layer_entry(layer) for image in Gimp.get_images() for layer in layers_in(image)]
    if group == "pattern":
        return [_pattern_entry(pattern) for pattern in Gimp.patterns_get_list(None)]
    return list(_built_in_entries(chosen))


def _arguments(chosen: Filter) -> list[PictureArgument]:
    """Return the arguments that the gallery sets: the first one of each kind of picture."""
    return list({argument.kind: argument for argument in reversed(chosen.picture_arguments)}.values())


def _kinds(chosen: Filter) -> set[str]:
    return {argument.kind for argument in chosen.picture_arguments}


def _favourite(key: str, chosen: Filter) -> Entry | None:
    """Return the favourite with this key, or None if this filter does not have it or it is gone."""
    kind, _colon, name = key.partition(":")
    if kind == "file" and kind in _kinds(chosen):
        return file_entry(Gio.File.new_for_uri(name))
    if kind == "pattern" and kind in _kinds(chosen):
        pattern = Gimp.Pattern.get_by_name(name)
        return _pattern_entry(pattern) if pattern else None
    return next((entry for entry in _built_in_entries(chosen) if entry.key == key), None)


# ── Making entries ───────────────────────────────────────────────────────────────────────────────


def _built_in_entries(chosen: Filter) -> Iterator[Entry]:
    if not chosen.presets:
        for name in GALLERY:
            yield _style_entry(name)
    controlled = [setting for setting in chosen.settings if setting.name in CONTROLLED]
    for name, preset in chosen.presets.items():
        settings = {argument_name(each): preset.settings.get(each.name, each.default) for each in controlled}
        yield _built_in_entry("preset", name, preset.label, settings)


def _style_entry(name: str) -> Entry:
    settings = {"method": "gallery", "gallery-style": name}
    return _built_in_entry("style", name, GALLERY[name], settings)


def _built_in_entry(kind: str, name: str, label: str, settings: Mapping[str, Any]) -> Entry:
    return Entry(f"{kind}:{name}", _(label), _(label), built_in_thumbnail(kind, name), settings)


def _picture_entry(picture: SourcePicture) -> Entry:
    if isinstance(picture, Gio.File):
        style = gallery_style_of(picture)
        return _style_entry(style) if style else file_entry(picture)
    return _layer_entry(picture) if isinstance(picture, Gimp.Layer) else _pattern_entry(picture)


def file_entry(file: Gio.File) -> Entry:
    """Return the entry of a picture file."""
    name, path = GLib.filename_display_basename(file.get_basename() or ""), file.get_parse_name()
    return Entry(f"file:{file.get_uri()}", name, path, file_thumbnail(file), kind="file", picture=file)


def _layer_entry(layer: Gimp.Layer) -> Entry:
    name, image = layer.get_name(), layer.get_image().get_name()
    key, loader = f"layer:{layer.get_id()}", layer_thumbnail(layer)
    return Entry(key, name, f"{name} ({image})", loader, kind="layer", picture=layer)


def _pattern_entry(pattern: Gimp.Pattern) -> Entry:
    name, loader = pattern.get_name(), pattern_thumbnail(pattern)
    return Entry(f"pattern:{name}", name, name, loader, kind="pattern", picture=pattern)


def _own_entry(name: str, settings: Mapping[str, Any]) -> Entry:
    detail = _("{name} (press Delete to remove it)").format(name=name)
    return Entry(f"own:{name}", name, detail, no_thumbnail, settings, kind="own")


def _result_entry(layer: Gimp.Layer, chosen: Filter) -> Entry | None:
    """Return the entry of a layer that the filter has made, otherwise None."""
    recorded = settings_of(layer)
    if recorded.get("filter") != chosen.request.name:
        return None
    name, image = layer.get_name(), layer.get_image().get_name()
    key, loader = f"result:{layer.get_id()}", layer_thumbnail(layer)
    return Entry(key, name, f"{name} ({image})", loader, recorded_arguments(chosen, recorded), kind="result")


def recorded_arguments(chosen: Filter, recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return every argument of a filter from the settings of a result, as in its layer's parasite."""
    values = {key.replace("_", "-"): value for key, value in recorded.items()}
    pictures = recorded.get("pictures")
    if isinstance(pictures, list):
        values |= dict(zip((each.name for each in chosen.picture_arguments), pictures, strict=False))
    return arguments_of(chosen, values)


def arguments_of(chosen: Filter, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a filter, except its layers, from settings and URIs of local files.

    Missing and invalid values, which a foreign image can contain, are replaced by the defaults.
    """
    settings = {
        argument_name(each): _valid(each, values.get(argument_name(each)))
        for each in chosen.settings
        if each is not LAYERS_AS_FRAMES
    }
    files = {
        argument.name: Gio.File.new_for_uri(uri)
        for argument in chosen.picture_arguments
        if argument.kind == "file" and (uri := str(values.get(argument.name))).startswith("file:")
    }
    return {**settings, **{argument.name: None for argument in chosen.picture_arguments}, **files}


def _valid(setting: Setting, value: object) -> object:
    try:
        setting.check(value)
    except WrongSetting:
        return setting.default
    return value


def values_to_save(config: Gimp.ProcedureConfig, chosen: Filter) -> dict[str, str | int | float]:
    """Return the present settings and the URIs of the files, by the names of arguments."""
    settings = {name: config.get_property(name) for name in map(argument_name, chosen.settings)}
    given = ((each.name, given_picture(config, each)) for each in chosen.picture_arguments)
    files = {name: picture.get_uri() for name, picture in given if isinstance(picture, Gio.File)}
    return {name: "" if value is None else value for name, value in (settings | files).items()}


# ── The chosen entry ─────────────────────────────────────────────────────────────────────────────


def choose(config: Gimp.ProcedureConfig, chosen: Filter, entry: Entry) -> None:
    """Set the arguments of an entry. A picture replaces a chosen picture of another kind.

    With a method other than Gallery, a built-in style becomes the style picture.
    """
    values = dict(entry.settings)
    if entry.picture is not None:
        values |= _picture_arguments(chosen, entry.picture, entry.kind)
        if not _uses_picture(config, chosen):
            values |= chosen.set_by_picture or {"method": StyleTransfer.method}
    elif picture := _style_picture_of(entry, config, chosen):
        values |= _picture_arguments(chosen, picture, "file")
        del values["method"]
    set_arguments(config, values)


def _style_picture_of(entry: Entry, config: Gimp.ProcedureConfig, chosen: Filter) -> Gio.File | None:
    """Return the style picture of a gallery style, for a method other than Gallery."""
    name = entry.settings.get("gallery-style", "") if entry.group == DEFAULT_GROUP else ""
    return style_picture(name) if name and _uses_picture(config, chosen) else None


def _picture_arguments(
    chosen: Filter, picture: SourcePicture | None, kind: str
) -> dict[str, SourcePicture | None]:
    """Return the gallery's arguments for pictures; all other kinds get None."""
    return {each.name: picture if each.kind == kind else None for each in _arguments(chosen)}


def follow_method(config: Gimp.ProcedureConfig, chosen: Filter) -> None:
    """Keep the chosen gallery style when the method changes to one with style pictures, or back."""
    given, name = given_pictures(config, chosen), config.get_property("gallery-style")
    if not _uses_picture(config, chosen):
        style = next((gallery_style_of(each) for each in given if isinstance(each, Gio.File)), "")
        if style:  # moved, not copied: otherwise it would come back after another choice
            set_arguments(config, {**_picture_arguments(chosen, None, ""), "gallery-style": style})
    elif not given and (picture := style_picture(name)):
        set_arguments(config, _picture_arguments(chosen, picture, "file"))


def set_arguments(config: Gimp.ProcedureConfig, values: Mapping[str, Any]) -> None:
    """Set arguments together, with one notification."""
    with config.freeze_notify():
        for name, value in values.items():
            config.set_property(name, value)


def chosen_entry(config: Gimp.ProcedureConfig, chosen: Filter) -> Entry | None:
    """Return the entry that matches the arguments, or None if no entry does."""
    if not _uses_picture(config, chosen):
        return next((each for each in _built_in_entries(chosen) if _has_values(config, each.settings)), None)
    in_gallery = _arguments(chosen)
    pictures = (given_picture(config, each) for each in chosen.picture_arguments if each in in_gallery)
    return next((_picture_entry(picture) for picture in pictures if picture and _exists(picture)), None)


def is_undecided(config: Gimp.ProcedureConfig, chosen: Filter) -> bool:
    """Return whether all settings have their defaults, or a style or guide picture is missing."""
    defaults = {argument_name(setting): setting.default for setting in chosen.settings}
    needs_picture = _uses_picture(config, chosen) and not given_pictures(config, chosen)
    return needs_picture or _has_values(config, defaults)


def _uses_picture(config: Gimp.ProcedureConfig, chosen: Filter) -> bool:
    """Return whether the filter, as set, uses a style or guide picture."""
    if chosen.set_by_picture:
        return _has_values(config, chosen.set_by_picture)
    return bool(config.get_property("method") != "gallery")


def _has_values(config: Gimp.ProcedureConfig, values: Mapping[str, Any]) -> bool:
    return all(_is_same(config.get_property(name), value) for name, value in values.items())


def _is_same(one: Any, other: Any) -> bool:
    """Compare two values of an argument. GIMP returns an empty text as None."""
    if isinstance(one, Gio.File) and isinstance(other, Gio.File):
        return bool(one.equal(other))
    return (one or "") == (other or "")


def is_restored(config: Gimp.ProcedureConfig, entry: Entry) -> bool:
    """Return whether the arguments still have the values of saved settings or of a result."""
    return entry.kind in RESTORING and _has_values(config, entry.settings)


def _exists(picture: SourcePicture) -> bool:
    return not isinstance(picture, Gimp.Layer) or picture.is_valid()
