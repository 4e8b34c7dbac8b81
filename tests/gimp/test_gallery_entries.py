"""Gallery entries in real GIMPs: the groups, the arguments that a choice sets, the entry shown as chosen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from gimp_session import PLUGIN, PYTHON_PATH, Gimp

SAMPLES = Path(__file__).parents[2] / "samples"

BEGIN = f"""
import sys
sys.path.insert(0, {str(PLUGIN)!r})
import gi
gi.require_versions({{"Babl": "0.1", "Gegl": "0.4", "Gimp": "3.0"}})
from gi.repository import GdkPixbuf, Gimp, Gio
from host.filters import FILTERS
import shutil
from atelier_shared.home import STYLES_FOLDER, atelier_home
from ui.gallery.entries import choose, chosen_entry, file_entry, follow_method, group_titles, list_entries
from ui.gallery.recent import History
from ui.gallery.thumbnails import THUMBNAIL_PX
image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path({str(SAMPLES / "coffee.jpg")!r}))
(layer,) = image.get_layers()
file = Gio.File.new_for_path({str(SAMPLES / "chelsea.jpg")!r})
STYLE, DREAM = "plug-in-atelier-style-transfer", "plug-in-atelier-deepdream"
style, dream = FILTERS[STYLE], FILTERS[DREAM]
def config_of(name):
    return Gimp.get_pdb().lookup_procedure(name).create_config()
def named(group, chosen, name):
    return next(entry for entry in list_entries(group, chosen, History()) if entry.name == name)
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
    "a picture replaces a picture of another kind": """
config = config_of(STYLE)
choose(config, style, named("built-in", style, "Woodcut"))
last_layer, last_pattern = (list_entries(group, style, History())[-1] for group in ("layer", "pattern"))
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
    "a gallery style is a style picture for the other methods": """
folder = atelier_home() / STYLES_FOLDER
folder.mkdir()
try:
    for name in ("woodcut", "dusk"):
        shutil.copy(file.get_path(), folder / f"{name}.jpg")
    config = config_of(STYLE)
    choose(config, style, named("built-in", style, "Woodcut"))
    assert config.get_property("method") == "fine"
    assert config.get_property("style").get_path() == str(folder / "woodcut.jpg")
    assert chosen_entry(config, style).key == "style:woodcut"
    config.set_property("method", "gallery")
    config.set_property("gallery-style", "embers")
    follow_method(config, style)
    assert config.get_property("gallery-style") == "woodcut"
    assert config.get_property("style") is None, "otherwise it would come back after another choice"
    config.set_property("gallery-style", "dusk")
    config.set_property("method", "fast")
    follow_method(config, style)
    assert chosen_entry(config, style).key == "style:dusk"
    choose(config, style, list_entries("pattern", style, History())[-1])
    assert config.get_property("style") is None
    choose(config, style, named("built-in", style, "Embers"))
    assert config.get_property("method") == "gallery", "there is no picture in this style"
finally:
    shutil.rmtree(folder)
""",
    "a preset and a guide": """
config = config_of(DREAM)
for preset in list_entries("built-in", dream, History()):
    choose(config, dream, preset)
    assert chosen_entry(config, dream).key == preset.key
config.set_property("strength", 0.5)
assert chosen_entry(config, dream).key == preset.key
choose(config, dream, file_entry(file))
assert config.get_property("objective") == "guide"
assert chosen_entry(config, dream).picture.equal(file)
choose(config, dream, preset)
assert config.get_property("objective") == "activation"
assert chosen_entry(config, dream).key == preset.key
""",
    "groups": """
assert set(group_titles(style)) == {"built-in", "favourites", "file", "layer", "pattern", "own", "result"}
assert set(group_titles(dream)) == {"built-in", "favourites", "file", "layer", "own", "result"}
pattern = list_entries("pattern", style, History())[-1].key
keys = ["style:dusk", "preset:eyes", pattern, file_entry(file).key, "pattern:no such", "layer:1", "nonsense"]
history = History((file.get_uri(),), tuple(keys))
assert [entry.key for entry in list_entries("favourites", style, history)] == ["style:dusk", pattern, keys[3]]
assert [entry.key for entry in list_entries("favourites", dream, history)] == ["preset:eyes", keys[3]]
assert [entry.picture.get_uri() for entry in list_entries("file", dream, history)] == [file.get_uri()]
""",
    "thumbnails of layers and patterns": """
thumbnails = []
list_entries("layer", style, History())[0].load_thumbnail(thumbnails.append)
assert max(thumbnails[0].get_width(), thumbnails[0].get_height()) == THUMBNAIL_PX
patterns = list_entries("pattern", style, History())
for entry in patterns:
    entry.load_thumbnail(thumbnails.append)
assert len(thumbnails) == len(patterns) + 1 > 10
assert {(picture.get_width(), picture.get_height()) for picture in thumbnails[1:]} == {(THUMBNAIL_PX,) * 2}
assert len({bytes(picture.get_pixels()) for picture in thumbnails[1:]}) > len(patterns) * 0.9
""",
}


RUN_ALL = f"""
from outcomes import write_outcomes
def run(case):
    exec({BEGIN!r} + case + "\\nimage.delete()\\n", {{}})
write_outcomes({{name: lambda case=case: run(case) for name, case in {CASES!r}.items()}})
"""


@pytest.fixture(scope="module")
def outcomes(gimp: Gimp, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Run all cases in one session; return the tracebacks of those that failed."""
    file = tmp_path_factory.mktemp("outcomes") / "outcomes.json"
    done = gimp.run_python(RUN_ALL, env={**PYTHON_PATH, "OUTCOMES": str(file)}, with_data=True)
    assert done.returncode == 0, done.stderr[-3000:]
    outcomes: dict[str, str] = json.loads(file.read_text())
    return outcomes


@pytest.mark.parametrize("case", CASES)
def test_in_gimp(outcomes: dict[str, str], case: str) -> None:
    if outcomes[case]:
        pytest.fail(outcomes[case], pytrace=False)
