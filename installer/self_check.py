"""Paints a sample in the manner of another, in every GIMP that was found or else from the command line.

Then each filter does a little with its usual method, so that the backend notes how fast that is here.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from backend.command.gimp_installations import Gimp

from .paths import CHECKOUT, Home, Plan
from .process import InstallError, run, say

PHOTO = CHECKOUT / "samples" / "chelsea.jpg"
STYLE = CHECKOUT / "samples" / "starry_night.jpg"
GIMP_S = 600.0
MEASURED = (
    ("style", str(PHOTO), "--style", str(STYLE), "--size", "256", "--iterations", "10"),
    ("dream", str(PHOTO), "--size", "256", "--iterations", "2"),
)

IN_GIMP = """
from gi.repository import Gimp, Gio
image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path({photo!r}))
procedure = Gimp.get_pdb().lookup_procedure("plug-in-atelier-style-transfer")
if procedure is None:
    raise RuntimeError("it does not see the plug-in")
config = procedure.create_config()
config.set_property("run-mode", Gimp.RunMode.NONINTERACTIVE)
config.set_property("image", image)
config.set_core_object_array("drawables", image.get_layers())
config.set_property("style", Gio.File.new_for_path({style!r}))
config.set_property("method", "fast")
config.set_property("device", {device!r})
result = procedure.run(config)
if result.index(0) != Gimp.PDBStatusType.SUCCESS:
    raise RuntimeError(result.index(1))
Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, Gio.File.new_for_path({picture!r}), None)
image.delete()
"""

IS_PAINTED = """
import sys
from PIL import Image, ImageChops, ImageStat
photo, picture = (Image.open(path).convert("RGB") for path in sys.argv[1:])
change = sum(ImageStat.Stat(ImageChops.difference(photo, picture)).mean) / 3
sys.exit(0 if photo.size == picture.size and change > 10 else 1)
"""


def check_itself(plan: Plan, found: list[Gimp]) -> None:
    """Paint a sample in the manner of another: in every GIMP found, else from the command line."""
    for gimp in found:
        say(f"{gimp} paints {PHOTO.name} in the manner of {STYLE.name} …")
        plan.home.picture.unlink(missing_ok=True)
        paint_in_gimp(gimp, plan)
        check_painted(plan.home)
    if not found:
        say(f"The command line paints {PHOTO.name} in the manner of {STYLE.name} …")
        plan.home.picture.unlink(missing_ok=True)
        paint_from_the_command_line(plan)
        check_painted(plan.home)


def measure(plan: Plan) -> None:
    """Have the backend note how fast the usual methods are, for the dialogs to say how long they take."""
    say("Measuring how fast this computer paints and dreams …")
    with tempfile.TemporaryDirectory(prefix="atelier-") as folder:
        for command in MEASURED:
            options = ["--device", plan.computes_on, "-o", str(Path(folder, f"{command[0]}.png"))]
            run([str(plan.home.python), "-I", "-m", "backend.command.cli", *command, *options])


def paint_in_gimp(gimp: Gimp, plan: Plan) -> None:
    """Run the filter in a GIMP, with the user's own profile."""
    home = plan.home
    if gimp.is_flatpak:
        run([str(home.python), "-I", "-c", "from atelier_shared import launcher; launcher.connect().close()"])
    paths = {"photo": str(PHOTO), "style": str(STYLE), "picture": str(home.picture)}
    run_gimp(gimp, IN_GIMP.format(**paths, device=plan.computes_on), home)


def run_gimp(gimp: Gimp, code: str, home: Home) -> None:
    """Run code in a GIMP; raise InstallError with the reason if that fails."""
    try:
        with home.log.open("w", encoding="utf-8") as log:
            status = gimp.run(code, log, timeout_s=GIMP_S)
    except subprocess.TimeoutExpired:
        said = f"{home.log} holds what it said until then."
        raise InstallError(f"{gimp} did not finish in {GIMP_S:.0f} seconds; {said}") from None
    if status:
        raise InstallError(f"{gimp} failed: {what_gimp_said(home.log)}")


def what_gimp_said(log: Path) -> str:
    """The reason in what GIMP printed, else where that can be read."""
    said = log.read_text(encoding="utf-8", errors="replace")
    reasons = re.findall(r"^RuntimeError: (.+)", said, re.MULTILINE)
    return reasons[-1] if reasons else f"{log} holds what it said."


def paint_from_the_command_line(plan: Plan) -> None:
    """Run the same filter through the plug-in's own client."""
    options = ["--method", "fast", "--device", plan.computes_on, "-o", str(plan.home.picture)]
    run([str(plan.home.program("atelier")), "style", str(PHOTO), "--style", str(STYLE), *options])


def check_painted(home: Home) -> None:
    """Raise InstallError unless the picture is there and plainly no longer the photograph."""
    compare = [str(home.python), "-I", "-c", IS_PAINTED, str(PHOTO), str(home.picture)]
    if not home.picture.exists() or subprocess.run(compare, check=False).returncode:
        raise InstallError(f"The self-check painted nothing: {home.folder / 'backend.log'} may say why.")
