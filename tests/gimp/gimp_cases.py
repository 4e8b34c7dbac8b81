"""Tests run inside GIMP, in one session: every scene, and every function named `case_…`, also of
`animation_cases`.

`test_in_gimp.py` starts them and reads the outcomes. Only GIMP's Python can import this module.
"""

from __future__ import annotations

import functools
import json
import math
import os
import random
import shutil
import struct
import threading
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gi

gi.require_versions({"Babl": "0.1", "Gegl": "0.4", "Gimp": "3.0"})
from gi.repository import Babl, Gegl, Gimp, Gio
from gimp_scenes import SCENES, Scene
from outcomes import cases_in, write_outcomes

import atelier
from atelier_shared.deepdream import DeepDream
from atelier_shared.messages import Picture, Progress, Queued
from atelier_shared.settings import Choice, Number
from host import cutouts, layer_pixels, layer_state, new_layers, source_pictures
from host.arguments import argument_name
from host.filters import FILTERS
from host.output import BLEND_MODE, Output
from host.progress_reporter import progress_text

# Large enough for babl to convert with tables, as it does for many pixels.
WIDTH, HEIGHT = 320, 240
LAYER_WIDTH, LAYER_HEIGHT = 300, 220
SAMPLES = Path(__file__).parents[2] / "samples"
QUICK = {"size": 64, "iterations": 1, "octaves": 1, "jitter": 0, "network": "squeezenet"}
QUICK_STYLE = {"method": "fast", "size": 64, "iterations": 1}
STATUS = Gimp.PDBStatusType
CALLED = ("plain", "alpha, in a group, a rectangle", "a layer mask and a feathered ellipse")
"""The scenes for which GIMP starts the filter in a process of its own; see `call_here`."""
MANY_ITEMS = 200
"""More items than GIMP numbers in a session with a single case."""


def main() -> None:
    """Run all scenes and cases."""
    import animation_cases  # imports this module

    scenes = {
        name: functools.partial(check_scene, scene, dream if name in CALLED else dream_here)
        for name, scene in SCENES.items()
    }
    write_outcomes(scenes | cases_in(globals()) | cases_in(vars(animation_cases)))


# ── Calls, as from a script ───────────────────────────────────────────────────────────────────────


def call(filter_name: str, image: Any, drawables: list[Any], **arguments: Any) -> list[Any]:
    """Run a filter without a dialog; return the status, and the new layer or the error's sentence."""
    procedure = procedure_of(filter_name)
    config = config_of(filter_name, {"run_mode": Gimp.RunMode.NONINTERACTIVE, **arguments})
    config.set_property("image", image)
    config.set_core_object_array("drawables", drawables)
    return values_of(procedure.run(config))


def call_here(filter_name: str, image: Any, drawables: list[Any], **arguments: Any) -> list[Any]:
    """Run a filter like `call`, but in this process instead of the plug-in's own.

    GIMP starts a process for each call of a procedure, which takes a third of a second of processor time.
    """
    procedure, config = procedure_of(filter_name), config_of(filter_name, arguments)
    return values_of(atelier.run(procedure, Gimp.RunMode.NONINTERACTIVE, image, drawables, config, None))


def values_of(returned: Any) -> list[Any]:
    return [returned.index(index) for index in range(returned.length())]


def procedure_of(filter_name: str) -> Any:
    return Gimp.get_pdb().lookup_procedure(f"plug-in-atelier-{filter_name}")


def config_of(filter_name: str, arguments: dict[str, Any]) -> Any:
    config = procedure_of(filter_name).create_config()
    for name, value in arguments.items():
        config.set_property(name.replace("_", "-"), value)
    return config


def layer_of(outcome: list[Any]) -> Any:
    """Return the new layer of a successful run."""
    status, layer = outcome
    assert status == STATUS.SUCCESS, layer
    return layer


def dream(image: Any, source: Any, by: Callable[..., list[Any]] = call, **arguments: Any) -> Any:
    return layer_of(by("deepdream", image, [source], **{**QUICK, **arguments}))


def stylize(image: Any, source: Any, by: Callable[..., list[Any]] = call, **arguments: Any) -> list[Any]:
    return by("style-transfer", image, [source], **{**QUICK_STYLE, **arguments})


def painted(image: Any, source: Any, by: Callable[..., list[Any]] = call, **arguments: Any) -> Any:
    return layer_of(stylize(image, source, by, **arguments))


dream_here = functools.partial(dream, by=call_here)
stylize_here = functools.partial(stylize, by=call_here)
painted_here = functools.partial(painted, by=call_here)


def read(drawable: Any, box: tuple[int, int, int, int] | None = None, babl: str | None = None) -> bytes:
    """Read a box or all of a drawable, in its own format or in the format `babl`."""
    box = box or (0, 0, drawable.get_width(), drawable.get_height())
    buffer = drawable.get_buffer()
    pixels: bytes = buffer.get(Gegl.Rectangle.new(*box), 1.0, babl, Gegl.AbyssPolicy.NONE)
    return pixels


def colours(layer: Any, box: tuple[int, int, int, int] | None = None) -> list[bytes]:
    """Return the stored pixels without alpha; babl would not drop the alpha without loss."""
    pixels = read(layer, box)
    size = layer.get_bpp()
    colour = (
        size
        if not layer.has_alpha()
        else size // (2 if layer.is_gray() else 4) * (1 if layer.is_gray() else 3)
    )
    return [pixels[i : i + colour] for i in range(0, len(pixels), size)]


def write(drawable: Any, babl: str, pixels: bytes) -> None:
    buffer = drawable.get_buffer()
    buffer.set(Gegl.Rectangle.new(0, 0, drawable.get_width(), drawable.get_height()), babl, pixels)
    buffer.flush()
    drawable.update(0, 0, drawable.get_width(), drawable.get_height())


def composite(image: Any) -> Any:
    """Return the visible pixels of an image."""
    visible = Gimp.Layer.new_from_visible(image, image, "visible")
    pixels = read(visible)
    size = len(pixels) // (visible.get_width() * visible.get_height())
    visible.delete()
    return [pixels[i : i + size] for i in range(0, len(pixels), size)]


def all_layers(image: Any) -> list[Any]:
    top = image.get_layers()
    return [*top, *(child for layer in top if layer.is_group() for child in layer.get_children())]


