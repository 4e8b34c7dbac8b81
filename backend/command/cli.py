"""The command `atelier`: style, dream, layers, serve, stop, doctor.

Pictures use the same client, protocol and backend as in GIMP. Options are declared from the requests'
own settings. Each command imports the packages it needs, so `doctor` runs even if some are missing.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from atelier_shared import estimate, home
from atelier_shared.codec import MAX_PICTURES
from atelier_shared.deepdream import FRAMES
from atelier_shared.errors import AtelierError
from atelier_shared.messages import Picture
from atelier_shared.networks import GROUPS, NETWORKS, network_layers
from atelier_shared.presets import PRESETS
from atelier_shared.request import PaintingRequest
from atelier_shared.requests import REQUESTS
from atelier_shared.settings import Choice, Number, Setting, settings
from atelier_shared.zoom_frames import frames

from . import doctor

if TYPE_CHECKING:
    from .picture_files import Canvas

MAX_MEGAPIXELS = 250
"""Larger pictures are refused unless the user raises the limit: a few bytes can claim a gigabyte."""
PICTURE_COMMANDS: dict[str, type[PaintingRequest]] = {
    request.command: request for request in REQUESTS.values() if issubclass(request, PaintingRequest)
}


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
    except MemoryError:
        print("atelier: There is not enough memory for this picture. Scale it down first.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("atelier: cancelled", file=sys.stderr)
        return 130


# ── The options ──────────────────────────────────────────────────────────────────────────────────


def _parser(defaults: Mapping[str, object] | None = None) -> argparse.ArgumentParser:
    """Return the parser; `defaults` replace the settings' own defaults."""
    parser = argparse.ArgumentParser(prog="atelier", description="Neural style transfer and DeepDream.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in PICTURE_COMMANDS:
        command = _picture_command(commands, name)
        OWN_OPTIONS.get(name, _no_options)(command)
        command.set_defaults(**(defaults or {}))
    layers = commands.add_parser("layers", help="list the layers of a network and the patterns they dream of")
    layers.add_argument("network", choices=NETWORKS, metavar="NETWORK", help=", ".join(NETWORKS))
    commands.add_parser("serve", help="run the backend in this terminal, for a GIMP in a sandbox")
    commands.add_parser("stop", help="stop the running backend")
    examine = commands.add_parser("doctor", help="check the installation, and print how to fix problems")
    bundle_help = "also write a zip file for a bug report"
    examine.add_argument("--bundle", type=Path, metavar="FILE", help=bundle_help)
    return parser


def _picture_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str
) -> argparse.ArgumentParser:
    """Add a command with the options that all pictures need, and one for each setting of its request."""
    request = PICTURE_COMMANDS[name]
    command = commands.add_parser(name, help=request.purpose, description=request.purpose)
    command.add_argument("content", type=Path, metavar="CONTENT", help="picture to change")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="file to write")
    command.add_argument(
        "--mask", type=Path, metavar="IMAGE", help="change only the part where this image is bright"
    )
    command.add_argument(
        "--jpeg-quality",
        type=int,
        choices=range(1, 101),
        metavar="N",
        help="quality of a JPEG, WebP, AVIF or HEIC file, 1 to 100 (default: that of the content, or 95)",
    )
    command.add_argument(
        "--max-megapixels",
        type=float,
        default=MAX_MEGAPIXELS,
        metavar="N",
        help="refuse larger pictures, which may be an attack on the memory (default: %(default)s)",
    )
    for setting in settings(request):
        _add_setting(command, setting)
    return command


def _style_options(style: argparse.ArgumentParser) -> None:
    _add_pictures(style, "--style", "style picture; repeat this option to mix several")
    _add_pictures(
        style,
        "--style-mask",
        "use only the part of the style where this image is bright; repeat it for each --style",
    )


def _dream_options(dream: argparse.ArgumentParser) -> None:
    dream.add_argument("--guide", type=Path, metavar="IMAGE", help="dream of the features of this picture")
    dream.add_argument(
        "--preset", choices=PRESETS, help="use the settings of this preset, except the ones given as options"
    )
    _add_setting(dream, FRAMES)


def _no_options(_command: argparse.ArgumentParser) -> None:
    """Add nothing: the command has no options but its settings."""


OWN_OPTIONS = {"style": _style_options, "dream": _dream_options}


def _add_pictures(command: argparse.ArgumentParser, option: str, help: str) -> None:
    command.add_argument(option, type=Path, action="append", default=[], metavar="IMAGE", help=help)


