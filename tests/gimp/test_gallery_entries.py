"""What choosing a style or a guide sets in a filter's arguments, and what shows as chosen, in GIMP itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from gimp_session import PLUGIN, Gimp

SAMPLES = Path(__file__).parents[2] / "samples"

BEGIN = f"""
import sys
sys.path.insert(0, {str(PLUGIN)!r})
import gi
gi.require_versions({{"Babl": "0.1", "Gegl": "0.4", "Gimp": "3.0"}})
from gi.repository import GdkPixbuf, Gimp, Gio
from procedures import FILTERS
from style_memory import Memory
from style_sources import THUMBNAIL_PX, choose, chosen_entry, entries, file_entry, titles
image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path({str(SAMPLES / "coffee.jpg")!r}))
(layer,) = image.get_layers()
file = Gio.File.new_for_path({str(SAMPLES / "chelsea.jpg")!r})
STYLE, DREAM = "plug-in-atelier-style-transfer", "plug-in-atelier-deepdream"
style, dream = FILTERS[STYLE], FILTERS[DREAM]
def config_of(name):
    return Gimp.get_pdb().lookup_procedure(name).create_config()
def named(group, chosen, name):
    return next(entry for entry in entries(group, chosen, Memory()) if entry.name == name)
"""

CASES = {
    "a built-in style": """
config = config_of(STYLE)
assert chosen_entry(config, style) is None
choose(config, style, named("built-in", style, "Woodcut"))
assert (config.get_property("method"), config.get_property("gallery-style")) == ("gallery", "woodcut")
assert chosen_entry(config, style).key == "style:woodcut"
config.set_property("gallery-style", "dusk")
assert chosen_entry(config, style).key == "style:dusk"
""",
    "a picture takes the place of one of another kind": """
config = config_of(STYLE)
choose(config, style, named("built-in", style, "Woodcut"))
last_layer, last_pattern = (entries(group, style, Memory())[-1] for group in ("layer", "pattern"))
given = {"style": file_entry(file), "style-layer": last_layer, "style-pattern": last_pattern}
for name, entry in given.items():
    choose(config, style, entry)
    assert [other for other in given if config.get_property(other)] == [name]
    assert config.get_property("method") == "fine"
    assert chosen_entry(config, style).key == entry.key
config.set_property("method", "fast")
choose(config, style, given["style"])
assert config.get_property("method") == "fast"
config.set_property("style", None)
assert chosen_entry(config, style) is None
""",
    "a preset and a guide": """
config = config_of(DREAM)
for preset in entries("built-in", dream, Memory()):
    choose(config, dream, preset)
    assert chosen_entry(config, dream).key == preset.key
config.set_property("strength", 0.5)
assert chosen_entry(config, dream).key == preset.key
choose(config, dream, file_entry(file))
assert config.get_property("objective") == "guide"
assert chosen_entry(config, dream).given.equal(file)
choose(config, dream, preset)
assert config.get_property("objective") == "activation"
assert chosen_entry(config, dream).key == preset.key
""",
    "groups": """
assert set(titles(style)) == {"built-in", "favourites", "file", "layer", "pattern"}
assert set(titles(dream)) == {"built-in", "favourites", "file", "layer"}
pattern = entries("pattern", style, Memory())[-1].key
keys = ["style:dusk", "preset:eyes", pattern, file_entry(file).key, "pattern:no such", "layer:1", "nonsense"]
memory = Memory((file.get_uri(),), tuple(keys))
assert [entry.key for entry in entries("favourites", style, memory)] == ["style:dusk", pattern, keys[3]]
assert [entry.key for entry in entries("favourites", dream, memory)] == ["preset:eyes", keys[3]]
assert [entry.given.get_uri() for entry in entries("file", dream, memory)] == [file.get_uri()]
""",
    "small pictures of layers and patterns": """
taken = []
entries("layer", style, Memory())[0].load(taken.append)
assert max(taken[0].get_width(), taken[0].get_height()) == THUMBNAIL_PX
patterns = entries("pattern", style, Memory())
for entry in patterns:
    entry.load(taken.append)
assert len(taken) == len(patterns) + 1 > 10
assert {(picture.get_width(), picture.get_height()) for picture in taken[1:]} == {(THUMBNAIL_PX,) * 2}
assert len({bytes(picture.get_pixels()) for picture in taken[1:]}) > len(patterns) * 0.9
""",
}


@pytest.mark.parametrize("case", CASES)
def test_in_gimp(gimp: Gimp, case: str) -> None:
    done = gimp.run_python(BEGIN + CASES[case] + "\nimage.delete()\n")
    assert done.returncode == 0, done.stderr[-3000:]