# ── Scenes ───────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def staged(scene: Scene) -> Iterator[tuple[Any, Any]]:
    """Create a scene's image; yield it and the layer for the filter."""
    base = Gimp.ImageBaseType.GRAY if scene.gray else Gimp.ImageBaseType.RGB
    image = Gimp.Image.new_with_precision(WIDTH, HEIGHT, base, getattr(Gimp.Precision, scene.precision))
    try:
        if scene.profile:
            assert image.set_color_profile(getattr(Gimp.ColorProfile, scene.profile)())
        yield image, _stage(image, scene)
    finally:
        if image.is_valid():
            image.delete()


def _stage(image: Any, scene: Scene) -> Any:
    chance = random.Random(7)
    add_layer(image, chance, "backdrop", WIDTH, HEIGHT, alpha=False)
    group = None
    if scene.grouped:
        group = Gimp.GroupLayer.new(image, "group")
        image.insert_layer(group, None, 0)
        add_layer(image, chance, "sibling below", 40, 30, alpha=True, group=group)
    source = add_layer(image, chance, "source", LAYER_WIDTH, LAYER_HEIGHT, alpha=scene.alpha, group=group)
    source.set_offsets(*scene.offset)
    add_layer(image, chance, "small one above", 10, 10, alpha=True, group=group)
    if scene.masked:
        mask = source.create_mask(Gimp.AddMaskType.WHITE)
        source.add_mask(mask)
        write(mask, "Y u8", chance.randbytes(LAYER_WIDTH * LAYER_HEIGHT))
    select(image, scene.selection)
    image.set_selected_layers([source])
    return source


def add_layer(
    image: Any, chance: random.Random, name: str, width: int, height: int, *, alpha: bool, group: Any = None
) -> Any:
    """Add a topmost layer of noise; with alpha, its first rows are transparent."""
    gray = image.get_base_type() == Gimp.ImageBaseType.GRAY
    kind = getattr(Gimp.ImageType, f"{'GRAY' if gray else 'RGB'}{'A' if alpha else ''}_IMAGE")
    layer = Gimp.Layer.new(image, name, width, height, kind, 100.0, Gimp.LayerMode.NORMAL)
    image.insert_layer(layer, group, 0)
    pixels = bytearray(chance.randbytes(width * height * 8))
    clear = width * min(5, height)
    pixels[6 : clear * 8 : 8] = pixels[7 : clear * 8 : 8] = bytes(clear)
    write(layer, "R'G'B'A u16", bytes(pixels))
    return layer


def select(image: Any, selection: str) -> None:
    if selection == "rectangle":
        image.select_rectangle(Gimp.ChannelOps.REPLACE, 20, 15, 50, 200)
    elif selection == "feathered ellipse":
        Gimp.context_push()
        Gimp.context_set_feather(True)
        Gimp.context_set_feather_radius(8, 8)
        image.select_ellipse(Gimp.ChannelOps.REPLACE, 25, 25, 60, 50)
        Gimp.context_pop()


def selected_box(image: Any, source: Any) -> tuple[int, int, int, int]:
    """Return the bounding box of the selection within a layer, in the image's coordinates."""
    _found, x, y = source.get_offsets()
    _found, selected, left, top, right, bottom = Gimp.Selection.bounds(image)
    if not selected:
        return x, y, LAYER_WIDTH, LAYER_HEIGHT
    left, top = max(left, x), max(top, y)
    return left, top, min(right, x + LAYER_WIDTH) - left, min(bottom, y + LAYER_HEIGHT) - top


def check_scene(scene: Scene, run: Callable[..., Any]) -> None:
    with staged(scene) as (image, source):
        box = selected_box(image, source)
        parent, place = source.get_parent(), image.get_item_position(source)
        stored = {layer.get_id(): read(layer) for layer in all_layers(image) if not layer.is_group()}
        seen = composite(image)

        layer = run(image, source)

        assert (*layer.get_offsets()[1:], layer.get_width(), layer.get_height()) == box
        assert layer.has_alpha()
        assert layer.get_parent() == parent
        assert (image.get_item_position(layer), image.get_item_position(source)) == (place, place + 1)
        assert image.get_selected_layers() == [source]
        others = [other for other in all_layers(image) if other.get_id() in stored]
        assert len(others) == len(stored) == len(all_layers(image)) - 1 - scene.grouped
        assert all(read(other) == stored[other.get_id()] for other in others)
        check_mask(scene, image, source, layer, box)
        check_composite(image, seen, layer, box)
        check_strength_0(scene, image, source, box)


def check_mask(scene: Scene, image: Any, source: Any, layer: Any, box: tuple[int, int, int, int]) -> None:
    mask = layer.get_mask()
    if not scene.selection and not scene.masked:
        assert mask is None
        return
    x, y, width, height = box
    _found, left, top = source.get_offsets()
    selection = image.get_selection()
    if not scene.masked:
        assert read(mask) == read(selection, box)
    elif not scene.selection:
        assert read(mask) == read(source.get_mask())
    else:
        own = array("f", read(source.get_mask(), (x - left, y - top, width, height), "Y float"))
        chosen = array("f", read(selection, box, "Y float"))
        both = array("f", read(mask, None, "Y float"))
        step = 1 / 255 if scene.precision.startswith("U8") else 1e-6
        assert all(abs(a * b - c) <= step / 2 + 1e-6 for a, b, c in zip(own, chosen, both, strict=True))


def check_composite(image: Any, seen: list[bytes], layer: Any, box: tuple[int, int, int, int]) -> None:
    """Check that the image changes only under the visible pixels of the new layer."""
    mask = layer.get_mask()
    opacity = array("f", read(mask, None, "Y float")) if mask else array("f", [1.0]) * (box[2] * box[3])
    now = composite(image)
    changed = {i for i, (a, b) in enumerate(zip(seen, now, strict=True)) if a != b}
    x, y, width, height = box
    shown = {
        (y + row) * WIDTH + x + column: opacity[row * width + column]
        for row in range(height)
        for column in range(width)
        if 0 <= x + column < WIDTH and 0 <= y + row < HEIGHT
    }
    assert changed <= {i for i, opaque in shown.items() if opaque > 0}
    plain = {i for i, opaque in shown.items() if opaque > 0.5}
    assert len(changed & plain) > len(plain) / 2


