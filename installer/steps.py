"""The order of an installation: environment → weights → plug-in → command → self-check.

Every step can be repeated, and continues after an interruption. Everything is installed into one folder,
ATELIER_HOME or ~/.atelier, except the plug-in in GIMP's profiles and the link to the command. These
exceptions are listed in the folder's outside.txt.
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
from .dry_run import installation, preparation, print_preview, removal
from .environment import make_environment, make_home
from .extension import make_extension
from .offline import open_folder, prepare
from .output import fail, print_any_character, report
from .packages import has_cluster, has_video
from .paths import Home, Plan
from .plugin import install_plugin
from .process import InstallError, explain_os_error
from .self_check import measure_speed, run_self_check
from .service import update_service
from .thumbnails import make_thumbnails
from .uninstall import uninstall
from .weights import fetch_weights


def main() -> int:
    """Install or uninstall, and return the exit status."""
    print_any_character()
    options = parse_options()
    folder = absolute(os.environ.get("ATELIER_HOME") or "~/.atelier")
    home = Home(folder)
    try:
        run_options(options, home)
        return 0
    except InstallError as error:
        explanation = str(error)
    except OSError as error:
        explanation = explain_os_error(error)
    except KeyboardInterrupt:
        explanation = "Stopped. Run install.py again to continue."
    with contextlib.suppress(OSError):
        folder.rmdir()  # succeeds if it is empty
    return fail(explanation, home.install_log)


def run_options(options: argparse.Namespace, home: Home) -> None:
    """Install, prepare or uninstall, or describe this for --dry-run."""
    plan = plan_of(options, home)
    if options.dry_run:
        print_preview(describe(options, plan))
    elif options.uninstall:
        uninstall(home)
    elif options.make_extension:
        make_extension(options.make_extension)
    elif options.prepare_offline:
        prepare(plan, options.prepare_offline)
    else:
        install(plan)


def describe(options: argparse.Namespace, plan: Plan) -> Iterator[str]:
    """Describe the steps for these options."""
    if options.uninstall:
        return removal(plan.home)
    if options.prepare_offline:
        return preparation(plan, options.prepare_offline)
    return installation(plan, find_gimps(plan))


def plan_of(options: argparse.Namespace, home: Home) -> Plan:
    """Return the plan for these options."""
    return Plan(
        home,
        link=options.link,
        device=options.device,
        torch_index=torch_index_of(options, home),
        official_weights=options.official_weights,
        video=options.video or has_video(home),
        cluster=options.cluster or has_cluster(home),
        offline=options.offline,
        upgrade=options.upgrade,
        repair=options.repair,
        service=options.service,
        verbose=options.verbose,
        client=options.client,
    )


def torch_index_of(options: argparse.Namespace, home: Home) -> str | None:
    """Return the additional package index of torch: the given one, otherwise the noted one."""
    if options.torch_index is not None:
        return options.torch_index or None
    return noted_index(options.offline or home.folder)


def parse_options() -> argparse.Namespace:
    """Parse the options of the command line."""
    parser = argparse.ArgumentParser(
        prog="install.py", description="Install Atelier into ATELIER_HOME (default: ~/.atelier)."
    )
    parser.add_argument(
        "--link",
        action="store_true",
        help="install links to this folder instead of copies, for development",
    )
    parser.add_argument(
        "--device",
        choices=("auto", *CARDS),
        default="auto",
        help="device for the self-check (auto: the fastest). If pip would install PyTorch for another kind "
        "of device, nothing is installed; any PyTorch can use the cpu",
    )
    parser.add_argument(
        "--torch-index",
        metavar="URL",
        help="install PyTorch from this package index, now and in later runs. The PyTorch project's "
        "'Get started' page lists one for each kind of graphics card and one for none. An empty address "
        "means pip's usual index",
    )
    parser.add_argument(
        "--official-weights", action="store_true", help="also download torchvision's own networks"
    )
    parser.add_argument(
        "--video",
        action="store_true",
        help="also install OpenCV and PyAV, for animations and videos, now and in later runs",
    )
    parser.add_argument(
        "--cluster",
        action="store_true",
        help="also install cryptography, for the certificates of a cluster, now and in later runs",
    )
    parser.add_argument(
        "--upgrade",
        action="store_true",
        help="make a new environment. Weights are kept; if it fails, the earlier environment is kept too",
    )
    parser.add_argument(
        "--repair", action="store_true", help="check every installed file, and replace damaged ones"
    )
    parser.add_argument(
        "--prepare-offline",
        type=absolute,
        metavar="FOLDER",
        help="fill a folder for installing on computers of the same kind without a network",
    )
    parser.add_argument(
        "--offline", type=absolute, metavar="FOLDER", help="install from such a folder without a network"
    )
    parser.add_argument(
        "--client",
        action="store_true",
        help="leave out PyTorch and the networks: another machine makes the pictures (atelier remote)",
    )
    parser.add_argument(
        "--make-extension",
        type=absolute,
        metavar="FILE",
        help="write the plug-in and this installer as an extension of GIMP (.gex), and install nothing",
    )
    parser.add_argument(
        "--service", action="store_true", help="keep a backend running with systemd, for a GIMP in a sandbox"
    )
    parser.add_argument(
        "--verbose", action="store_true", help="print the output of pip and other programs too, as in the log"
    )
    parser.add_argument("--dry-run", action="store_true", help="describe the steps without doing them")
    parser.add_argument("--uninstall", action="store_true", help="remove everything installed")
    return parser.parse_args()


def absolute(path: str) -> Path:
    """Return an absolute path, valid also in programs with another working folder."""
    return Path(path).expanduser().absolute()


def install(plan: Plan) -> None:
    """Run every step; the last line printed is the path of the self-check's picture, or the next step."""
    found = find_gimps(plan)
    make_home(plan.home, verbose=plan.verbose)
    if plan.offline:
        open_folder(plan.offline, plan.home)
    make_environment(plan)
    if not plan.client:
        fetch_weights(plan)
        make_thumbnails(plan)
    install_plugin(plan, found)
    install_command(plan.home)
    update_service(plan.home, requested=plan.service)
    if plan.client:
        report("Now run 'atelier remote user@host' with the machine that makes the pictures.")
    else:
        run_self_check(plan, found)
        measure_speed(plan)
        report(str(plan.home.picture))


def find_gimps(plan: Plan) -> list[Gimp]:
    """Find the GIMPs, and print them and the home folder."""
    report(f"Atelier's folder: {plan.home.folder}")
    found = gimp_installations.find_gimps()
    report("GIMPs found: " + (", ".join(map(str, found)) or "none, so only the command line will work"))
    return found
