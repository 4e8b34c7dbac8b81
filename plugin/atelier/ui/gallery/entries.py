"""What there is to choose a style or a guide from, and what choosing it sets in a filter's arguments.

An entry is a built-in style, a preset, a file, a layer or a pattern. Knows where its small picture comes
from; nothing of how entries are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from gi.repository import Babl, GdkPixbuf, Gegl, Gimp, Gio, GLib

from atelier_shared.deferred_translation import N_
from atelier_shared.gallery_styles import GALLERY
from atelier_shared.home import atelier_home
from atelier_shared.messages import MAX_SIDE_PX
from atelier_shared.presets import CONTROLLED
from atelier_shared.style_transfer import StyleTransfer
from host.filters import Filter, Source, argument, picture_in
from host.translation import _

from .recent import Memory

THUMBNAIL_PX = 72
EIGHT_BITS = (Gimp.Precision.U8_NON_LINEAR, Gimp.Precision.U8_PERCEPTUAL, Gimp.Precision.U8_LINEAR)
PATTERN_CODINGS: dict[int, tuple[str, Sequence[int | None]]] = {
    1: ("Y' u8", (0, 0, 0, None)),
    2: ("Y'A u8", (0, 0, 0, 1)),
    3: ("R'G'B' u8", (0, 1, 2, None)),
    4: ("R'G'B'A u8", (0, 1, 2, 3)),
}
"""How a pattern of so many bytes a pixel is coded, for babl takes a quarter of a second to get ready for any
other coding; and where in that red, green, blue and alpha are."""

Given: TypeAlias = Gio.File | Gimp.Layer | Gimp.Pattern
Take = Callable[[GdkPixbuf.Pixbuf], None]
"""Is given a small picture once it is there, now or later; never, where there is none."""


@dataclass(frozen=True)
class Entry:
    """Something to choose: a name, a longer one, and its small picture.

    What is built in sets `settings`, by the names of arguments; everything else is a picture of a `kind`
    that Source knows.
    """

    key: str
    name: str
    detail: str
    load: Callable[[Take], None]
    settings: Mapping[str, Any] = field(default_factory=dict)
    kind: str = ""
    given: Given | None = None

    @property
    def lasts(self) -> bool:
        """Whether it will still be there tomorrow, to be a favourite."""
        return self.kind != "layer"


# ── Groups of entries ────────────────────────────────────────────────────────────────────────────

TITLES = {
    "built-in": N_("Styles"),
    "favourites": N_("Favourites"),
    "file": N_("Recent files"),
    "layer": N_("Layers"),
    "pattern": N_("Patterns"),
}
TITLES_OF_DREAMS = {
    **TITLES,
    "built-in": N_("Presets"),
    "file": N_("Guide: recent files"),
    "layer": N_("Guide: layers"),
}


def titles(chosen: Filter) -> dict[str, str]:
    """The groups that a filter has, and what a person calls them."""
    kinds = {"built-in", "favourites", *(source.kind for source in picture_sources(chosen))}
    every = TITLES_OF_DREAMS if chosen.presets else TITLES
    return {group: _(title) for group, title in every.items() if group in kinds}


def entries(group: str, chosen: Filter, memory: Memory) -> list[Entry]:
    """What is in a group now."""
    if group == "favourites":
        kinds = {source.kind for source in picture_sources(chosen)}
        return [entry for key in memory.favourites if (entry := _favourite(key, chosen, kinds))]
    if group == "file":
        return [file_entry(Gio.File.new_for_uri(uri)) for uri in memory.recent]
    if group == "layer":
        return [_layer_entry(layer) for image in Gimp.get_images() for layer in layers_in(image)]
    if group == "pattern":
        return [_pattern_entry(pattern) for pattern in Gimp.patterns_get_list(None)]
    return list(_built_in(chosen))


def group_of(entry: Entry) -> str:
    """The group that an entry belongs to."""
    return entry.kind or "built-in"


def picture_sources(chosen: Filter) -> list[Source]:
    """The arguments that take the picture that is chosen, one for each kind of picture."""
    return list({source.kind: source for source in reversed(chosen.sources)}.values())


def layers_in(parent: Gimp.Image | Gimp.GroupLayer) -> Iterator[Gimp.Layer]:
    """Every layer of an image or of a group, those in groups too, top first."""
    for layer in parent.get_layers() if isinstance(parent, Gimp.Image) else parent.get_children():
        yield layer
        if layer.is_group():
            yield from layers_in(layer)


def _built_in(chosen: Filter) -> Iterator[Entry]:
    if not chosen.presets:
        for name, label in GALLERY.items():
            painted = {"method": "gallery", "gallery-style": name}
            yield Entry(f"style:{name}", _(label), _(label), _thumbnail("style", name), painted)
    controlled = [setting for setting in chosen.settings if setting.name in CONTROLLED]
    for name, preset in chosen.presets.items():
        settings = {argument(each): preset.settings.get(each.name, each.default) for each in controlled}
        label = _(preset.label)
        yield Entry(f"preset:{name}", label, label, _thumbnail("preset", name), settings)


def _favourite(key: str, chosen: Filter, kinds: Iterable[str]) -> Entry | None:
    kind, _colon, name = key.partition(":")
    if kind == "file" and kind in kinds:
        return file_entry(Gio.File.new_for_uri(name))
    if kind == "pattern" and kind in kinds:
        pattern = Gimp.Pattern.get_by_name(name)
        return _pattern_entry(pattern) if pattern else None
    return next((entry for entry in _built_in(chosen) if entry.key == key), None)


def entry_of(given: Given) -> Entry:
    """A picture that was given as something that can be chosen."""
    if isinstance(given, Gio.File):
        return file_entry(given)
    return _layer_entry(given) if isinstance(given, Gimp.Layer) else _pattern_entry(given)


def file_entry(file: Gio.File) -> Entry:
    """A picture file."""
    name, place = GLib.filename_display_basename(file.get_basename() or ""), file.get_parse_name()
    return Entry(f"file:{file.get_uri()}", name, place, _picture_of(file), kind="file", given=file)


def _layer_entry(layer: Gimp.Layer) -> Entry:
    name, image = layer.get_name(), layer.get_image().get_name()
    load, key = _picture_of_layer(layer), f"layer:{layer.get_id()}"
    return Entry(key, name, f"{name} ({image})", load, kind="layer", given=layer)


def _pattern_entry(pattern: Gimp.Pattern) -> Entry:
    name, load = pattern.get_name(), _picture_of_pattern(pattern)
    return Entry(f"pattern:{name}", name, name, load, kind="pattern", given=pattern)


# ── Choosing ─────────────────────────────────────────────────────────────────────────────────────


def choose(config: Gimp.ProcedureConfig, chosen: Filter, entry: Entry) -> None:
    """Set what an entry stands for; a picture takes the place of one of another kind."""
    settings = dict(entry.settings)
    if entry.given is not None:
        for source in picture_sources(chosen):
            settings[source.name] = entry.given if source.kind == entry.kind else None
        if not _wants_picture(config, chosen):
            settings |= chosen.given or {"method": StyleTransfer.method}
    with config.freeze_notify():
        for name, value in settings.items():
            config.set_property(name, value)


def chosen_entry(config: Gimp.ProcedureConfig, chosen: Filter) -> Entry | None:
    """What is chosen as things stand, by whomever."""
    if not _wants_picture(config, chosen):
        holds = (entry for entry in _built_in(chosen) if _is_set(config, entry.settings))
        return next(holds, None)
    sources = picture_sources(chosen)
    given = (picture_in(config, source) for source in chosen.sources if source in sources)
    return next((entry_of(picture) for picture in given if picture and _is_there(picture)), None)


def _wants_picture(config: Gimp.ProcedureConfig, chosen: Filter) -> bool:
    """Whether a picture that is given is looked at."""
    if chosen.given:
        return _is_set(config, chosen.given)
    return bool(config.get_property("method") != "gallery")


def _is_set(config: Gimp.ProcedureConfig, settings: Mapping[str, Any]) -> bool:
    # An empty text is None in GIMP.
    return all((config.get_property(name) or "") == (value or "") for name, value in settings.items())


def _is_there(given: Given) -> bool:
    return not isinstance(given, Gimp.Layer) or given.is_valid()


# ── Small pictures ───────────────────────────────────────────────────────────────────────────────


def _thumbnail(kind: str, name: str) -> Callable[[Take], None]:
    """What the installation has made of something that is built in."""
    place = atelier_home() / "thumbnails" / f"{kind}-{name.replace(' ', '-')}.png"
    return _picture_of(Gio.File.new_for_path(str(place)))


def _picture_of(file: Gio.File) -> Callable[[Take], None]:
    """The picture in a file, which GLib's own threads read and make small."""

    def load(take: Take) -> None:
        def opened(_file: Gio.File, result: Gio.AsyncResult) -> None:
            try:
                stream = file.read_finish(result)
            except GLib.Error:
                return
            small = (THUMBNAIL_PX, THUMBNAIL_PX, True, None)
            GdkPixbuf.Pixbuf.new_from_stream_at_scale_async(stream, *small, read)

        def read(_source: None, result: Gio.AsyncResult) -> None:
            try:
                pixbuf = GdkPixbuf.Pixbuf.new_from_stream_finish(result)
            except GLib.Error:
                return
            take(pixbuf.apply_embedded_orientation())

        file.read_async(GLib.PRIORITY_LOW, None, opened)

    return load


