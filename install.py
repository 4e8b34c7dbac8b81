#!/usr/bin/env python3
"""Installs Atelier: plan → environment → weights → plug-in → command → self-check.

    python3 install.py [--link] [--device DEVICE] [--torch-index URL] [--official-weights] [--uninstall]

Every step can be repeated and takes up the work where it stopped. All of it goes into one folder,
ATELIER_HOME or else ~/.atelier, but for the plug-in in GIMP's profiles and the command in the
user's own; those are listed in the folder's outside.txt, and --uninstall removes nothing else.
Standard library alone. Knows nothing of sockets, networks and pixels.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes.util
import errno
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backend import gimps
from backend.gimps import Gimp

CHECKOUT = Path(__file__).resolve().parent
PLUGIN = CHECKOUT / "plugin" / "atelier"
BACKEND_SOURCES = ("pyproject.toml", "README.md", "LICENSE", "backend", "plugin")
REQUIREMENTS = CHECKOUT / "requirements.txt"
LITTER = shutil.ignore_patterns("__pycache__", "*.egg-info")
PHOTO = CHECKOUT / "samples" / "chelsea.jpg"
STYLE = CHECKOUT / "samples" / "starry_night.jpg"

OLDEST_PYTHON = (3, 10)
WINDOWS = sys.platform == "win32"
GIMP_S = 600.0


class InstallError(Exception):
    """Something is in the way; the text is one sentence that says what and what to do."""


# ── Plan ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Home:
    """The folder that holds all of Atelier, and the places in it."""

    folder: Path

    @property
    def venv(self) -> Path:
        """The backend's own Python environment."""
        return self.folder / "venv"

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.program("python")

    @property
    def models(self) -> Path:
        """The networks' weights."""
        return self.folder / "models"

    @property
    def command(self) -> Path:
        """The command `atelier`."""
        return self.folder / "bin" / ("atelier.cmd" if WINDOWS else "atelier")

    @property
    def picture(self) -> Path:
        """What the self-check paints."""
        return self.folder / "self-check.png"

    @property
    def log(self) -> Path:
        """What GIMP said meanwhile."""
        return self.folder / "self-check.log"

    @property
    def plugin_fingerprint(self) -> Path:
        """A digest of the plug-in as it was copied into GIMP's profiles."""
        return self.folder / "plugin.txt"

    @property
    def outside(self) -> Path:
        """The list of what was made outside of this folder."""
        return self.folder / "outside.txt"

    def program(self, name: str) -> Path:
        """A program of the environment."""
        return self.venv / "Scripts" / f"{name}.exe" if WINDOWS else self.venv / "bin" / name

    def everything(self) -> list[Path]:
        """All that this installer and the backend make in this folder."""
        made = (self.venv, self.models, self.folder / "bin", self.picture, self.log)
        notes = (self.plugin_fingerprint, self.outside)
        return [*made, *notes, *self.folder.glob("connection.json*"), *self.folder.glob("backend.lo[cg]*")]


@dataclass(frozen=True)
class Plan:
    """What is to be installed, where, and how."""

    home: Home
    link: bool = False
    device: str = "auto"
    torch_index: str | None = None
    official_weights: bool = False


def main() -> int:
    """Install or uninstall, and return the exit status."""
    if sys.version_info < OLDEST_PYTHON:
        return fail(f"Python {platform.python_version()} is too old: use Python 3.10 or newer.")
    options = parse_options()
    folder = Path(os.environ.get("ATELIER_HOME") or Path.home() / ".atelier").expanduser().absolute()
    home = Home(folder)
    try:
        if options.uninstall:
            uninstall(home)
        else:
            install(Plan(home, options.link, options.device, options.torch_index, options.official_weights))
    except InstallError as error:
        return fail(str(error))
    except OSError as error:
        return fail(why_not_written(error))
    except KeyboardInterrupt:
        return fail("Stopped; run install.py again and it goes on from here.")
    return 0