def check_strength_0(scene: Scene, image: Any, source: Any, box: tuple[int, int, int, int]) -> None:
    """Check that a dream of strength 0 equals the source, at the same place."""
    layer = dream_here(image, source, strength=0.0)
    x, y, width, height = box
    _found, left, top = source.get_offsets()
    inside = (x - left, y - top, width, height)
    if scene.precision.startswith("U8") or scene.precision in ("U16_NON_LINEAR", "U16_PERCEPTUAL"):
        assert colours(layer) == colours(source, inside)
        return
    linear, space = "YA float" if scene.gray else "RGBA float", Babl.format_get_space(source.get_format())
    light = Babl.get_name(Babl.format_with_space(linear, space))
    made, given = array("f", read(layer, None, light)), array("f", read(source, inside, light))
    tolerance = 1e-3 if scene.precision.startswith("HALF") else 2e-5
    assert all(abs(a - b) <= tolerance for a, b in zip(made, given, strict=True))


# ── Procedures ───────────────────────────────────────────────────────────────────────────────────


def case_every_filter_is_in_the_menu() -> None:
    for name, chosen in FILTERS.items():
        procedure = Gimp.get_pdb().lookup_procedure(name)
        assert procedure.get_menu_label() == chosen.menu_label
        assert procedure.get_menu_paths() == ["<Image>/Filters/_Neural"]
        assert procedure.get_image_types() == "RGB*, GRAY*"


def case_every_setting_is_an_argument_of_the_procedure() -> None:
    for name, chosen in FILTERS.items():
        arguments = {a.name: a for a in Gimp.get_pdb().lookup_procedure(name).get_arguments()}
        pictures = [source.name for source in chosen.picture_arguments]
        common = ["run-mode", "image", "drawables"]
        assert list(arguments) == common + pictures + [argument_name(setting) for setting in chosen.settings]
        config = Gimp.get_pdb().lookup_procedure(name).create_config()
        assert all(config.get_property(picture) is None for picture in pictures)
        for setting in chosen.settings:
            declared = arguments[argument_name(setting)]
            assert config.get_property(declared.name) == setting.default
            assert declared.nick == setting.label
            if isinstance(setting, Number):
                assert (declared.minimum, declared.maximum) == (setting.low, setting.high)
            elif isinstance(setting, Choice):
                for option in setting.options:
                    config.set_property(declared.name, option)
                    assert config.get_property(declared.name) == option


# ── Runs ─────────────────────────────────────────────────────────────────────────────────────────


def settings_of(layer: Any) -> dict[str, Any]:
    parasite = layer.get_parasite("atelier-settings")
    assert parasite.is_persistent()
    assert parasite.is_undoable()
    recorded: dict[str, Any] = json.loads(bytes(parasite.get_data()))
    return recorded


def case_a_dream_has_a_name_and_its_settings_in_a_parasite() -> None:
    with staged(Scene()) as (image, source):
        layer = dream(image, source, layers="fire5", strength=0.5, step_size=0.125)
        assert layer.get_name() == "DeepDream: fire5"
        chosen = {**QUICK, "layers": "fire5", "strength": 0.5, "step_size": 0.125}
        assert settings_of(layer) == {"filter": "deepdream", **vars(DeepDream()), "frames": 1, **chosen}


def style(name: str = "starry_night.jpg") -> Any:
    return Gio.File.new_for_path(str(SAMPLES / name))


def case_fine_and_fast_paint_and_record_the_style() -> None:
    for method in ("fast", "fine"):
        with staged(Scene(precision="U16_NON_LINEAR", profile="new_rgb_adobe")) as (image, source):
            before = read(source)
            images = len(Gimp.get_images())
            layer = painted_here(image, source, style=style(), method=method)
            assert layer.get_name() == "Style Transfer: starry_night"
            recorded = settings_of(layer)
            assert (recorded["filter"], recorded["method"]) == ("style-transfer", method)
            assert recorded["pictures"] == [style().get_uri()]
            assert "frames" not in recorded
            assert read(source) == before
            assert len(Gimp.get_images()) == images, "the style picture stays open"


def save(image: Any, path: Path) -> None:
    assert Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, Gio.File.new_for_path(str(path)), None)


def new_picture(name: str, width: int, height: int, pixels: bytes) -> Any:
    """Save opaque 8-bit RGB pixels to a file with GIMP."""
    image = Gimp.Image.new(width, height, Gimp.ImageBaseType.RGB)
    kind, mode = Gimp.ImageType.RGBA_IMAGE, Gimp.LayerMode.NORMAL
    layer = Gimp.Layer.new(image, "", width, height, kind, 100.0, mode)
    image.insert_layer(layer, None, 0)
    write(layer, "R'G'B' u8", pixels)
    path = Path(os.environ["OUTCOMES"]).with_name(name)
    save(image, path)
    image.delete()
    return Gio.File.new_for_path(str(path))


def case_a_style_file_may_be_gray_indexed_transparent_or_layered() -> None:
    folder = Path(os.environ["OUTCOMES"]).parent
    for name, scene in (("gray.png", Scene(gray=True)), ("alpha.xcf", Scene(alpha=True, grouped=True))):
        with staged(scene) as (image, _source):
            save(image, folder / name)
    with staged(Scene()) as (image, _source):
        image.flatten()
        make_indexed(image)
        save(image, folder / "indexed.png")
    for name in ("gray.png", "alpha.xcf", "indexed.png"):
        for scene in (Scene(), Scene(gray=True, precision="FLOAT_LINEAR")):
            with staged(scene) as (image, source):
                file = Gio.File.new_for_path(str(folder / name))
                assert painted_here(image, source, style=file, method="light")


def case_a_layer_in_a_wide_profile_is_painted_like_its_twin_in_srgb() -> None:
    """GIMP converts the photo and, for the comparison, the paintings."""
    adobe, relative = Gimp.ColorProfile.new_rgb_adobe(), Gimp.ColorRenderingIntent.RELATIVE_COLORIMETRIC
    for settings in ({"method": "gallery"}, {"method": "light", "style": style()}):
        painted = []
        for is_wide in (False, True):
            image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, style("coffee.jpg"))
            image.scale(160, 106)
            image.convert_precision(Gimp.Precision.U16_NON_LINEAR)
            if is_wide:
                image.convert_color_profile(adobe, relative, True)
            layer = painted_here(image, image.get_layers()[0], **{"size": 128, **settings})
            painted.append(read(layer, None, "R'G'B' u8"))
            image.delete()
        differences = [abs(a - b) for a, b in zip(*painted, strict=True)]
        assert sum(differences) / len(differences) < 1.5, settings


