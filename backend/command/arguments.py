"""The options of the command line, declared from the requests' own settings, and what they mean together."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from gettext import gettext as _
from pathlib import Path
from typing import Any, NoReturn

from atelier_shared.deepdream import FRAMES
from atelier_shared.errors import AtelierError
from atelier_shared.networks import NETWORKS
from atelier_shared.presets import PRESETS
from atelier_shared.request import PaintingRequest
from atelier_shared.requests import REQUESTS
from atelier_shared.settings import Choice, Number, Setting, settings
from atelier_shared.visualise import BLANK_SIDE

from . import earlier_settings

MAX_MEGAPIXELS = 250
"""As in `picture_files.reading`, which cannot be imported where packages are broken."""
SHELLS = ("bash", "zsh", "fish", "tcsh")
PICTURE_COMMANDS: dict[str, type[PaintingRequest]] = {
    request.command: request for request in REQUESTS.values() if issubclass(request, PaintingRequest)
}
SHORTER = {"imagenet_class": "--class"}
"""Second names of options."""


class Parser(argparse.ArgumentParser):
    """A parser with suggestions for misspelt words. Abbreviations are refused: new options may break them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Exit with status 2, the usage and the message with a suggestion."""
        super().error(message + self._suggestion(message))

    def _suggestion(self, message: str) -> str:
        choice = re.search(_pattern("invalid choice: %(value)r (choose from %(choices)s)"), message)
        unknown = re.search(_pattern("unrecognized arguments: %s"), message)
        if "--quality" in message and (unknown or (choice and choice[1].isdigit())):
            return _offer(["--jpeg-quality"])
        if choice:
            return _did_you_mean([choice[1]], [name.strip("' ") for name in choice[2].split(",")])
        if unknown:
            words = [word.partition("=")[0] for word in unknown[1].split() if word.startswith("-")]
            return _did_you_mean(words, self._option_string_actions)
        return ""


def _pattern(text_of_argparse: str) -> str:
    """Return a pattern for a text with its values filled in."""
    quoted = re.escape(_(text_of_argparse).replace("%(value)r", "%r").replace("%(choices)s", "%s"))
    return quoted.replace("%r", "'?(.+?)'?").replace("%s", "(.+)")


def _did_you_mean(words: Sequence[str], names: Iterable[str]) -> str:
    found = [match for word in words for match in difflib.get_close_matches(word, list(names), 1)]
    return _offer(found)


def _offer(found: Sequence[str]) -> str:
    return _(". Did you mean {offered}?").format(offered=_(" and ").join(found)) if found else ""


# ── The options ──────────────────────────────────────────────────────────────────────────────────


def parser(version: str = "") -> Parser:
    """Return the parser of all commands."""
    whole = Parser(prog="atelier", description=_("Neural style transfer and DeepDream."))
    whole.add_argument("--version", action="version", version=f"atelier {version}")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, request in PICTURE_COMMANDS.items():
        command = commands.add_parser(name, help=_(request.purpose), description=_(request.purpose))
        command.set_defaults(command=name)
        _add_files(command, request)
        OWN_OPTIONS.get(name, _no_options)(command)
        for setting in settings(request):
            _add_setting(command, setting)
    layers = commands.add_parser(
        "layers", help=_("list the layers of a network and the patterns they dream of")
    )
    layers.add_argument("network", choices=list(NETWORKS), metavar="NETWORK", help=", ".join(NETWORKS))
    classes = commands.add_parser(
        "classes", help=_("list the classes of ImageNet, or those with a similar name")
    )
    classes.add_argument(
        "text", nargs="?", default="", metavar="TEXT", help=_("part of a name, such as fish")
    )
    commands.add_parser("serve", help=_("run the backend in this terminal, for a GIMP in a sandbox"))
    commands.add_parser("stop", help=_("stop the running backend"))
    _add_remote(commands)
    _add_cluster(commands)
    examine = commands.add_parser("doctor", help=_("check the installation, and print how to fix problems"))
    bundle_help = _("also write a zip file for a bug report")
    examine.add_argument("--bundle", type=Path, metavar="FILE", help=bundle_help)
    sbom_help = _("only write the software bill of materials, all packages and weights, as CycloneDX JSON")
    examine.add_argument("--sbom", type=Path, metavar="FILE", help=sbom_help)
    completion = commands.add_parser(
        "completion", help=_("print the completion of these commands for a shell")
    )
    completion.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))
    commands.add_parser("man", help=_("print the manual page: atelier man | man -l -"))
    return whole


def _add_remote(commands: Any) -> None:
    """Add the command `remote`."""
    text = _("have another machine compute, through ssh; without arguments, print which machine computes")
    remote = commands.add_parser("remote", help=text)
    chosen = remote.add_mutually_exclusive_group()
    machine = _("the machine, as for ssh; Atelier must be installed there")
    chosen.add_argument("machine", nargs="?", default="", metavar="USER@HOST", help=machine)
    chosen.add_argument("--off", action="store_true", help=_("compute on this computer again"))


def _add_cluster(commands: Any) -> None:
    """Add the commands `cluster` and `worker`."""
    cluster = commands.add_parser("cluster", help=_("make the certificates of a cluster of machines"))
    cluster.add_argument(
        "action", choices=["new"], metavar="new", help=_("for the scheduler and its workers")
    )
    worker = commands.add_parser("worker", help=_("run the jobs of a cluster's scheduler in this terminal"))
    worker.add_argument("scheduler", metavar="tls://HOST:PORT", help=_("its address"))


def _add_files(command: argparse.ArgumentParser, request: type[PaintingRequest]) -> None:
    """Add the options for files and for the output."""
    add = command.add_argument
    contents = _("pictures to change: files, folders, patterns such as '*.jpg', or - for standard input")
    if not request.needs_content:
        contents = _(
            "pictures to change: files, folders, patterns such as '*.jpg', or - for standard input; "
            "without any, a new picture is made"
        )
    number = "+" if request.needs_content else "*"
    add("contents", type=Path, nargs=number, metavar="CONTENT", help=contents)
    output = _(
        "file to write, or a folder that ends in /, or a pattern such as 'out/{name}-{style}.png',"
        " or - for standard output"
    )
    add("-o", "--output", required=True, metavar="OUT", help=output)
    add("--mask", type=Path, metavar="IMAGE", help=_("change only the part where this image is bright"))
    add("--sheet", type=Path, metavar="FILE", help=_("also write all results into one picture, side by side"))
    add("--settings", type=Path, metavar="FILE", help=_(earlier_settings.HELP))
    add(
        "--format",
        metavar="NAME",
        help=_("format of the files, such as png, where the output does not name one"),
    )
    if request is not PICTURE_COMMANDS["visualise"]:
        _add_clip_options(command)
    quality = _(
        "quality of a JPEG, WebP, AVIF, HEIC or JPEG XL file, 1 to 100 (default: that of the content, or 95)"
    )
    add("--jpeg-quality", type=int, choices=range(1, 101), metavar="N", help=quality)
    limit = _("refuse larger pictures, which may be an attack on the memory (default: %(default)s)")
    add("--max-megapixels", type=float, default=MAX_MEGAPIXELS, metavar="N", help=limit)
    add(
        "--json",
        action="store_true",
        help=_("print a line of JSON for each result, with its settings and seconds"),
    )
    add("-q", "--quiet", action="store_true", help=_("print errors only"))


def _add_clip_options(command: argparse.ArgumentParser) -> None:
    """Add the options for animations: clips, and pictures that are frames of one."""
    add = command.add_argument
    animation = _(
        "the contents are the frames of one animation, in natural order; implied by a clip as output"
    )
    add("--animation", action="store_true", help=animation)
    first = _("first frame to use, such as 12, or a time, such as 2.5s or 1:02")
    add("--from", dest="begin", metavar="PLACE", help=first)
    last = _("last frame to use, such as 12, or a time, such as 2.5s or 1:02")
    add("--to", dest="end", metavar="PLACE", help=last)
    every = _("use only every N-th frame, and show it longer (default: %(default)s)")
    add("--every", type=int, default=1, metavar="N", help=every)
    rate = _("frames per second of a clip made from pictures (default: 25)")
    add("--fps", type=float, metavar="N", help=rate)
    add("--loop", action="store_true", help=_("let the last frame lead to the first one, without a jump"))


def _style_options(style: argparse.ArgumentParser) -> None:
    _add_pictures(style, "--style", _("style picture; repeat this option to mix several"))
    mask = _("use only the part of the style where this image is bright; repeat it for each --style")
    _add_pictures(style, "--style-mask", mask)
    each = _("paint each content in each style, instead of mixing the styles")
    style.add_argument("--each-style", action="store_true", help=each)


def _dream_options(dream: argparse.ArgumentParser) -> None:
    dream.add_argument("--guide", type=Path, metavar="IMAGE", help=_("dream of the features of this picture"))
    preset = _("use the settings of this preset, except the ones given as options")
    dream.add_argument("--preset", choices=list(PRESETS), help=preset)
    _add_setting(dream, FRAMES)


def _visualise_options(visualise: argparse.ArgumentParser) -> None:
    _add_setting(visualise, BLANK_SIDE)


def _no_options(_command: argparse.ArgumentParser) -> None:
    """Add nothing: the command has no options but its settings."""


OWN_OPTIONS = {"style": _style_options, "dream": _dream_options, "visualise": _visualise_options}


def _add_pictures(command: argparse.ArgumentParser, option: str, help: str) -> None:
    command.add_argument(option, type=Path, action="append", default=[], metavar="IMAGE", help=help)


def _add_setting(command: argparse.ArgumentParser, setting: Setting) -> None:
    """Add an option without a default, so that the options that were given can be told from the others."""
    names = [*filter(None, [SHORTER.get(setting.name)]), option_of(setting.name)]
    text = _(setting.help).replace("%", "%%")  # argparse formats the help
    default = _("(default: {value})").format(value=setting.default)
    rest: dict[str, Any]
    if isinstance(setting, Number):
        limits = _("{low} to {high}").format(low=setting.low, high=setting.high)
        rest = {"type": type(setting.default), "help": f"{text}, {limits} {default}"}
    elif isinstance(setting, Choice):
        rest = {"choices": list(setting.options), "help": f"{text} {default}"}
    else:
        rest = {"metavar": "TEXT", "help": text}
    command.add_argument(*names, dest=setting.name, default=argparse.SUPPRESS, **rest)


def option_of(setting: str) -> str:
    """Return the option's name for a setting's."""
    return "--" + setting.replace("_", "-")


def complete_files(whole: argparse.ArgumentParser, how: object) -> None:
    """Mark the arguments that name files, for the completion of shells."""
    for action in whole._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                complete_files(command, how)
        elif action.type is Path or action.dest == "output":
            action.complete = how  # type: ignore[attr-defined]


# ── Their meaning ────────────────────────────────────────────────────────────────────────────────


def parse(arguments: Sequence[str], version: str = "") -> argparse.Namespace:
    """Parse the arguments; contents may stand between options. Exits with status 2 if they are wrong."""
    whole = parser(version)
    if arguments and arguments[0] in PICTURE_COMMANDS:
        (commands,) = (each for each in whole._actions if isinstance(each, argparse._SubParsersAction))
        command: Parser = commands.choices[arguments[0]]
        if sys.version_info < (3, 14):  # earlier ones remove "usage: " by its length, also from a translation
            command.usage = command.format_usage().removeprefix(_("usage: "))
        return command.parse_intermixed_args(list(arguments[1:]))
    return whole.parse_args(list(arguments))


def request_of(options: argparse.Namespace) -> PaintingRequest:
    """Return the request of a picture command: options go before a preset and earlier settings.

    Raises:
        AtelierError: a setting is wrong, or an option has no effect with the others.
    """
    kind = PICTURE_COMMANDS[options.command]
    given = {
        setting.name: getattr(options, setting.name)
        for setting in settings(kind)
        if hasattr(options, setting.name)
    }
    values = {**_starting_point(options), **_implied(options, given), **given}
    try:
        request = kind(**values)
    except ValueError as error:
        raise AtelierError("{problem}", problem=error) from error
    _check_effects(options, request, given)
    return request


def _starting_point(options: argparse.Namespace) -> Mapping[str, Any]:
    """Return the settings of the preset and of the file of earlier settings."""
    preset = PRESETS[options.preset].settings if getattr(options, "preset", None) else {}
    earlier = earlier_settings.take(options) if options.settings else {}
    return {**earlier, **preset}


def _implied(options: argparse.Namespace, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the objective of a dream with a guide or a class."""
    if getattr(options, "guide", None):
        return {"objective": "guide"}
    return {"objective": "class"} if given.get("imagenet_class") else {}