def _picture_of_layer(layer: Gimp.Layer) -> Callable[[Take], None]:
    def load(take: Take) -> None:
        if layer.is_valid() and _can_be_made_small(layer):
            take(layer.get_thumbnail(THUMBNAIL_PX, THUMBNAIL_PX, Gimp.PixbufTransparency.KEEP_ALPHA))

    return load


def _can_be_made_small(layer: Gimp.Layer) -> bool:
    """GIMP 3.0 takes a small picture of more than 8 bits a channel for one of 8 bits, or fails to read it."""
    newer = (Gimp.MAJOR_VERSION, Gimp.MINOR_VERSION) >= (3, 2)
    return newer or layer.get_image().get_precision() in EIGHT_BITS


def _picture_of_pattern(pattern: Gimp.Pattern) -> Callable[[Take], None]:
    """The pattern at its own size, for its grain tells it from others, and repeated where it is small."""

    def load(take: Take) -> None:
        coding, channels = PATTERN_CODINGS[pattern.get_info().bpp]
        buffer = pattern.get_buffer(MAX_SIDE_PX, MAX_SIDE_PX, Babl.format(coding))
        extent = buffer.get_extent()
        width, height = min(extent.width, THUMBNAIL_PX), min(extent.height, THUMBNAIL_PX)
        pixels = buffer.get(Gegl.Rectangle.new(0, 0, width, height), 1.0, coding, Gegl.AbyssPolicy.NONE)
        take(_repeated(_as_rgba(pixels, channels), width, height))

    return load


def _as_rgba(pixels: bytes, channels: Sequence[int | None]) -> bytes:
    """Pixels with the channels of each taken from those numbers; opaque where there is none for alpha."""
    size = max(number for number in channels if number is not None) + 1
    rgba = bytearray(b"\xff" * (len(pixels) // size * 4))
    for place, number in enumerate(channels):
        if number is not None:
            rgba[place::4] = pixels[number::size]
    return bytes(rgba)


def _repeated(pixels: bytes, width: int, height: int) -> GdkPixbuf.Pixbuf:
    """Pixels of four bytes, repeated to a square of THUMBNAIL_PX."""
    side, stride = THUMBNAIL_PX, 4 * width
    rows = [pixels[stride * y : stride * (y + 1)] * -(-side // width) for y in range(height)]
    square = b"".join(rows[y % height][: 4 * side] for y in range(side))
    rgb = GdkPixbuf.Colorspace.RGB
    return GdkPixbuf.Pixbuf.new_from_bytes(GLib.Bytes.new(square), rgb, True, 8, side, side, 4 * side)