def case_a_large_style_is_scaled_down_and_keeps_its_colours() -> None:
    red, blue = b"\xff\x00\x00", b"\x00\x00\xff"
    file = new_picture("large.png", 1500, 600, (red * 750 + blue * 750) * 600)
    adobe = Scene(precision="U16_NON_LINEAR", profile="new_rgb_adobe")
    sides = (
        (Scene(), "B", (255, 0, 0), (0, 0, 255)),
        (adobe, "H", (219, 0, 0), (0, 0, 251)),  # sRGB's red and blue in AdobeRGB, of 255
    )
    for scene, typecode, *expected in sides:
        with staged(scene) as (_image, source):
            picture = source_pictures.read_picture(file, source, 512)
        assert (picture.width, picture.height, picture.channels) == (1024, 410, "RGBA")
        values = array(typecode, picture.pixels)
        white = 256**values.itemsize - 1
        for first, colour in zip((0, 524), expected, strict=True):
            side = [values[i + 4 * first : i + 4 * (first + 500)] for i in range(0, len(values), 4096)]
            for channel, value in enumerate((*colour, 255)):
                wrong = [
                    (y, x, v)
                    for y, row in enumerate(side)
                    for x, v in enumerate(row[channel::4])
                    if abs(255 * v / white - value) >= 2
                ]
                assert not wrong, (scene, channel, value, len(wrong), wrong[:5])
    with staged(Scene()) as (_image, source):
        assert source_pictures.read_picture(file, source, 1200).width == 1200


def read_style(given: Any, like: Any) -> tuple[int, int, str, list[bytes]]:
    """Read a style as the filter does; return its size, channels and pixels."""
    picture = source_pictures.read_picture(given, like, 512)
    size = picture.pixel_bytes
    pixels = [bytes(picture.pixels[i : i + size]) for i in range(0, len(picture.pixels), size)]
    return picture.width, picture.height, picture.channels, pixels


def case_of_a_layer_in_another_image_only_the_selection_is_the_style() -> None:
    with staged(Scene(alpha=True, offset=(9, 14), grouped=True)) as (other, style_layer):
        before = read(style_layer), [layer.get_id() for layer in all_layers(other)]
        with staged(Scene()) as (image, source):
            images = len(Gimp.get_images())
            width, height, channels, whole = read_style(style_layer, source)
            assert (width, height, channels) == (LAYER_WIDTH, LAYER_HEIGHT, "RGBA")
            assert b"".join(whole) == before[0]
            select(other, "rectangle")
            _width, _height, _channels, part = read_style(style_layer, source)
            inside = {(x, y) for x in range(20 - 9, 70 - 9) for y in range(15 - 14, 215 - 14)}
            for index, (pixel, all_of_it) in enumerate(zip(part, whole, strict=True)):
                shows = (index % LAYER_WIDTH, index // LAYER_WIDTH) in inside
                assert pixel == all_of_it if shows else pixel[3] == 0
            layer = painted(image, source, style_layer=style_layer)
            assert layer.get_name() == "Style Transfer: source"
            assert len(Gimp.get_images()) == images
        assert (read(style_layer), [layer.get_id() for layer in all_layers(other)]) == before


def case_of_a_layer_in_the_same_image_all_is_the_style() -> None:
    with staged(Scene(selection="rectangle", masked=True)) as (image, source):
        backdrop = image.get_layers()[-1]
        _width, _height, channels, pixels = read_style(backdrop, source)
        assert channels == "RGBA"
        assert [pixel[:3] for pixel in pixels] == colours(backdrop)
        assert {pixel[3] for pixel in pixels} == {255}
        _width, _height, channels, pixels = read_style(source, source)
        assert channels == "RGBA"
        assert [pixel[3] for pixel in pixels] == list(read(source.get_mask()))


PATTERN_WIDTH, PATTERN_HEIGHT = 20, 30


def new_pattern(name: str, pixels: bytes) -> Any:
    """Install a pattern of 8-bit RGB in GIMP."""
    kind, header = b"GPAT", name.encode() + b"\0"
    numbers = 24 + len(header), 1, PATTERN_WIDTH, PATTERN_HEIGHT, 3
    folder = Path(Gimp.directory()) / "patterns"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.pat").write_bytes(struct.pack(">5I", *numbers) + kind + header + pixels)
    Gimp.patterns_refresh()
    return Gimp.Pattern.get_by_name(name)


def case_a_style_file_may_have_a_name_that_is_not_utf_8() -> None:
    place = Path(os.environ["OUTCOMES"]).with_name(os.fsdecode(b"M\xfcnchen\xff.jpg"))
    shutil.copyfile(SAMPLES / "starry_night.jpg", place)
    file = Gio.File.new_for_path(str(place))
    with staged(Scene()) as (image, source):
        layer = painted_here(image, source, style=file)
        assert layer.get_name() == "Style Transfer: M\ufffdnchen\ufffd"
        assert settings_of(layer)["pictures"] == [file.get_uri()]
        layer = dream(image, source, guide=file)
        assert layer.get_name() == "DeepDream: M\ufffdnchen\ufffd"


def case_a_pattern_as_style_is_repeated() -> None:
    stride = 3 * PATTERN_WIDTH
    drawn = random.Random(3).randbytes(stride * PATTERN_HEIGHT)
    pattern = new_pattern("noise", drawn)
    rows = [drawn[y * stride : (y + 1) * stride] * 26 for y in range(PATTERN_HEIGHT)] * 18
    expected = b"".join(rows)
    with staged(Scene()) as (image, source):
        width, height, channels, pixels = read_style(pattern, source)
        assert (width, height, channels) == (520, 540, "RGBA")
        assert b"".join(pixel[:3] for pixel in pixels) == expected
        assert {pixel[3] for pixel in pixels} == {255}

        layer = painted(image, source, style_pattern=pattern)
        assert layer.get_name() == "Style Transfer: noise"
        file = new_picture("noise.png", width, height, expected)
        again = painted_here(image, source, style=file)
        assert read(layer) == read(again), "the backend received other pixels"
    with staged(Scene(gray=True, precision="U16_NON_LINEAR")) as (_image, source):
        assert read_style(pattern, source)[:3] == (520, 540, "YA")


def case_several_styles_are_mixed() -> None:
    with staged(Scene()) as (image, source):
        one = painted_here(image, source, style=style())
        both = painted(image, source, style=style(), second_style=style("coffee.jpg"))
        weighted = {"style": style(), "second_style": style("coffee.jpg"), "style_weights": "9, 1"}
        mostly_one = painted_here(image, source, **weighted)
        assert settings_of(both)["pictures"] == [style().get_uri(), style("coffee.jpg").get_uri()]
        assert read(one) != read(both) != read(mostly_one)
        sentence = "There are 3 weights for 1 style pictures. Give one weight for each."
        said = stylize_here(image, source, style=style(), style_weights="1, 2, 3")
        assert_error(said, sentence, STATUS.EXECUTION_ERROR)


def case_the_gallery_needs_no_style_picture() -> None:
    with staged(Scene()) as (image, source):
        layer = painted_here(image, source, method="gallery")
        assert layer.get_name() == f"Style Transfer: {settings_of(layer)['gallery_style']}"


def case_an_unneeded_picture_is_not_read() -> None:
    unreadable = Gio.File.new_for_path(__file__)
    with staged(Scene()) as (image, source):
        layer = painted_here(image, source, method="gallery", style=unreadable)
        assert "pictures" not in settings_of(layer)
        layer = dream_here(image, source, objective="class", imagenet_class="7", guide=unreadable)
        assert "pictures" not in settings_of(layer)


def case_a_dream_follows_a_guide_or_a_class() -> None:
    with staged(Scene()) as (image, source):
        plain = dream_here(image, source)
        guided = dream_here(image, source, guide=style())
        by_layer = dream(image, source, guide_layer=image.get_layers()[-1])
        retriever = dream_here(image, source, objective="class", imagenet_class="golden retriever")
        assert len({read(layer) for layer in (plain, guided, by_layer, retriever)}) == 4
        assert read(guided) == read(dream_here(image, source, objective="guide", guide=style()))
        assert settings_of(guided)["objective"] == "guide"
        assert guided.get_name() == "DeepDream: starry_night"
        assert retriever.get_name() == "DeepDream: golden retriever"
        said = call_here("deepdream", image, [source], objective="guide")
        assert_error(said, "Choose a guide picture first.")


def case_every_frame_is_a_layer_above_the_source() -> None:
    with staged(Scene(alpha=True, grouped=True, selection="rectangle")) as (image, source):
        box, layers = selected_box(image, source), len(all_layers(image))
        last = dream(image, source, frames=3, zoom=1.1)
        siblings = source.get_parent().get_children()
        made = siblings[siblings.index(last) : siblings.index(source)]
        assert [layer.get_name() for layer in made] == [
            f"DeepDream: squeezenet, frame {number}" for number in (3, 2, 1)
        ]
        assert len({read(layer) for layer in made}) == 3
        assert [settings_of(layer)["frames"] for layer in made] == [3, 3, 3]
        for layer in made:
            assert (*layer.get_offsets()[1:], layer.get_width(), layer.get_height()) == box
            assert read(layer.get_mask()) == read(image.get_selection(), box)
        assert image.get_selected_layers() == [source]
        assert len(all_layers(image)) == layers + 3


def case_a_dream_from_noise_fills_a_transparent_layer() -> None:
    with staged(Scene(alpha=True)) as (image, source):
        source.fill(Gimp.FillType.TRANSPARENT)
        sentence = "The selected area is fully transparent. Choose another area or layer."
        assert_error(call_here("deepdream", image, [source], **QUICK), sentence, STATUS.EXECUTION_ERROR)
        layer = dream_here(image, source, start="noise")
        assert set(read(layer)[3::4]) == {255}
        assert len(set(colours(layer))) > 100


def case_a_new_result_lies_above_earlier_results_of_the_same_layer() -> None:
    for grouped in (False, True):
        with staged(Scene(grouped=grouped)) as (image, source):
            first = dream_here(image, source)
            second, third = (dream_here(image, source, frames=2, seed=seed) for seed in (1, 2))
            of_first = dream_here(image, first)
            siblings = source.get_parent().get_children() if grouped else image.get_layers()
            above = siblings[: siblings.index(source)]
            made = [layer for layer in above if layer.get_parasite("atelier-source")]
            assert [made.index(layer) for layer in (third, second, of_first, first)] == [0, 2, 4, 5]
            source_place = image.get_item_position(source)
            assert image.get_item_position(first) == source_place - 1
            image.reorder_item(first, source.get_parent(), source_place)  # now below its source
            fourth = dream_here(image, source)
            assert image.get_item_position(fourth) == image.get_item_position(third) - 1


def case_a_saved_image_knows_the_results_of_its_layers() -> None:
    path = Path(os.environ["OUTCOMES"]).with_name("results.xcf")
    with staged(Scene(grouped=True)) as (image, source):
        made = dream_here(image, source)
        save(image, path)
        place = image.get_item_position(made)
    opened = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(str(path)))
    twin = next(layer for layer in all_layers(opened) if layer.get_name() == "source")
    again = dream_here(opened, twin)
    assert opened.get_item_position(again) == place
    opened.delete()