def _check_effects(options: argparse.Namespace, request: PaintingRequest, given: Mapping[str, Any]) -> None:
    """Refuse options without any effect.

    Raises:
        AtelierError: there is one.
    """
    for condition in request.conditions:
        actual = getattr(request, condition.depends_on)
        for name in given.keys() & set(condition.settings):
            if actual not in condition.values:
                decisive = option_of(condition.depends_on)
                template = _(
                    "{option} has no effect with {decisive} {actual}. "
                    "Leave it out, or choose {decisive} {values}."
                )
                values = _(" or ").join(condition.values)
                option = option_of(name)
                raise AtelierError(template, option=option, decisive=decisive, actual=actual, values=values)
    _check_pictures(options, request)


def _check_pictures(options: argparse.Namespace, request: PaintingRequest) -> None:
    """Refuse pictures that the request does not use."""
    pictures = {name: getattr(options, name, None) for name in ("style", "style_mask", "guide", "each_style")}
    first = next((name for name, value in pictures.items() if value), None)
    if first and not request.needs_picture:
        decisive = "--objective" if first == "guide" else "--method"
        actual = getattr(request, decisive[2:])
        template = _("{option} has no effect with {decisive} {actual}. Leave one of them out.")
        raise AtelierError(template, option=option_of(first), decisive=decisive, actual=actual)
    if request.recolours_pictures and not request.needs_picture:
        raise AtelierError(_("--colours matched has no effect with --method gallery. Leave one of them out."))
    if pictures["each_style"] and getattr(request, "style_weights", ""):
        raise AtelierError(_("--style-weights has no effect with --each-style. Leave one of them out."))
