"""The order of an installation: environment → weights → plug-in → command → self-check.

Every step can be repeated and takes up the work where it stopped. All of it goes into one folder,
ATELIER_HOME or else ~/.atelier, but for the plug-in in GIMP's profiles and the command in the
user's own; those are listed in the folder's outside.txt. Knows nothing of sockets, networks and
pixels.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from backend.command import gimp_installations
from backend.command.gimp_installations import Gimp

from .builds import CARDS, noted_index
from .command import install_command
from .dry_run import installation, preparation, preview, removal
from .environment import make_environment
from .offline import open_folder, prepare
from .paths import Home, Plan
from .plugin import install_plugin
from .process import InstallError, fail, say, why_not_written
from .self_check import check_itself, measure
from .service import keep_service
from .thumbnails import make_thumbnails
from .uninstall import uninstall
from .weights import fetch_weights


def main() -> int:
    """Install or uninstall, and return the exit status."""
    options = parse_options()
    folder = absolute(os.environ.get("ATELIER_HOME") or "~/.atelier")
    home = Home(folder)
    try:
        do(options, home)
        return 0
    except InstallError as error:
        sentence = str(error)
    except OSError as error:
        sentence = why_not_written(error)
    except KeyboardInterrupt:
        sentence = "Stopped; run install.py again and it goes on from here."
    with contextlib.suppress(OSError):
        folder.rmdir()  # where nothing came to be in it
    return fail(sentence)


def do(options: argparse.Namespace, home: Home) -> None:
    """What was asked for, or say what that would be."""
    plan = plan_of(options, home)
    if options.dry_run:
        preview(what_would_be_done(options, plan))
    elif options.uninstall:
        uninstall(home)
    elif options.prepare_offline:
        prepare(plan, options.prepare_offline)
    else:
        install(plan)


def what_would_be_done(options: argparse.Namespace, plan: Plan) -> Iterator[str]:
    """A sentence for each part of what was asked for."""
    if options.uninstall:
        return removal(plan.home)
    if options.prepare_offline:
        return preparation(plan, options.prepare_offline)
    return installation(plan, look_around(plan))


def plan_of(options: argparse.Namespace, home: Home) -> Plan:
    """What the options ask for."""
    return Plan(
        home,
        link=options.link,
        device=options.device,
        torch_index=index_of(options, home),
        official_weights=options.official_weights,
        offline=options.offline,
        upgrade=options.upgrade,
        repair=options.repair,
        service=options.service,
    )


def index_of(options: argparse.Namespace, home: Home) -> str | None:
    """Where torch is taken from besides pip's usual index: what is said now, else what was noted."""
    if options.torch_index is not None:
        return options.torch_index or None
    return noted_index(options.offline or home.folder)


def parse_options() -> argparse.Namespace:
    """What the person asked for."""
    parser = argparse.ArgumentParser(
        prog="install.py", description="Install Atelier into ATELIER_HOME (default: ~/.atelier)."
    )
    parser.add_argument(
        "--link", action="store_true", help="link GIMP and the backend to this checkout, for development"
    )
    parser.add_argument(
        "--device",
        choices=("auto", *CARDS),
        default="auto",
        help="what the self-check computes on, auto for the fastest there is; nothing is fetched where torch "
        "would not be the build for this device (any build computes on the cpu)",
    )
    parser.add_argument(
        "--torch-index",
        metavar="URL",
        help="make the environment anew with the build of torch from this package index, and take it from "
        "there from now on: the PyTorch project's 'Get started' page names one for each kind of "
        "graphics card and one for none; an empty address goes back to pip's usual index",
    )
    parser.add_argument(
        "--official-weights", action="store_true", help="fetch torchvision's own checkpoints too"
    )
    parser.add_argument(
        "--upgrade",
        action="store_true",
        help="make the environment anew; the weights stay, and so does the earlier environment if that fails",
    )
    parser.add_argument(
        "--repair", action="store_true", help="look at every file that was installed and replace the damaged"
    )
    parser.add_argument(
        "--prepare-offline",
        type=absolute,
        metavar="FOLDER",
        help="fill a folder from which a machine of this kind without a network can install",
    )
    parser.add_argument(
        "--offline", type=absolute, metavar="FOLDER", help="install from such a folder, without a network"
    )
    parser.add_argument(
        "--service", action="store_true", help="have systemd keep a backend running, for a GIMP in a sandbox"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--uninstall", action="store_true", help="remove everything that was installed")
    return parser.parse_args()


def absolute(path: str) -> Path:
    """A path that means the same to the programs that are run."""
    return Path(path).expanduser().absolute()


def install(plan: Plan) -> None:
    """Do every step; the last line printed is the path of the picture that the self-check made."""
    found = look_around(plan)
    plan.home.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if plan.offline:
        open_folder(plan.offline, plan.home)
    make_environment(plan)
    fetch_weights(plan)
    make_thumbnails(plan)
    install_plugin(plan, found)
    install_command(plan.home)
    keep_service(plan.home, wanted=plan.service)
    check_itself(plan, found)
    measure(plan)
    say(str(plan.home.picture))


def look_around(plan: Plan) -> list[Gimp]:
    """Say where everything goes and which GIMPs there are."""
    say(f"Atelier goes into {plan.home.folder}")
    found = gimp_installations.find_gimps()
    say("GIMPs found: " + (", ".join(map(str, found)) or "none, only the command line will work"))
    return found