def case_an_invalid_text_setting_is_an_error() -> None:
    with staged(Scene()) as (image, source):
        status, sentence = call_here("deepdream", image, [source], channels="all")
        assert status == STATUS.CALLING_ERROR
        assert sentence == "Network channels: “all” is not a channel range. Write 12 or 12-20."
        status, sentence = call_here("deepdream", image, [source], layers="Mixed_9z")
        assert status == STATUS.EXECUTION_ERROR
        assert "Mixed_9z" in sentence and "Mixed_5d" in sentence


def case_nan_in_a_float_layer_is_an_error() -> None:
    with staged(Scene(precision="FLOAT_LINEAR")) as (image, source):
        width, height = source.get_width(), source.get_height()
        write(source, "RGBA float", array("f", [float("nan")] * (4 * width * height)).tobytes())
        status, sentence = call_here("deepdream", image, [source], **QUICK)
        assert status == STATUS.EXECUTION_ERROR
        assert "infinite or undefined pixel values" in sentence


def case_the_last_values_are_reused() -> None:
    last = "GimpProcedureConfigRun-plug-in-atelier-deepdream.last"
    folder = Path(Gimp.directory()) / "plug-in-settings"
    folder.mkdir(exist_ok=True)
    (folder / last).write_text("(iterations 2)\n(octaves 1)\n(size 64)\n(seed 5)\n")
    with staged(Scene()) as (image, source):
        arguments = {"run_mode": Gimp.RunMode.WITH_LAST_VALS}
        status, layer = call("deepdream", image, [source], **arguments)
        assert status == STATUS.SUCCESS, layer
        recorded = settings_of(layer)
        assert (recorded["iterations"], recorded["octaves"], recorded["seed"]) == (2, 1, 5)


def case_the_filter_runs_on_locked_layers_and_groups() -> None:
    with staged(Scene(grouped=True)) as (image, source):
        for item in (source, source.get_parent()):
            item.set_lock_content(True)
        source.set_lock_position(True)
        dream_here(image, source)


# ── Output ───────────────────────────────────────────────────────────────────────────────────────


