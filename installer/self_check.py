"""The self-check: paints a sample in every GIMP found, otherwise from the command line.

Afterwards each filter runs briefly with its default method, so that the backend can note its speed. That is
repeated only with other packages or another device.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from atelier_shared.home import open_log
from backend.command.gimp_installations import Gimp

from .environment import is_needed
from .paths import CHECKOUT, Home, Plan
from .process import InstallError, run
from .progress import LongStep

PHOTO = CHECKOUT / "samples" / "chelsea.jpg"
STYLE = CHECKOUT / "samples" / "starry_night.jpg"
GIMP_S = 600.0
SPEED_NOTE = "speed.txt"
"""In the environment: what the measured speed depends on."""
SPEED_TESTS = (
    ("style", str(PHOTO), "--style", str(STYLE), "--size", "256", "--iterations", "10"),
    ("dream", str(PHOTO), "--size", "256", "--iterations", "2"),
)

PAINT_IN_GIMP = """
from gi.repository import Gimp, Gio
image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path({photo!r}))
procedure = Gimp.get_pdb().lookup_procedure("plug-in-atelier-style-transfer")
if procedure is None:
    raise RuntimeError("GIMP did not load the plug-in")
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
photo, picture = (Image.open(path, formats=("PNG", "JPEG")).convert("RGB") for path in sys.argv[1:])
change = sum(ImageStat.Stat(ImageChops.difference(photo, picture)).mean) / 3
sys.exit(0 if photo.size == picture.size and change > 10 else 1)
"""


def run_self_check(plan: Plan, found: list[Gimp]) -> None:
    """Paint a sample in the style of another: in every GIMP found, otherwise from the command line."""
    for gimp in found:
        plan.home.picture.unlink(missing_ok=True)
        with LongStep(f"{gimp} paints {PHOTO.name} in the style of {STYLE.name}"):
            paint_in_gimp(gimp, plan)
            check_painted(plan.home)
    if not found:
        plan.home.picture.unlink(missing_ok=True)
        with LongStep(f"The command line paints {PHOTO.name} in the style of {STYLE.name}"):
            paint_from_the_command_line(plan)
            check_painted(plan.home)


def measure_speed(plan: Plan) -> None:
    """Run the default methods briefly: the dialogs estimate times by the speeds noted."""
    if is_speed_known(plan):
        return
    with (
        LongStep("Measuring this computer's speed"),
        tempfile.TemporaryDirectory(prefix="atelier-") as folder,
    ):
        for command in SPEED_TESTS:
            options = ["--device", plan.torch_device, "-o", str(Path(folder, f"{command[0]}.png"))]
            run([str(plan.home.python), "-I", "-m", "backend.command.cli", *command, *options])
    (plan.home.venv / SPEED_NOTE).write_text(_speed_state(plan), encoding="utf-8")


def is_speed_known(plan: Plan) -> bool:
    """Return whether the speed was measured with these packages and on this device."""
    note = plan.home.venv / SPEED_NOTE
    return note.exists() and not is_needed(note, _speed_state(plan))


def _speed_state(plan: Plan) -> str:
    return plan.home.packages.read_text(encoding="utf-8") + plan.torch_device


def paint_in_gimp(gimp: Gimp, plan: Plan) -> None:
    """Run the filter in a GIMP, with the user's own profile."""
    home = plan.home
    if gimp.is_flatpak:
        run([str(home.python), "-I", "-c", "from atelier_shared import launcher; launcher.connect().close()"])
    paths = {"photo": str(PHOTO), "style": str(STYLE), "picture": str(home.picture)}
    run_gimp(gimp, PAINT_IN_GIMP.format(**paths, device=plan.torch_device), home)


def run_gimp(gimp: Gimp, code: str, home: Home) -> None:
    """Run code in a GIMP; raise InstallError with the reason of a failure."""
    try:
        with open_log(home.log) as log:
            status = gimp.run(code, log, timeout_s=GIMP_S)
    except subprocess.TimeoutExpired:
        raise InstallError(
            f"{gimp} did not finish within {GIMP_S:.0f} seconds. Its messages are in {home.log}."
        ) from None
    if status:
        raise InstallError(f"{gimp} failed: {failure_in(home.log)}")


def failure_in(log: Path) -> str:
    """Return the reason in GIMP's messages, otherwise the place of the messages."""
    messages = log.read_text(encoding="utf-8", errors="replace")
    reasons = re.findall(r"^RuntimeError: (.+)", messages, re.MULTILINE)
    return reasons[-1] if reasons else f"See its messages in {log}."


def paint_from_the_command_line(plan: Plan) -> None:
    """Run the same filter from the command line."""
    options = ["--method", "fast", "--device", plan.torch_device, "-o", str(plan.home.picture)]
    run([str(plan.home.program("atelier")), "style", str(PHOTO), "--style", str(STYLE), *options])


def check_painted(home: Home) -> None:
    """Raise InstallError unless the picture exists and clearly differs from the photo."""
    compare = [str(home.python), "-I", "-c", IS_PAINTED, str(PHOTO), str(home.picture)]
    if not home.picture.exists() or subprocess.run(compare, check=False).returncode:
        raise InstallError(f"The self-check did not change the picture. See {home.backend_log}.")