def parse_options() -> argparse.Namespace:
    """What the person asked for."""
    parser = argparse.ArgumentParser(description="Install Atelier into ATELIER_HOME (default: ~/.atelier).")
    parser.add_argument(
        "--link", action="store_true", help="link GIMP and the backend to this checkout, for development"
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda", "mps", "xpu"),
        default="auto",
        help="what the self-check computes on, auto for the fastest there is; cuda takes the build of torch "
        "for NVIDIA cards even where no driver for them is found",
    )
    parser.add_argument(
        "--torch-index",
        metavar="URL",
        help="make the environment anew with the build of torch from this package index: the PyTorch "
        "project's 'Get started' page names one for each kind of graphics card and one for none",
    )
    parser.add_argument(
        "--official-weights", action="store_true", help="fetch torchvision's own checkpoints too"
    )
    parser.add_argument("--uninstall", action="store_true", help="remove everything that was installed")
    return parser.parse_args()


def install(plan: Plan) -> None:
    """Do every step; the last line printed is the path of the picture that the self-check made."""
    say(f"Atelier goes into {plan.home.folder}")
    found = gimps.find_gimps()
    say("GIMPs found: " + (", ".join(map(str, found)) or "none, only the command line will work"))
    plan.home.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    make_environment(plan)
    fetch_weights(plan)
    install_plugin(plan, found)
    install_command(plan.home)
    check_itself(plan, found)
    say(str(plan.home.picture))


# ── Environment ──────────────────────────────────────────────────────────────────────────────────


def make_environment(plan: Plan) -> None:
    """The backend's own Python environment: the pinned packages, then the backend itself."""
    make_venv(plan)
    with step_done_once(plan.home, "requirements.txt", REQUIREMENTS.read_text(encoding="utf-8")) as needed:
        if needed:
            say("Installing the packages that requirements.txt names; torch takes a while …")
            install_packages(plan)
    with step_done_once(plan.home, "backend.txt", backend_state(plan)) as needed:
        if needed:
            say("Installing the backend …")
            install_backend(plan)


def make_venv(plan: Plan) -> None:
    """An empty environment, unless there is one that works and no other build of torch is asked for."""
    if not plan.torch_index and works(plan.home.python):
        return
    stop_backend(plan.home)
    if importlib.util.find_spec("ensurepip") is None:
        raise InstallError(
            f"{sys.executable} cannot make environments: install the package that adds venv to it "
            "(python3-venv on Debian and Ubuntu) and run install.py again."
        )
    say(f"Making an environment with Python {platform.python_version()} …")
    run([sys.executable, "-I", "-m", "venv", "--clear", str(plan.home.venv)])


def works(python: Path) -> bool:
    """Whether an environment's Python still runs: the one it was made from may be gone."""
    try:
        return subprocess.run([python, "-I", "-m", "pip", "--version"], capture_output=True).returncode == 0
    except OSError:
        return False


@contextlib.contextmanager
def step_done_once(home: Home, note: str, state: str) -> Iterator[bool]:
    """Whether a step must be done to bring the environment into `state`; noted once it is done."""
    file = home.venv / note
    needed = not file.exists() or file.read_text(encoding="utf-8") != state
    if needed:
        stop_backend(home)
        file.unlink(missing_ok=True)
    yield needed
    file.write_text(state, encoding="utf-8")


def install_packages(plan: Plan) -> None:
    """The packages at their pinned versions; pip first, for an old one cannot say what it would fetch."""
    pip(plan.home, "install", "--quiet", "--constraint", str(REQUIREMENTS), "pip")
    check_build_of_torch(plan)
    index = ["--extra-index-url", plan.torch_index] if plan.torch_index else []
    pip(plan.home, "install", *index, "--requirement", str(REQUIREMENTS))


def check_build_of_torch(plan: Plan) -> None:
    """Say so before gigabytes are fetched for a card that is not here; stop if it is not to be used."""
    driver = shutil.which("nvidia-smi") or ctypes.util.find_library("cuda")
    if plan.torch_index or plan.device == "cuda" or (plan.device == "auto" and driver):
        return
    if not any(name.startswith("nvidia") for name in packages_to_fetch(plan.home)):
        return
    if plan.device != "auto":
        raise InstallError(
            "pip would fetch the build of torch for NVIDIA cards, gigabytes that are of no use here: give "
            "--torch-index the address of another build ('install.py --help' says where to find it), or "
            "--device cuda to have that one all the same."
        )
    say(
        "No NVIDIA driver is here, but the build of torch that pip finds is the one for NVIDIA cards: it "
        "computes on the processor as well, and is gigabytes large. --torch-index takes a smaller one."
    )