def case_a_new_layer_gets_its_mode_and_opacity() -> None:
    with staged(Scene()) as (image, source):
        plain = dream_here(image, source)
        assert (plain.get_mode(), plain.get_opacity()) == (image.get_default_new_layer_mode(), 100.0)
        made = dream_here(image, source, blend_mode="softlight", opacity=40.0)
        assert (made.get_mode(), round(made.get_opacity())) == (Gimp.LayerMode.SOFTLIGHT, 40)
        for mode in BLEND_MODE.options:
            assert mode == "default" or hasattr(Gimp.LayerMode, mode.upper()), mode


def case_a_result_may_be_a_new_image() -> None:
    scene = Scene(precision="U16_NON_LINEAR", profile="new_rgb_adobe", selection="rectangle")
    with staged(scene) as (image, source):
        layers = len(all_layers(image))
        made = dream_here(image, source, strength=0.0, output="image")
        own = made.get_image()
        assert (own.get_width(), own.get_height(), own.get_precision()) == (50, 200, image.get_precision())
        assert own.get_layers() == [made]
        assert len(all_layers(image)) == layers
        assert colours(made) == colours(source, BOX)
        own.delete()


def case_a_result_may_replace_the_pixels_of_the_layer() -> None:
    for scene in (Scene(), Scene(alpha=True, selection="rectangle", grouped=True, offset=(9, 14))):
        with staged(scene) as (image, source):
            before, layers = read(source), len(all_layers(image))
            expected = dream_here(image, source)
            painted = colours(expected)
            image.remove_layer(expected)
            assert dream_here(image, source, output="replace") == source
            assert len(all_layers(image)) == layers
            x, y, width, height = selected_box(image, source)
            _found, left, top = source.get_offsets()
            assert colours(source, (x - left, y - top, width, height)) == painted
            size = source.get_bpp()
            after = read(source)
            outside = [
                i
                for i in range(LAYER_WIDTH * LAYER_HEIGHT)
                if not (x - left <= i % LAYER_WIDTH < x - left + width)
                or not (y - top <= i // LAYER_WIDTH < y - top + height)
            ]
            assert all(after[i * size : (i + 1) * size] == before[i * size : (i + 1) * size] for i in outside)
            assert bool(outside) == bool(scene.selection)


def case_a_locked_layer_is_not_replaced() -> None:
    with staged(Scene(grouped=True)) as (image, source):
        before = read(source)
        source.get_parent().set_lock_content(True)
        made = dream_here(image, source, output="replace")
        assert made != source and read(source) == before
        assert image.get_item_position(made) == image.get_item_position(source) - 1


def case_replacing_merges_the_effects_of_the_layer() -> None:
    with staged(Scene()) as (image, source):
        before = colours(source)
        add_effect(source, "gegl:invert-gamma")
        dream(image, source, strength=0.0, output="replace")
        assert not source.get_filters()
        pairs = zip(b"".join(before), b"".join(colours(source)), strict=True)
        assert {one + other for one, other in pairs} <= {254, 255, 256}


# ── Layer effects ────────────────────────────────────────────────────────────────────────────────


def add_effect(layer: Any, operation: str, **values: Any) -> None:
    effect = Gimp.DrawableFilter.new(layer, operation, "effect")
    for name, value in values.items():
        effect.get_config().set_property(name, value)
    layer.append_filter(effect)
    effect.update()


def case_a_run_reads_the_layer_with_its_effects() -> None:
    for scene in (Scene(), Scene(masked=True, offset=(9, 14), grouped=True)):
        with staged(scene) as (image, source):
            before, images = read(source), len(Gimp.get_images())
            add_effect(source, "gegl:invert-gamma")
            (effect,) = source.get_filters()
            effect.set_visible(False)
            select(image, "feathered ellipse" if scene.masked else "")
            plain = dream_here(image, source, strength=0.0)
            effect.set_visible(True)
            made = dream_here(image, source, strength=0.0)
            assert (made.get_width(), *made.get_offsets()) == (plain.get_width(), *plain.get_offsets())
            pairs = zip(b"".join(colours(made)), b"".join(colours(plain)), strict=True)
            assert {one + other for one, other in pairs} <= {254, 255, 256}
            if scene.masked:
                assert read(made.get_mask()) == read(plain.get_mask())
            assert (read(source), source.get_filters()) == (before, [effect])
            assert len(Gimp.get_images()) == images


def case_an_effect_that_enlarges_the_layer_enlarges_the_result() -> None:
    with staged(Scene(alpha=True)) as (image, source):
        add_effect(source, "gegl:dropshadow", x=10.0, y=10.0, radius=4.0)
        made = dream_here(image, source, strength=0.0)
        _found, x, y = made.get_offsets()
        assert x + made.get_width() > LAYER_WIDTH
        assert y + made.get_height() > LAYER_HEIGHT
        assert made.get_width() < LAYER_WIDTH + 40
        beside = made.get_width() * (LAYER_HEIGHT // 2) + LAYER_WIDTH + 5 - x
        assert 0 < read(made)[4 * beside + 3] < 255, "there is no shadow"


# ── Changes during a run ─────────────────────────────────────────────────────────────────────────


CHANGES_IN_PLACE: dict[str, Callable[[Any, Any], Any]] = {
    "moved": lambda _image, layer: layer.set_offsets(31, 17),
    "canvas enlarged": lambda image, _layer: image.resize(WIDTH + 40, HEIGHT + 50, 20, 25),
    "painted": lambda _image, layer: Gimp.Drawable.edit_fill(layer, Gimp.FillType.FOREGROUND),
    "renamed": lambda _image, layer: layer.set_name("other"),
}
CHANGES_OUT_OF_PLACE: dict[str, Callable[[Any, Any], Any]] = {
    "flipped": lambda image, _layer: image.flip(Gimp.OrientationType.HORIZONTAL),
    "rotated": lambda image, _layer: image.rotate(Gimp.RotationType.DEGREES180),
    "turned": lambda image, _layer: image.rotate(Gimp.RotationType.DEGREES90),
    "scaled": lambda image, _layer: image.scale(WIDTH // 2, HEIGHT // 2),
    "cropped": lambda image, _layer: image.crop(100, 100, 50, 50),
    "enlarged": lambda _image, layer: layer.resize_to_image_size(),
    "deleted": lambda image, layer: image.remove_layer(layer),
    "16 bits": lambda image, _layer: image.convert_precision(Gimp.Precision.U16_NON_LINEAR),
    "grey": lambda image, _layer: image.convert_grayscale(),
}


BOX = (20, 15, 50, 200)
"""The selected part of the layer."""


@contextmanager
def changed_while_running(change: Callable[[Any, Any], Any]) -> Iterator[Any]:
    """Cut a part of a layer out, change the layer, and insert the part as a result."""
    with staged(Scene(selection="rectangle")) as (image, source):
        part = Picture(BOX[2], BOX[3], "RGB", "u8", read(source, BOX))
        cutout, _content, _region = cutouts.cut_out(source)
        change(image, source)
        with new_layers.destination_of(cutout, Output()) as destination:
            layer = new_layers.new_layer(destination, cutout, part, "result", "{}")
            new_layers.insert(destination, [layer])
        assert b"".join(colours(layer)) == part.pixels
        assert layer.get_mask()
        yield image, source, destination, layer
        if not destination.source:
            destination.image.delete()


def case_a_result_follows_its_layer() -> None:
    for name, change in CHANGES_IN_PLACE.items():
        with changed_while_running(change) as (image, source, destination, layer):
            assert destination.source == source, name
            _found, x, y = source.get_offsets()
            assert tuple(layer.get_offsets())[1:] == (x + BOX[0], y + BOX[1]), name
            assert image.get_item_position(layer) == image.get_item_position(source) - 1


def case_a_flip_is_noticed_in_every_depth() -> None:
    for precision in ("U8_NON_LINEAR", "U16_NON_LINEAR", "FLOAT_LINEAR"):
        with staged(Scene(precision=precision, alpha=True)) as (image, source):
            if precision == "FLOAT_LINEAR":
                pixels = array("f", read(source, babl="RGBA float"))
                pixels[: 4 * LAYER_WIDTH * 9] = array("f", [math.nan]) * (4 * LAYER_WIDTH * 9)
                write(source, "RGBA float", pixels.tobytes())
            before = layer_state.state_of(source)
            assert layer_state.is_in_place(source, before), precision
            image.flip(Gimp.OrientationType.HORIZONTAL)
            assert not layer_state.is_in_place(source, before), precision


def case_a_layer_may_be_deleted_while_it_is_compared_with_its_earlier_state() -> None:
    with staged(Scene()) as (image, source):
        cutout, _content, _region = cutouts.cut_out(source)

        def delete() -> None:
            if source.is_valid():
                image.remove_layer(source)

        with new_layers.destination_of(cutout, Output(), delete) as destination:
            assert not source.is_valid()
            assert destination.source is None
        destination.image.delete()


def case_a_result_that_no_longer_fits_becomes_an_image() -> None:
    for name, change in CHANGES_OUT_OF_PLACE.items():
        with changed_while_running(change) as (image, _source, destination, layer):
            assert destination.image != image, name
            assert destination.image.get_layers() == [layer]
            assert (destination.image.get_width(), destination.image.get_height()) == BOX[2:], name


def case_a_picture_is_kept_when_its_image_is_closed() -> None:
    with changed_while_running(lambda image, _layer: image.delete()) as (
        _image,
        _source,
        destination,
        _layer,
    ):
        assert destination.source is None


def case_the_same_seed_gives_the_same_dream() -> None:
    with staged(Scene(selection="rectangle")) as (image, source):
        once, again, other = (dream_here(image, source, jitter=8, seed=seed) for seed in (3, 3, 4))
        assert read(once) == read(again) != read(other)


def case_a_text_layer_stays_a_text_layer() -> None:
    with staged(Scene()) as (image, _source):
        text = Gimp.TextLayer.new(image, "Atelier", Gimp.context_get_font(), 60.0, Gimp.Unit.pixel())
        image.insert_layer(text, None, 0)
        text.set_offsets(40, 30)
        before = read(text)

        layer = dream_here(image, text)

        assert not layer.is_text_layer()
        assert image.get_layers()[:2] == [layer, text]
        assert layer.get_offsets() == text.get_offsets()
        assert (layer.get_width(), layer.get_height()) == (text.get_width(), text.get_height())
        assert colours(layer) != colours(text)
        assert read(layer)[3::4] == before[3::4], "the alpha has changed"
        assert text.is_text_layer()
        assert (text.get_text(), text.get_font_size()[0]) == ("Atelier", 60.0)
        assert read(text) == before


def dream_for_long_and_then_briefly() -> None:
    """Run a dream, which the caller kills, then a second one, which must succeed.

    The first one's seed is `echo_filter.ENDLESS`, if that takes the place of the real filters.
    """
    with staged(Scene()) as (image, source):
        layers = len(all_layers(image))
        long = {"size": 512, "iterations": 500, "octaves": 12, "seed": 1}
        status, sentence = call("deepdream", image, [source], **long)
        assert status != STATUS.SUCCESS, sentence
        assert len(all_layers(image)) == layers
        dream(image, source)


def dream_frames_until_killed() -> None:
    """Run a dream of many frames until the caller kills it; check that no layer is left, even in no image."""
    with staged(Scene()) as (image, source):
        before = numbers_of_layers()
        status, sentence = call("deepdream", image, [source], **{**QUICK, "size": 256}, frames=500)
        assert status != STATUS.SUCCESS, sentence
        assert numbers_of_layers() == before


def dream_for_long_until_gimp_quits() -> None:
    """Start a dream, and quit GIMP on the caller's signal; this function never returns."""
    procedure = Gimp.get_pdb().lookup_procedure("gimp-quit")
    config = procedure.create_config()
    config.set_property("force", True)

    def quit_gimp() -> None:
        wait_until_told()
        procedure.run(config)

    threading.Thread(target=quit_gimp, daemon=True).start()
    dream_for_long_and_then_briefly()


def dream_when_told() -> None:
    """Run a dream on the caller's signal; check that there is one new layer with other pixels."""
    with staged(Scene()) as (image, source):
        layers = len(all_layers(image))
        wait_until_told()
        layer = dream(image, source)
        assert len(all_layers(image)) == layers + 1
        assert colours(layer) != colours(source)


def wait_until_told() -> None:
    """Wait until the caller has opened and closed the FIFO named by WAIT_AT."""
    Path(os.environ["WAIT_AT"]).read_bytes()


def numbers_of_layers() -> set[int]:
    """Return the numbers of all layers in GIMP, including layers in no image."""
    return {number for number in range(1, MANY_ITEMS) if Gimp.Item.id_is_layer(number)}


def case_progress_as_text() -> None:
    assert progress_text("DeepDream", 0, 1, Progress(1, 3, 40)) == "DeepDream: step 3 of 40"
    assert progress_text("DeepDream", 1, 5, Progress(1, 3, 40)) == "DeepDream: frame 2 of 5, step 3 of 40"
    assert progress_text("DeepDream", 0, 1, Queued(1, 0)) == "DeepDream"
    assert progress_text("DeepDream", 0, 1, Queued(1, 1)) == "Waiting for 1 other job"
    assert progress_text("DeepDream", 0, 1, Queued(1, 2)) == "Waiting for 2 other jobs"


def case_pixels_are_read_and_written_in_strips() -> None:
    strip_px, polls = layer_pixels.STRIP_PX, list[None]()
    with staged(Scene(masked=True)) as (_image, source):
        whole, whole_content, _region = cutouts.cut_out(source)
        layer_pixels.STRIP_PX = 7 * LAYER_WIDTH
        try:
            cutout, content, _region = cutouts.cut_out(source, lambda: polls.append(None))
            with new_layers.destination_of(cutout, Output()) as destination:
                layer = new_layers.new_layer(destination, cutout, content, "in strips", "{}")
        finally:
            layer_pixels.STRIP_PX = strip_px
        assert cutout.mask == whole.mask
        assert content == whole_content
        assert len(polls) == 2 * -(-LAYER_HEIGHT // 7) + layer_state.GRID
        assert (colours(layer), read(layer.get_mask())) == (colours(source), read(source.get_mask()))
        layer.delete()


# ── Errors ─────────────────────────────────────────────────────────────────────────────────────


def assert_error(outcome: list[Any], sentence: str, status: Any = STATUS.CALLING_ERROR) -> None:
    assert outcome == [status, sentence], outcome


def make_indexed(image: Any) -> None:
    palette = Gimp.ConvertPaletteType.WEB
    assert image.convert_indexed(Gimp.ConvertDitherType.NONE, palette, 0, False, False, "")


def case_an_indexed_image_is_an_error() -> None:
    with staged(Scene()) as (image, source):
        make_indexed(image)
        sentence = "The image is indexed. Choose Image ▸ Mode ▸ RGB, then run the filter again."
        assert_error(call_here("deepdream", image, [source]), sentence)


def case_no_layer_or_several_are_an_error() -> None:
    with staged(Scene()) as (image, source):
        two = [source, image.get_layers()[0]]
        sentence = "The filter works on one layer, but {} are selected. Select one layer."
        assert_error(call("deepdream", image, two), sentence.format(2))
        assert_error(call("deepdream", image, []), sentence.format(0))


def case_a_layer_group_is_an_error() -> None:
    with staged(Scene(grouped=True)) as (image, source):
        sentence = "A layer group has no pixels of its own. Select a layer in it, or merge the group."
        assert_error(call_here("deepdream", image, [source.get_parent()]), sentence)


def case_a_layer_mask_is_an_error() -> None:
    with staged(Scene(masked=True)) as (image, source):
        sentence = "A layer mask is selected. Click the layer's own thumbnail beside it, then try again."
        assert_error(call("deepdream", image, [source.get_mask()]), sentence)


def case_a_channel_is_an_error() -> None:
    with staged(Scene(selection="rectangle")) as (image, _source):
        channel = Gimp.Selection.save(image)
        sentence = "A channel is selected. Select a layer in the Layers dialog, then try again."
        assert_error(call_here("deepdream", image, [channel]), sentence)


def case_a_floating_selection_is_an_error() -> None:
    with staged(Scene(selection="rectangle")) as (image, source):
        Gimp.edit_copy([source])
        (floating,) = Gimp.edit_paste(source, True)
        sentence = "The image has a floating selection. Anchor it (Ctrl+H), then try again."
        for drawable in (floating, source):
            assert_error(call_here("deepdream", image, [drawable]), sentence)
        Gimp.floating_sel_anchor(floating)


def case_a_selection_outside_the_layer_is_an_error() -> None:
    with staged(Scene(selection="rectangle", offset=(75, 0))) as (image, source):
        layers = len(all_layers(image))
        sentence = "The selection is outside the layer. Move it onto the layer, or choose Select ▸ None."
        assert_error(call_here("deepdream", image, [source]), sentence)
        assert len(all_layers(image)) == layers


def case_a_style_file_without_a_complete_picture_is_an_error() -> None:
    truncated = new_picture("truncated.png", 300, 200, random.Random(5).randbytes(3 * 300 * 200))
    path = Path(truncated.get_path())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with staged(Scene()) as (image, source):
        assert_error(stylize_here(image, source), "Choose a style picture first.")
        for file in (Gio.File.new_for_path(__file__), truncated):
            sentence = f"GIMP cannot open {file.get_parse_name()} as a picture. Choose another file."
            assert_error(stylize_here(image, source, style=file), sentence)


def case_a_style_file_without_visible_layers_is_an_error() -> None:
    file = Gio.File.new_for_path(str(Path(os.environ["OUTCOMES"]).with_name("hidden.xcf")))
    with staged(Scene()) as (image, _source):
        for layer in image.get_layers():
            layer.set_visible(False)
        save(image, Path(file.get_path()))
    with staged(Scene()) as (image, source):
        images = len(Gimp.get_images())
        sentence = "No layer of hidden is visible. Make a layer visible, or choose another picture."
        assert_error(stylize_here(image, source, style=file), sentence)
        assert len(Gimp.get_images()) == images


def case_a_flat_layer_and_a_style_of_one_pixel_are_enough() -> None:
    with staged(Scene()) as (image, _source):
        low = add_layer(image, random.Random(2), "low", 90, 3, alpha=False)
        pixel = new_picture("pixel.png", 1, 1, bytes((200, 30, 30)))
        for method in ("fast", "fine", "light"):
            layer = painted_here(image, low, style=pixel, method=method)
            assert (layer.get_width(), layer.get_height()) == (90, 3)
        assert dream_here(image, low).get_height() == 3


def case_gimp_itself_refuses_a_missing_style_file_or_a_folder() -> None:
    with staged(Scene()) as (image, source):
        for path in (SAMPLES / "missing.jpg", SAMPLES):
            status, _sentence = stylize(image, source, style=Gio.File.new_for_path(str(path)))
            assert status == STATUS.CALLING_ERROR


def case_missing_weights_are_an_error_and_leave_no_layer() -> None:
    with staged(Scene()) as (image, source):
        layers = len(all_layers(image))
        status, sentence = call("deepdream", image, [source], network="inception-v3-torchvision")
        assert status == STATUS.EXECUTION_ERROR
        assert "python3 install.py --official-weights" in sentence
        assert len(all_layers(image)) == layers
