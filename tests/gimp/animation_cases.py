"""Animations in GIMP: layers as frames, new images that GIMP exports, and what stops a run.

`gimp_cases` runs them in its session.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gi.repository import Gimp, Gio
from gimp_cases import STATUS, assert_error, call, call_here, layer_of, read, settings_of, write

from host import previewed_layer
from host.frame_layers import Target, name_of_result
from host.frame_pictures import frame_pictures
from host.layer_pixels import no_poll
from host.previewed_layer import PreviewedLayer
from host.suitability import Unsuitable, selected_box

SIZE = WIDTH, HEIGHT = 96, 64
NAMES = ("Background (100ms)", "Frame 2 (40ms) (combine)", "Frame 3 (250ms) (replace)")
"""From bottom to top."""
BOXES = ((0, 0, WIDTH, HEIGHT), (-10, 20, 50, 60), (30, 4, 40, 30))
"""Offset and size of each layer: the second exceeds the canvas, the third has another size."""
GALLERY = {"method": "gallery", "size": 64, "layers_as_frames": "image"}
SELECTED = (20, 10, 30, 40)


@contextmanager
def animation(*, grouped: bool = False) -> Iterator[tuple[Any, list[Any]]]:
    """Create an image of three frames, and yield it with the layers from bottom to top."""
    image = Gimp.Image.new(*SIZE, Gimp.ImageBaseType.RGB)
    group = None
    if grouped:
        group = Gimp.GroupLayer.new(image, "group")
        image.insert_layer(group, None, 0)
    layers = [_layer(image, group, number) for number in range(len(NAMES))]
    image.set_selected_layers(layers[:1])
    try:
        yield image, layers
    finally:
        image.delete()


def _layer(image: Any, group: Any, number: int) -> Any:
    x, y, width, height = BOXES[number]
    kind, mode = Gimp.ImageType.RGBA_IMAGE, Gimp.LayerMode.NORMAL
    layer = Gimp.Layer.new(image, NAMES[number], width, height, kind, 100.0, mode)
    image.insert_layer(layer, group, 0)
    layer.set_offsets(x, y)
    write(layer, "R'G'B' u8", random.Random(number).randbytes(3 * width * height))
    return layer


def frames_of(outcome: list[Any]) -> list[Any]:
    """Return the layers that a run has made of frames, from bottom to top."""
    layer = layer_of(outcome)
    made = list(reversed(layer.get_image().get_layers()))
    assert made[-1] == layer
    return made


def shown(image: Any, layers: list[Any]) -> bytes:
    """Return the visible pixels of an image with only these layers visible, the canvas alone."""
    for layer in image.get_layers():
        layer.set_visible(layer in layers)
    visible = Gimp.Layer.new_from_visible(image, image, "visible")
    pixels = read(visible, None, "R'G'B'A u8")
    visible.delete()
    return pixels


# ── Frames ───────────────────────────────────────────────────────────────────────────────────────


def case_a_frame_is_all_that_is_visible_up_to_it() -> None:
    with animation() as (image, layers):
        layers[1].set_visible(False)  # GIMP plays hidden layers too
        layers[1].set_opacity(50)
        pictures = list(frame_pictures(layers, no_poll))
        assert {(picture.width, picture.height, picture.channels) for picture in pictures} == {
            (*SIZE, "RGBA")
        }
        for picture, visible in zip(pictures, (layers[:1], layers[:2], layers[2:]), strict=True):
            assert_alike(bytes(picture.pixels), shown(image, visible))


def case_a_preview_shows_the_frame_of_the_layer_as_the_run_composes_it() -> None:
    with animation() as (image, layers):
        layers[1].set_opacity(50)
        image.select_ellipse(Gimp.ChannelOps.REPLACE, *SELECTED)
        before = len(Gimp.get_images())
        for layer, picture in zip(layers, list(frame_pictures(layers, no_poll)), strict=True):
            previewed = PreviewedLayer(Target(image, [layer]))
            assert previewed.layer("this") == layer
            frame = previewed.layer("image")
            assert_alike(bytes(picture.pixels), read(frame, None, "R'G'B'A u8"))
            box = selected_box(frame)
            assert (box.x, box.y, box.width, box.height) == SELECTED
            masks = [read(each.get_selection(), (0, 0, *SIZE), "Y u8") for each in (image, frame.get_image())]
            assert all(abs(one - other) <= 2 for one, other in zip(*masks, strict=True))
            previewed.forget()
        assert len(Gimp.get_images()) == before


def case_a_previewed_frame_is_composed_again_only_after_a_change() -> None:
    with animation() as (image, layers):
        previewed, place = PreviewedLayer(Target(image, layers[1:2])), (25, 30, 1, 1)
        frame = previewed.layer("image")
        assert previewed.layer("image") == frame
        layers[1].fill(Gimp.FillType.WHITE)
        previewed.forget()
        assert read(previewed.layer("image"), place, "R'G'B' u8") == b"\xff" * 3
        layers[1].set_name("frame (replace)")
        previewed.forget()
        corner = (WIDTH - 1, 0, 1, 1)
        assert read(previewed.layer("image"), corner, "R'G'B'A u8")[3] == 0, "only this layer is in the frame"
        image.remove_layer(layers[1])
        previewed.forget()
        try:
            previewed.layer("image")
        except Unsuitable as error:
            assert str(error).startswith("The layer was deleted")
        else:
            raise AssertionError("a deleted layer was previewed")


def case_of_a_frame_of_too_many_layers_the_preview_shows_the_first_frame() -> None:
    with animation() as (image, layers):
        first = next(frame_pictures(layers, no_poll))
        previewed, most = PreviewedLayer(Target(image, layers[1:2])), previewed_layer.MOST_LAYERS
        previewed_layer.MOST_LAYERS = 1
        try:
            assert_alike(bytes(first.pixels), read(previewed.layer("image"), None, "R'G'B'A u8"))
        finally:
            previewed_layer.MOST_LAYERS = most
            previewed.forget()


def case_a_preview_of_a_group_of_frames_shows_its_first_frame() -> None:
    with animation(grouped=True) as (image, layers):
        previewed = PreviewedLayer(Target(image, [layers[0].get_parent()]))
        first = next(frame_pictures(layers, no_poll))
        assert_alike(bytes(first.pixels), read(previewed.layer("group"), None, "R'G'B'A u8"))
        previewed.forget()


def assert_alike(found: bytes, expected: bytes) -> None:
    """Compare RGBA pixels: equal alpha, and visible colours equal to within rounding."""
    assert len(found) == len(expected)
    for i in range(0, len(found), 4):
        one, other = found[i : i + 4], expected[i : i + 4]
        assert one[3] == other[3]
        assert one[3] == 0 or all(abs(a - b) <= 1 for a, b in zip(one, other, strict=True))


def case_the_choices_of_frames_are_ordered_from_bottom_to_top() -> None:
    with animation() as (image, layers):
        assert Target(image, layers[:1]).frames("image") == layers
        assert Target(image, [layers[2], layers[0]]).frames("selected") == [layers[0], layers[2]]
        assert Target(image, layers[1:2]).frames("this") == []
        assert set(Target(image, layers[:1]).reasons_against()) == {"selected", "group"}
        assert set(Target(image, layers[:2]).reasons_against()) == {"this", "group"}
    with animation(grouped=True) as (image, layers):
        for drawables in (layers[1:2], [layers[0].get_parent()]):
            target = Target(image, drawables)
            assert target.frames("group") == layers
            assert target.layer in layers
        assert set(Target(image, layers[:1]).reasons_against()) == {"selected", "image"}


def case_a_choice_that_does_not_apply_is_an_error() -> None:
    sentences = {
        "selected": "Select at least two layers to use them as frames.",
        "group": "The selected layer is not in a group with other layers.",
    }
    with animation() as (image, layers):
        for choice, sentence in sentences.items():
            assert_error(call_here("deepdream", image, layers[:1], layers_as_frames=choice), sentence)
        image.convert_indexed(Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.WEB, 0, False, False, "")
        sentence = "The image is indexed. Choose Image ▸ Mode ▸ RGB, then run the filter again."
        assert_error(call_here("deepdream", image, layers[:1], layers_as_frames="image"), sentence)


def case_the_name_of_a_result_keeps_the_duration() -> None:
    names: Mapping[str, str] = {
        "Background": "Background (replace)",
        "Background (100ms)": "Background (100ms) (replace)",
        "Frame 2 (40ms) (combine)": "Frame 2 (40ms) (replace)",
        "Frame 3 (replace) (250ms)": "Frame 3 (replace) (250ms)",
    }
    assert {name: name_of_result(name) for name in names} == names


# ── Results ──────────────────────────────────────────────────────────────────────────────────────


def case_an_animation_is_a_new_image_that_gimp_exports() -> None:
    folder = Path(os.environ["OUTCOMES"]).parent
    with animation() as (image, layers):
        before = [read(layer) for layer in layers]
        images = len(Gimp.get_images())
        made = frames_of(call("style-transfer", image, layers[:1], **GALLERY))
        assert [layer.get_name() for layer in made] == [name_of_result(name) for name in NAMES]
        assert {(layer.get_width(), layer.get_height(), *layer.get_offsets()[1:]) for layer in made} == {
            (*SIZE, 0, 0)
        }
        assert len({read(layer) for layer in made}) == 3
        assert settings_of(made[0])["method"] == "gallery"
        assert [read(layer) for layer in layers] == before
        assert image.get_layers() == layers[::-1]
        assert len(Gimp.get_images()) == images + 1, "a temporary image stays open"
        export_gif(made[0].get_image(), folder / "animation.gif")
        export_webp(made[0].get_image(), folder / "animation.webp")
        made[0].get_image().delete()


def export_gif(image: Any, path: Path) -> None:
    _export(image, path, "file-gif-export", {"as-animation": True})


def export_webp(image: Any, path: Path) -> None:
    _export(image, path, "file-webp-export", {"animation": True, "lossless": True})


def _export(image: Any, path: Path, procedure_name: str, arguments: Mapping[str, Any]) -> None:
    procedure = Gimp.get_pdb().lookup_procedure(procedure_name)
    config = procedure.create_config()
    config.set_property("run-mode", Gimp.RunMode.NONINTERACTIVE)
    config.set_property("image", image)
    config.set_property("file", Gio.File.new_for_path(str(path)))
    for name, value in arguments.items():
        config.set_property(name, value)
    values = procedure.run(config)
    assert values.index(0) == STATUS.SUCCESS, Gimp.get_pdb().get_last_error()


def case_each_frame_follows_the_one_before() -> None:
    quick = {"network": "squeezenet", "iterations": 2, "octaves": 1, "size": 64, "seed": 3}
    dream = {**quick, "layers_as_frames": "selected"}
    with animation() as (image, layers):
        for each in layers[1:]:
            each.set_name("still")
            each.set_opacity(0)
        coherent = frames_of(call_here("deepdream", image, layers, **dream))
        independent = frames_of(call_here("deepdream", image, layers, coherence=0.0, **dream))
        assert read(coherent[0]) == read(independent[0])
        assert read(coherent[1]) != read(independent[1])
        for made in (coherent, independent):
            made[0].get_image().delete()


def case_a_fully_transparent_frame_stays_as_it_is() -> None:
    with animation() as (image, layers):
        for layer, name in zip(layers, ("one (replace)", "blank (replace)", "two (replace)"), strict=True):
            layer.set_name(name)
        write(layers[1], "R'G'B'A u8", bytes(4 * layers[1].get_width() * layers[1].get_height()))
        wholes = [bytes(picture.pixels) for picture in frame_pictures(layers, no_poll)]
        made = frames_of(call_here("style-transfer", image, layers[:1], **GALLERY))
        changed = [read(layer) != whole for layer, whole in zip(made, wholes, strict=True)]
        assert changed == [True, False, True]
        made[0].get_image().delete()


def case_a_selection_masks_every_frame() -> None:
    x, y, width, height = SELECTED
    with animation() as (image, layers):
        image.select_rectangle(Gimp.ChannelOps.REPLACE, *SELECTED)
        wholes = [bytes(picture.pixels) for picture in frame_pictures(layers, no_poll)]
        made = frames_of(call_here("style-transfer", image, layers[:1], **GALLERY))
        for layer, whole in zip(made, wholes, strict=True):
            pixels = read(layer)
            inside, outside = set[bool](), set[bool]()
            for i in range(WIDTH * HEIGHT):
                within = x <= i % WIDTH < x + width and y <= i // WIDTH < y + height
                same = pixels[4 * i : 4 * i + 4] == whole[4 * i : 4 * i + 4]
                if whole[4 * i + 3]:
                    (inside if within else outside).add(same)
            assert outside <= {True}
            assert False in inside
        made[0].get_image().delete()


def case_frames_may_be_replaced_in_their_image() -> None:
    for grouped in (False, True):
        with animation(grouped=grouped) as (image, layers):
            parent, images = layers[0].get_parent(), len(Gimp.get_images())
            run = call if grouped else call_here
            choice = {"layers_as_frames": "group" if grouped else "image"}
            arguments = {**GALLERY, **choice, "output": "replace"}
            last = layer_of(run("style-transfer", image, layers[:1], **arguments))
            made = list(reversed(parent.get_children() if grouped else image.get_layers()))
            assert [layer.get_name() for layer in made] == [name_of_result(name) for name in NAMES]
            assert made[-1] == last
            assert settings_of(last)["method"] == "gallery"
            assert len(Gimp.get_images()) == images


def case_locked_frames_are_not_replaced() -> None:
    with animation() as (image, layers):
        layers[1].set_lock_content(True)
        made = frames_of(call_here("style-transfer", image, layers[:1], output="replace", **GALLERY))
        assert made[0].get_image() != image
        assert image.get_layers() == layers[::-1]
        made[0].get_image().delete()