def packages_to_fetch(home: Home) -> list[str]:
    """The names of what pip would install; it looks up what depends on what and fetches no package."""
    with tempfile.TemporaryDirectory(prefix="atelier-") as folder:
        report = Path(folder) / "report.json"
        dry_run = ("--dry-run", "--quiet", "--report", str(report))
        pip(home, "install", *dry_run, "--requirement", str(REQUIREMENTS))
        packages = json.loads(report.read_text(encoding="utf-8"))["install"]
    return [package["metadata"]["name"] for package in packages]


def backend_state(plan: Plan) -> str:
    """What the installed backend was made from, and how."""
    sources = [gimps.fingerprint(CHECKOUT / folder, "*.py") for folder in ("backend", "plugin")]
    return "\n".join([f"{CHECKOUT} {'linked' if plan.link else 'copied'}", *sources])


def install_backend(plan: Plan) -> None:
    """The backend and the command line, built from a copy so that no litter stays in the checkout."""
    options = ("--no-deps", "--no-index", "--no-build-isolation", "--force-reinstall", "--quiet")
    if plan.link:
        pip(plan.home, "install", *options, "--editable", str(CHECKOUT))
    else:
        with tempfile.TemporaryDirectory(prefix="atelier-") as folder:
            copy_sources(Path(folder))
            pip(plan.home, "install", *options, folder)
    write_home_note(folder_of_modules(plan.home), plan.home)


def copy_sources(folder: Path) -> None:
    """Copy what the backend is built from."""
    for source in (CHECKOUT / name for name in BACKEND_SOURCES):
        if source.is_dir():
            shutil.copytree(source, folder / source.name, ignore=LITTER)
        else:
            shutil.copy(source, folder)


