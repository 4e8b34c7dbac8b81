"""The command `atelier`: style, dream, layers, serve, stop, doctor.

Pictures go through the same client, protocol and backend as from GIMP. Options are declared from
the requests' own settings. What a doctor looks at is in `doctor`, what a backend is in `__main__`.
Packages are imported by the commands that need them, so that the doctor comes where some are missing.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from atelier_shared import estimate, home, launcher
from atelier_shared.codec import MAX_PICTURES
from atelier_shared.deepdream import FRAMES, DeepDream
from atelier_shared.errors import AtelierError, BackendSilent, VersionMismatch
from atelier_shared.messages import Picture, Progress, Queued, Region, Result
from atelier_shared.networks import GROUPS, LAYERS
from atelier_shared.presets import PRESETS
from atelier_shared.request import Request
from atelier_shared.settings import Choice, Number, Setting, settings
from atelier_shared.style_transfer import StyleTransfer
from atelier_shared.zoom_frames import frames

from . import doctor

if TYPE_CHECKING:
    from tqdm import tqdm

PICTURE_COMMANDS: dict[str, type[StyleTransfer | DeepDream]] = {"style": StyleTransfer, "dream": DeepDream}
END_S, LET_GO_S = 5.0, 20.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments[:1] == ["serve"]:
        return _serve(arguments[1:])
    options = _options(arguments)
    try:
        return COMMANDS.get(options.command, _make)(options)
    except AtelierError as error:
        print(f"atelier: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("atelier: cancelled", file=sys.stderr)
        return 130


# ── The options ──────────────────────────────────────────────────────────────────────────────────


def _parser(presets: Mapping[str, object] | None = None) -> argparse.ArgumentParser:
    """The parser; `presets` are other defaults for the settings of a dream."""
    parser = argparse.ArgumentParser(prog="atelier", description="Neural style transfer and DeepDream.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    style = _picture_command(commands, "style", "paint a picture in the manner of another")
    _add_pictures(style, "--style", "a picture to learn from; may be given several times")
    _add_pictures(style, "--style-mask", "learn only where this picture is bright; one for each style")
    dream = _picture_command(commands, "dream", "strengthen what a network sees in a picture")
    dream.add_argument("--guide", type=Path, metavar="IMAGE", help="a picture whose features are dreamt of")
    dream.add_argument("--preset", choices=PRESETS, help="other defaults, by what one sees")
    _add_setting(dream, FRAMES)
    dream.set_defaults(**(presets or {}))
    layers = commands.add_parser("layers", help="list the layers of a network, by what it dreams with them")
    layers.add_argument("network", choices=LAYERS, metavar="NETWORK", help=", ".join(LAYERS))
    commands.add_parser("serve", help="run the backend here, for a GIMP that may not start it itself")
    commands.add_parser("stop", help="end the running backend")
    examine = commands.add_parser(
        "doctor", help="say what is installed, what works and what to do about the rest"
    )
    bundle_help = "also write a zip to attach to a bug report"
    examine.add_argument("--bundle", type=Path, metavar="FILE", help=bundle_help)
    return parser


def _picture_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, purpose: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=purpose, description=purpose)
    command.add_argument("content", type=Path, metavar="CONTENT", help="the picture to make anew")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="where to write it")
    command.add_argument(
        "--mask", type=Path, metavar="IMAGE", help="change only where this picture is bright"
    )
    for setting in settings(PICTURE_COMMANDS[name]):
        _add_setting(command, setting)
    return command


def _add_pictures(command: argparse.ArgumentParser, option: str, help: str) -> None:
    command.add_argument(option, type=Path, action="append", default=[], metavar="IMAGE", help=help)


def _add_setting(command: argparse.ArgumentParser, setting: Setting) -> None:
    option = "--" + setting.name.replace("_", "-")
    add = functools.partial(command.add_argument, option, default=setting.default)
    if isinstance(setting, Number):
        help = f"{setting.help}, {setting.low} to {setting.high} (default: %(default)s)"
        add(type=type(setting.default), help=help)
    elif isinstance(setting, Choice):
        add(choices=setting.options, help=f"{setting.help} (default: %(default)s)")
    else:
        add(metavar="TEXT", help=setting.help)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    """The options; a preset and a guide change the defaults of others."""
    options = _parser().parse_args(arguments)
    if options.command != "dream":
        return options
    defaults = dict(PRESETS[options.preset].settings) if options.preset else {}
    if options.guide:
        defaults["objective"] = "guide"
    return _parser(defaults).parse_args(arguments)


def _request(options: argparse.Namespace) -> StyleTransfer | DeepDream:
    kind = PICTURE_COMMANDS[options.command]
    try:
        return kind(**{setting.name: getattr(options, setting.name) for setting in settings(kind)})
    except ValueError as error:
        raise AtelierError(str(error)) from error


# ── The commands ─────────────────────────────────────────────────────────────────────────────────


def _make(options: argparse.Namespace) -> int:
    """Make a picture anew and write it; what stands in the way of that is said before the work."""
    from .picture_files import Canvas

    request = _request(options)
    canvas = Canvas.load(options.content)
    outputs = _outputs(options)
    canvas.check_savable(outputs[0])
    pictures = _pictures(options) if request.needs_style else []
    mask = canvas.load_mask(options.mask) if options.mask else None
    region = mask.region if mask else canvas.whole
    content, part = canvas.content_of(region)
    compute = functools.partial(_run, pictures=pictures, said=_duration(request, content, len(outputs)))
    notes = set()
    for output, result in zip(outputs, frames(compute, request, content, part, len(outputs)), strict=True):
        notes.add(result.note)
        canvas.save(output, result.picture, region, mask)
    for note in filter(None, notes):
        print(f"atelier: {note}", file=sys.stderr)
    return 0


def _outputs(options: argparse.Namespace) -> list[Path]:
    """Where the picture goes, or the numbered frames."""
    path, count = options.output, getattr(options, FRAMES.name, 1)
    try:
        FRAMES.check(count)
    except ValueError as error:
        raise AtelierError(str(error)) from error
    if count == 1:
        return [path]
    return [path.with_name(f"{path.stem}-{number:03}{path.suffix}") for number in range(1, count + 1)]


def _pictures(options: argparse.Namespace) -> list[Picture]:
    """What travels beside the content: the styles through their masks, or the guide."""
    from .picture_files import Canvas

    if options.command == "dream":
        return [Canvas.load(options.guide).picture] if options.guide else []
    if len(options.style) > MAX_PICTURES:
        raise AtelierError(f"No more than {MAX_PICTURES} styles can be mixed: leave out some of them.")
    if len(options.style_mask) > len(options.style):
        raise AtelierError("There are more style masks than styles: give one for each style, or fewer.")
    pictures = []
    for path, mask in itertools.zip_longest(options.style, options.style_mask):
        style = Canvas.load(path)
        pictures.append(style.seen_through(style.load_mask(mask)) if mask else style.picture)
    return pictures


def _duration(request: Request, content: Picture, count: int) -> str:
    """About how long so many frames will take."""
    speeds = estimate.read_speeds(home.atelier_home())
    seconds = estimate.estimate(request, content.width, content.height, speeds)
    sentence, amount = estimate.in_words(None if seconds is None else count * seconds)
    return sentence.format(count=amount)


def _run(
    request: Request, content: Picture, region: Region, pictures: Sequence[Picture], said: str
) -> Result:
    """Have the backend do it, with a progress bar; Ctrl+C closes the connection, which cancels."""
    from tqdm import tqdm

    with tqdm(unit="step", desc=said, leave=False) as bar, launcher.connect() as backend:
        for message in backend.messages(backend.submit(request, content, region, pictures)):
            if isinstance(message, Result):
                return message
            _show(bar, message)
    raise AssertionError("messages() ends with a Result or raises")


def _show(bar: tqdm[None], message: Queued | Progress | Result) -> None:
    if isinstance(message, Queued):
        bar.set_description_str(f"{message.place} jobs before this one" if message.place else "working")
    elif isinstance(message, Progress):
        bar.set_description_str("working", refresh=False)
        bar.total, bar.n = message.total, message.step
        bar.refresh()


def _serve(arguments: list[str]) -> int:
    """Run a backend that stays until it is stopped, unless the arguments say otherwise."""
    from .. import __main__ as backend_main

    return backend_main.main(["--idle", "inf", *arguments])


def _layers(options: argparse.Namespace) -> int:
    for layer, group in LAYERS[options.network]:
        print(f"{layer:<24}{GROUPS[group]}")
    return 0


def _stop(_: argparse.Namespace) -> int:
    print("The backend has ended." if _ask_to_end() or _make_end() else "No backend runs.")
    return 0


def _ask_to_end() -> bool:
    """Ask the backend to end; whether there was one that did, so that another may be started."""
    try:
        client = launcher.connect_if_running()
        if client is None:
            return False
        with client:
            client.stop_backend()
            client.wait_until_gone()
    except (VersionMismatch, BackendSilent):
        return False
    return _lock_is_free(within_s=LET_GO_S)


def _make_end() -> bool:
    """End the process of a backend that does not answer; whether there was one.

    A live backend holds the lock: without it, its number may be another process' by now.
    """
    connection = launcher.read_connection()
    if connection is None or _lock_is_free(within_s=0):
        return False
    for ending in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(connection.pid, ending)
        if _lock_is_free(within_s=END_S):
            return True
    raise AtelierError(f"The backend, process {connection.pid}, cannot be ended: restart the computer.")


def _lock_is_free(*, within_s: float) -> bool:
    from filelock import FileLock, Timeout

    try:
        with FileLock(home.atelier_home() / "backend.lock", timeout=within_s):
            return True
    except Timeout:
        return False


def _doctor(options: argparse.Namespace) -> int:
    findings = []
    for finding in doctor.examine():
        print(finding)
        findings.append(finding)
    if options.bundle:
        doctor.write_bundle(findings, options.bundle)
    return 0 if all(finding.ok for finding in findings) else 1


COMMANDS = {"layers": _layers, "stop": _stop, "doctor": _doctor}


if __name__ == "__main__":
    sys.exit(main())
