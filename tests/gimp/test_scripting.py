"""docs/scripting.md: its examples run unchanged in real GIMPs, and its tables are complete."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from gimp_session import Gimp, make_profile
from PIL import Image, ImageChops

from atelier_shared.deepdream import FRAMES, DeepDream
from atelier_shared.settings import Choice, Number, Setting, settings
from atelier_shared.style_transfer import StyleTransfer
from atelier_shared.visualise import Visualise
from host.output import OUTPUT_SETTINGS

CHECKOUT = Path(__file__).parents[2]
GUIDE = (CHECKOUT / "docs" / "scripting.md").read_text(encoding="utf-8")
SAMPLES = CHECKOUT / "samples"
FEW_OPTIONS = 10
RUN_S = 180.0
ARGUMENTS = """
from gi.repository import Gimp
for name in ("style-transfer", "deepdream", "visualise"):
    for argument in Gimp.get_pdb().lookup_procedure("plug-in-atelier-" + name).get_arguments():
        print("ARGUMENT", argument.name)
"""


@pytest.fixture(scope="module")
def gimp(gimp_version: str, gimp: Gimp, tmp_path_factory: pytest.TempPathFactory) -> Gimp:
    """A GIMP with Script-Fu."""
    user = tmp_path_factory.mktemp(f"scripting-{gimp_version}")
    scripted = Gimp(gimp_version, gimp.folder, user, gimp.atelier_home)
    make_profile(scripted, few_plugins=True)
    (installed,) = gimp.folder.glob("root/usr/lib/*/gimp/3.0/plug-ins/script-fu")
    shutil.copytree(installed, scripted.profile / "plug-ins" / "script-fu")
    return scripted


def example(language: str) -> tuple[str, str]:
    """Return the file name and the code of the example in a language."""
    pattern = rf"`([\w.]+)` [^`]*```{language}\n(.*?)```"
    (found,) = re.findall(pattern, GUIDE, re.DOTALL)
    return found[0], found[1]


def command_for(file: str, gimp: Gimp) -> str:
    """Return the guide's command line for a file, with a GIMP of the tests."""
    (command,) = re.findall(rf"^    gimp-console (.*{re.escape(file)}.*)$", GUIDE, re.MULTILINE)
    return f"'{gimp.folder / 'gimp-console'}' -i {command}"


def save_small(sample: str, file: Path) -> None:
    """Save a sample at a size that is painted at once."""
    with Image.open(SAMPLES / sample) as picture:
        picture.resize((120, 90)).save(file)


@pytest.mark.parametrize("language", ["python", "scheme"])
def test_an_example_saves_a_painted_picture(gimp: Gimp, language: str, tmp_path: Path) -> None:
    file, code = example(language)
    (tmp_path / file).write_text(code, encoding="utf-8")
    save_small("chelsea.jpg", tmp_path / "photo.jpg")
    save_small("starry_night.jpg", tmp_path / "painting.jpg")

    done = subprocess.run(
        command_for(file, gimp),
        shell=True,
        cwd=tmp_path,
        env=gimp.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_S,
    )

    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "photo.jpg") as photo, Image.open(tmp_path / "painted.png") as painted:
        assert painted.size == photo.size
        assert painted.convert("RGB").tobytes() != photo.convert("RGB").tobytes()


PAINT = """
from gi.repository import Gimp, Gio
image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path("{folder}/photo.png"))
(photo,) = image.get_layers()
procedure = Gimp.get_pdb().lookup_procedure("plug-in-atelier-style-transfer")
config = procedure.create_config()
config.set_property("image", image)
config.set_core_object_array("drawables", [photo])
for name, value in dict(method="fast", size=128, strength=0.7, colours="luminance").items():
    config.set_property(name, value)
config.set_property("style", Gio.File.new_for_path("{folder}/a style.png"))
values = procedure.run(config)
assert values.index(0) == Gimp.PDBStatusType.SUCCESS, values.index(1)
parasite = values.index(1).get_parasite("atelier-settings")
open("{folder}/settings", "wb").write(bytes(parasite.get_data()))
Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, Gio.File.new_for_path("{folder}/painted.png"), None)
"""


def test_the_command_line_repeats_a_layer_from_its_parasite(gimp: Gimp, tmp_path: Path) -> None:
    for name, file in (("chelsea.jpg", "photo.png"), ("starry_night.jpg", "a style.png")):
        save_small(name, tmp_path / file)
    done = gimp.run_python(PAINT.format(folder=tmp_path))
    assert done.returncode == 0, done.stderr
    again = ["style", "photo.png", "--settings", "settings", "-q", "-o", "again.png"]
    environment = {**os.environ, "ATELIER_HOME": str(gimp.atelier_home)}
    subprocess.run(
        [sys.executable, "-m", "backend.command.cli", *again], cwd=tmp_path, env=environment, check=True
    )
    with Image.open(tmp_path / "painted.png") as layer, Image.open(tmp_path / "again.png") as repeated:
        difference = ImageChops.difference(layer.convert("RGB"), repeated.convert("RGB"))
    differs = difference.point(lambda value: 255 * (value > 1))
    assert differs.getbbox() is None, "by at most 1, because GIMP blends the layer"


def test_the_tables_name_every_argument(gimp: Gimp) -> None:
    done = gimp.run_python(ARGUMENTS)
    arguments = set(re.findall(r"^ARGUMENT (\S+)$", done.stdout, re.MULTILINE))
    assert len(arguments) > len({setting.name for setting in settings(DeepDream)})
    assert arguments <= set(re.findall(r"`([\w-]+)`", GUIDE))


@pytest.mark.parametrize(
    "setting",
    [*settings(StyleTransfer), *settings(DeepDream), FRAMES, *settings(Visualise), *OUTPUT_SETTINGS],
    ids=lambda setting: str(setting.name),
)
def test_the_tables_give_values_and_default_of_a_setting(setting: Setting) -> None:
    assert row(setting) + "\n" in GUIDE


def row(setting: Setting) -> str:
    """Return a setting's row in the guide's tables."""
    return f"| `{setting.name.replace('_', '-')}` | {values_of(setting)} | {setting.default} |"


def values_of(setting: Setting) -> str:
    if isinstance(setting, Number):
        return f"{setting.low} to {setting.high}"
    if isinstance(setting, Choice):
        few = len(setting.options) < FEW_OPTIONS
        return ", ".join(setting.options) if few else f"one of {len(setting.options)} names"
    return "text"