def folder_of_modules(home: Home) -> Path:
    """Where the backend's modules are: in its environment, or in the checkout that it is linked to."""
    find = [str(home.python), "-I", "-c", "import backend_process; print(backend_process.__file__)"]
    done = subprocess.run(find, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstallError(why_failed(done.stderr))
    return Path(done.stdout.strip()).parent


def write_home_note(folder: Path, home: Home) -> None:
    """Tell the modules in `folder` where Atelier's home is; `backend_process` reads it."""
    note = folder / "atelier-home.txt"
    if not note.is_relative_to(home.venv):
        remember(note, home)
    note.write_text(f"{home.folder}\n", encoding="utf-8")


def stop_backend(home: Home) -> None:
    """End the backend that runs, if one does, before its files change under it."""
    if (
        home.python.exists()
        and home.program("atelier").exists()
        and (home.folder / "connection.json").exists()
    ):
        subprocess.run([home.program("atelier"), "stop"], env=environment(home), check=False)


# ── Weights ──────────────────────────────────────────────────────────────────────────────────────


def fetch_weights(plan: Plan) -> None:
    """The trained networks, as far as they are not there yet."""
    say("Looking for the networks' weights …")
    official = ["--official"] if plan.official_weights else []
    run([str(plan.home.python), "-I", "-m", "backend.weights", *official, str(plan.home.models)])


# ── Plug-in ──────────────────────────────────────────────────────────────────────────────────────


def install_plugin(plan: Plan, found: list[Gimp]) -> None:
    """The plug-in, in every profile of a GIMP 3."""
    for gimp in found:
        if not gimp.profile.exists():
            make_profile(gimp, plan.home)
    profiles = gimps.find_profiles()
    for profile in profiles:
        place_plugin(gimps.plugin_folder(profile), plan)
        say(f"The plug-in is in {profile}")
    if not profiles:
        say("No GIMP 3 was found; once it is there, run install.py again to give it the plug-in.")


def make_profile(gimp: Gimp, home: Home) -> None:
    """Have a GIMP that was never started make its profile, for it takes over older settings then."""
    say(f"{gimp} makes its first profile …")
    run_gimp(gimp, "", home)


def place_plugin(target: Path, plan: Plan) -> None:
    """Put the plug-in at `target` in place of an older one, at once and whole."""
    if os.path.lexists(target) and not (target / "atelier_protocol.py").exists():
        raise InstallError(f"{target} belongs to another plug-in: move it away and run install.py again.")
    make_folder(target.parent, plan.home)
    remember(target, plan.home)
    new, old = target.with_name(".atelier-new"), target.with_name(".atelier-old")
    remove(new)
    remove(old)
    if plan.link:
        link_plugin(new)
    else:
        copy_plugin(new, plan.home)
    if os.path.lexists(target):
        target.rename(old)
    new.rename(target)
    remove(old)


def link_plugin(folder: Path) -> None:
    """Link `folder` to the checkout, as if its main file had just been changed: GIMP looks at that alone."""
    os.utime(PLUGIN / "atelier.py")
    folder.symlink_to(PLUGIN, target_is_directory=True)


def copy_plugin(folder: Path, home: Home) -> None:
    """Copy the plug-in to `folder`, its main file executable and new, or GIMP passes it over."""
    shutil.copytree(PLUGIN, folder, copy_function=shutil.copyfile, ignore=LITTER)
    (folder / "atelier.py").chmod(0o755)
    (folder / "atelier-home.txt").write_text(f"{home.folder}\n", encoding="utf-8")
    home.plugin_fingerprint.write_text(gimps.fingerprint(folder), encoding="utf-8")


# ── Command ──────────────────────────────────────────────────────────────────────────────────────


def install_command(home: Home) -> None:
    """The command `atelier`, and on Unix a link to it among the user's own."""
    home.command.parent.mkdir(exist_ok=True)
    if WINDOWS:
        home.command.write_text('@"%~dp0..\\venv\\Scripts\\atelier.exe" %*\n', encoding="utf-8")
        say(f"The command is {home.command}")
        return
    link(home.command, home.program("atelier"))
    users = Path.home() / ".local" / "bin" / "atelier"
    if os.path.lexists(users) and not is_ours(users, home):
        say(f"{users} is another program and stays; Atelier's command is {home.command}")
        return
    make_folder(users.parent, home)
    remember(users, home)
    link(users, home.command)
    say(f"The command is {users}")
    if str(users.parent) not in os.get_exec_path():
        say(f"To run it as 'atelier', add {users.parent} to your PATH.")


def link(place: Path, target: Path) -> None:
    """Make `place` a link to `target`, at once."""
    new = place.with_name(f".{place.name}-new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(place)


# ── Self-check ───────────────────────────────────────────────────────────────────────────────────

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


def paint_in_gimp(gimp: Gimp, plan: Plan) -> None:
    """Run the filter in a GIMP, with the user's own profile."""
    home = plan.home
    if gimp.is_flatpak:
        run([str(home.python), "-I", "-c", "import backend_process; backend_process.connect().close()"])
    paths = {"photo": str(PHOTO), "style": str(STYLE), "picture": str(home.picture)}
    run_gimp(gimp, IN_GIMP.format(**paths, device=plan.device), home)


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
    options = ["--method", "fast", "--device", plan.device, "-o", str(plan.home.picture)]
    run([str(plan.home.program("atelier")), "style", str(PHOTO), "--style", str(STYLE), *options])


def check_painted(home: Home) -> None:
    """Raise InstallError unless the picture is there and plainly no longer the photograph."""
    compare = [str(home.python), "-I", "-c", IS_PAINTED, str(PHOTO), str(home.picture)]
    if not home.picture.exists() or subprocess.run(compare, check=False).returncode:
        raise InstallError(f"The self-check painted nothing: {home.folder / 'backend.log'} may say why.")


# ── Uninstall ────────────────────────────────────────────────────────────────────────────────────


def uninstall(home: Home) -> None:
    """Remove what was made outside of the home, then what was made in it, and nothing else."""
    if not home.folder.exists():
        say(f"Atelier is not installed in {home.folder}.")
        return
    stop_backend(home)
    for path in reversed(remembered(home)):
        remove_if_ours(path, home)
    for path in home.everything():
        remove(path)
    if any(home.folder.iterdir()):
        say(f"{home.folder} stays, for there are other files in it.")
    else:
        home.folder.rmdir()
    say("Atelier is gone.")


def remove_if_ours(path: Path, home: Home) -> None:
    """Remove a plug-in, link or note of this home, or a folder made for them that is empty again."""
    if is_ours(path, home):
        remove(path)
    elif path.is_dir() and not any(path.iterdir()):
        path.rmdir()
    elif os.path.lexists(path) and not path.is_dir():
        say(f"{path} is no longer Atelier's and stays.")


def is_ours(path: Path, home: Home) -> bool:
    """Whether a plug-in, a note of the home or a link to the command was made by this installation."""
    note = path / "atelier-home.txt" if path.is_dir() else path
    if note.name == "atelier-home.txt":
        return note.exists() and note.read_text(encoding="utf-8").strip() == str(home.folder)
    return path.is_symlink() and path.readlink() == home.command


def remember(path: Path, home: Home) -> None:
    """Note something outside of the home, before it is made."""
    paths = [*remembered(home), path]
    home.outside.write_text("".join(f"{p}\n" for p in dict.fromkeys(paths)), encoding="utf-8")


def remembered(home: Home) -> list[Path]:
    """What was made outside of the home, oldest first."""
    noted = home.outside.read_text(encoding="utf-8") if home.outside.exists() else ""
    return [Path(line) for line in noted.splitlines()]


def make_folder(folder: Path, home: Home) -> None:
    """Make a folder outside of the home and those above it, and note the ones that were not there."""
    for missing in reversed([f for f in (folder, *folder.parents) if not f.exists()]):
        remember(missing, home)
        missing.mkdir()


def remove(path: Path) -> None:
    """Remove a file, a link (not what it leads to) or a whole folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


# ── Programs that are run, and their troubles ────────────────────────────────────────────────────

DISK_FULL = "The disk is full: make room and run install.py again; it goes on from here."
TROUBLES = {
    r"NewConnectionError|NameResolutionError|Temporary failure in name resolution|Max retries|timed out": (
        "The packages could not be fetched: check the network connection and run install.py again; "
        "it goes on from here."
    ),
    r"No space left on device|not enough space on the disk": DISK_FULL,
    r"No matching distribution found for (torch|torchvision|numpy|pillow|pyzmq|safetensors)": (
        f"A package has no build for Python {platform.python_version()} on this computer: use a 64-bit "
        "Python 3.10 to 3.14 on Linux, Windows or a Mac with Apple silicon."
    ),
    r"Read-only file system|Permission denied|Access is denied": (
        "A folder may not be written to: make it writable, or name another one in ATELIER_HOME."
    ),
}


def pip(home: Home, *arguments: str) -> None:
    """Run the environment's pip."""
    run([str(home.python), "-I", "-m", "pip", "--disable-pip-version-check", *arguments])


def run(command: list[str]) -> None:
    """Run a program and show what it says; raise InstallError with the reason if it fails."""
    said: deque[str] = deque(maxlen=40)
    with subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8", errors="replace") as process:
        assert process.stderr is not None
        for line in process.stderr:
            print(line, end="", file=sys.stderr, flush=True)
            said.append(line)
    if process.returncode:
        raise InstallError(why_failed("".join(said)))


def why_failed(said: str) -> str:
    """A sentence for what a program printed when it failed."""
    for trouble, sentence in TROUBLES.items():
        if re.search(trouble, said):
            return sentence
    last = said.strip().splitlines()[-1:] or ["A step failed and did not say why."]
    return re.sub(r"^(atelier|ERROR): ", "", last[0])


def why_not_written(error: OSError) -> str:
    """A sentence for what the system refused."""
    if error.errno == errno.ENOSPC:
        return DISK_FULL
    return f"{error.filename} could not be used ({error.strerror}): mend that and run install.py again."


def environment(home: Home) -> dict[str, str]:
    """This process' environment, in which Atelier's home is `home`."""
    return {**os.environ, "ATELIER_HOME": str(home.folder)}


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def fail(sentence: str) -> int:
    """Print why this ended, and return the exit status that says so."""
    print(f"install.py: {sentence}", file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