def _add_setting(command: argparse.ArgumentParser, setting: Setting) -> None:
    option = "--" + setting.name.replace("_", "-")
    add = functools.partial(command.add_argument, option, default=setting.default)
    text = setting.help.replace("%", "%%")  # argparse formats the help
    if isinstance(setting, Number):
        help = f"{text}, {setting.low} to {setting.high} (default: %(default)s)"
        add(type=type(setting.default), help=help)
    elif isinstance(setting, Choice):
        add(choices=setting.options, help=f"{text} (default: %(default)s)")
    else:
        add(metavar="TEXT", help=text)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the options; a preset and a guide change the defaults of others."""
    options = _parser().parse_args(arguments)
    if options.command != "dream":
        return options
    defaults = dict(PRESETS[options.preset].settings) if options.preset else {}
    if options.guide:
        defaults["objective"] = "guide"
    return _parser(defaults).parse_args(arguments)


def _request(options: argparse.Namespace) -> PaintingRequest:
    kind = PICTURE_COMMANDS[options.command]
    try:
        return kind(**{setting.name: getattr(options, setting.name) for setting in settings(kind)})
    except ValueError as error:
        raise AtelierError(str(error)) from error


# ── The commands ─────────────────────────────────────────────────────────────────────────────────


def _make(options: argparse.Namespace) -> int:
    """Make a picture and write it; report a file that cannot be written before the work begins."""
    from .picture_files import Canvas
    from .progress_bar import run_with_progress_bar

    request = _request(options)
    canvas = Canvas.load(options.content, options.max_megapixels)
    outputs = _outputs(options)
    encoding = canvas.encoding(outputs[0], options.jpeg_quality)
    canvas.check_savable(outputs[0], encoding)
    pictures = PICTURES[options.command](options, canvas) if request.needs_picture else []
    mask = canvas.load_mask(options.mask, options.max_megapixels) if options.mask else None
    region = mask.region if mask else canvas.whole
    content, part = canvas.content_of(region)
    expected = _duration(request, content, len(outputs))
    compute = functools.partial(run_with_progress_bar, pictures=pictures, expected=expected)
    notes = dict.fromkeys([*canvas.notes(region), *canvas.losses(encoding)])
    for output, result in zip(outputs, frames(compute, request, content, part, len(outputs)), strict=True):
        notes[result.note] = None
        canvas.save(output, result.picture, region, mask, encoding)
    for note in filter(None, notes):
        print(f"atelier: {note}", file=sys.stderr)
    return 0


def _outputs(options: argparse.Namespace) -> list[Path]:
    """Return the file for the picture, or the numbered files for its frames."""
    path, count = options.output, getattr(options, FRAMES.name, 1)
    try:
        FRAMES.check(count)
    except ValueError as error:
        raise AtelierError(str(error)) from error
    if count == 1:
        return [path]
    return [path.with_name(f"{path.stem}-{number:03}{path.suffix}") for number in range(1, count + 1)]


def _guide(options: argparse.Namespace, content: Canvas) -> list[Picture]:
    """Read the guide, if one is given, in the colours of the content's profile."""
    from .picture_files import Canvas

    if not options.guide:
        return []
    return [Canvas.load(options.guide, options.max_megapixels).in_colours_of(content).picture]


def _styles(options: argparse.Namespace, content: Canvas) -> list[Picture]:
    """Read the style pictures in the colours of the content's profile, each with the alpha of its mask."""
    from .picture_files import Canvas

    if len(options.style) > MAX_PICTURES:
        raise AtelierError(f"At most {MAX_PICTURES} styles can be mixed. Leave some of them out.")
    if len(options.style_mask) > len(options.style):
        raise AtelierError("There are more style masks than styles. Give at most one for each style.")
    pictures = []
    for path, mask in itertools.zip_longest(options.style, options.style_mask):
        style = Canvas.load(path, options.max_megapixels).in_colours_of(content)
        pictures.append(
            style.seen_through(style.load_mask(mask, options.max_megapixels)) if mask else style.picture
        )
    return pictures


PICTURES = {"style": _styles, "dream": _guide}


def _duration(request: PaintingRequest, content: Picture, count: int) -> str:
    """Return a sentence with the expected time for `count` frames."""
    speeds = estimate.read_speeds(home.atelier_home())
    seconds = estimate.estimate(request, content.width, content.height, speeds)
    sentence, amount = estimate.in_words(None if seconds is None else count * seconds)
    return sentence.format(count=amount)


def _serve(arguments: list[str]) -> int:
    """Run a backend; without --idle among the arguments it runs until it is stopped."""
    from .. import __main__ as backend_main

    return backend_main.main(["--idle", "inf", *arguments])


def _layers(options: argparse.Namespace) -> int:
    for layer, group in network_layers(options.network):
        print(f"{layer:<24}{GROUPS[group]}")
    return 0


def _stop(_: argparse.Namespace) -> int:
    from .stop_backend import stop_backend

    print("The backend has stopped." if stop_backend() else "No backend is running.")
    return 0


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
