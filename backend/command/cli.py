"""The command `atelier`: style, dream, visualise, layers, classes, and more.

Pictures use the same client, protocol and backend as in GIMP. Each command imports the packages it
needs, so `doctor` runs even if some are missing.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import signal
import sys
import time
from collections.abc import Sequence
from gettext import gettext as _
from pathlib import Path

from atelier_shared.deepdream import FRAMES
from atelier_shared.errors import AtelierError, translated
from atelier_shared.imagenet_classes import CLASSES, similar_classes
from atelier_shared.networks import GROUPS, network_layers
from atelier_shared.request import PaintingRequest
from atelier_shared.visualise import BLANK_SIDE

from . import arguments, doctor
from .catalogue import use_catalogue, use_english

CLOSED_PIPE = 141
"""The exit status when the reader of the output has gone, as if by its signal (128 + SIGPIPE)."""
INTERRUPTED = 130
SIGNALLED = 128
"""Added to the number of a signal that ends the command, as shells do."""


def main(words: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    words = sys.argv[1:] if words is None else list(words)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if words[:1] == ["serve"]:
        return _serve(words[1:])
    use_catalogue()
    try:
        options = arguments.parse(words, version())
        status = COMMANDS.get(options.command, _make)(options)
        sys.stdout.flush()
        return status
    except AtelierError as error:
        print(f"atelier: {translated(error, _)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("atelier: " + _("cancelled"), file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # otherwise Python reports it at its end
        return CLOSED_PIPE


def version() -> str:
    """Return the version of the installation."""
    try:
        return importlib.metadata.version("atelier")
    except importlib.metadata.PackageNotFoundError:  # a checkout on the path, without an installation
        project = Path(__file__).parents[2] / "pyproject.toml"
        return project.read_text(encoding="utf-8").partition('\nversion = "')[2].partition('"')[0]


# ── Pictures ─────────────────────────────────────────────────────────────────────────────────────


def _make(options: argparse.Namespace) -> int:
    """Make all pictures; report options and file names that cannot work before the work begins."""
    from . import contact_sheet, output_names, painting, parallel, progress, report
    from .animations.call import is_animation
    from .picture_files import formats

    request = arguments.request_of(options)
    if getattr(options, "animation", None) is not None and is_animation(options):
        return _animate(options, request)
    _check_output(options)
    if options.sheet:
        contact_sheet.check(options.sheet)
    chosen = formats.by_name(options.format) if options.format else None
    pieces = output_names.pieces(
        output_names.contents(options.contents) or [painting.BLANK],
        painting.styles_of(options),
        options.output,
        chosen.suffixes[0] if chosen else None,
    )
    output_names.make_folders(options.output, pieces)
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(SIGNALLED + number))  # removes drafts
    begun_s, outcomes = time.monotonic(), []
    is_shared = len(pieces) > 1 and parallel.has_cluster()
    display = progress.display(1 if is_shared else len(pieces), quiet=options.quiet)
    run = painting.PictureRun(options, request, display, chosen)
    try:
        for outcome in run.make_together(pieces) if is_shared else map(run.make, pieces):
            outcomes.append(outcome)
            display.hide()
            report.print_outcome(outcome, request, options)
    finally:
        display.close()
        if len(pieces) > 1 and not options.quiet:
            report.print_table(outcomes, len(pieces), time.monotonic() - begun_s)
    if options.sheet and any(outcome.outputs for outcome in outcomes):
        contact_sheet.write(options.sheet, outcomes, options.max_megapixels)
    return 1 if any(outcome.error for outcome in outcomes) else 0


def _animate(options: argparse.Namespace, request: PaintingRequest) -> int:
    """Make an animation of a clip, or of pictures that are its frames."""
    from . import painting, progress, report
    from .animations.call import run_of
    from .animations.run import KEPT
    from .picture_files import formats

    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(SIGNALLED + number))  # removes drafts
    display = progress.display(1, quiet=options.quiet)
    chosen = formats.by_name(options.format) if options.format else None
    pictures = painting.PictureRun(options, request, display, chosen)
    run, piece = run_of(pictures)
    try:
        outcome = run.make(piece)
    except KeyboardInterrupt:
        display.close()
        report.complain(_(KEPT))
        raise
    finally:
        display.close()
    report.print_outcome(outcome, request, options)
    return 1 if outcome.error else 0


def _check_output(options: argparse.Namespace) -> None:
    """Refuse outputs that exclude each other.

    Raises:
        AtelierError: they do, or there are too many or too few frames.
    """
    count = getattr(options, FRAMES.name, 1)
    try:
        FRAMES.check(count)
        BLANK_SIDE.check(getattr(options, BLANK_SIDE.name, BLANK_SIDE.default))
    except ValueError as error:
        raise AtelierError("{problem}", problem=error) from error
    if options.sheet and not options.contents:
        raise AtelierError(_("--sheet needs a CONTENT to show beside the result. Leave it out."))
    if options.output != "-":
        return
    if options.json:
        raise AtelierError(_("--json and -o - both write to standard output. Name a file with -o."))
    if options.sheet or count > 1:
        raise AtelierError(_("Standard output takes one picture. Name a file with -o."))


# ── The other commands ───────────────────────────────────────────────────────────────────────────


def _serve(words: list[str]) -> int:
    """Run a backend; without --idle among the words it runs until it is stopped."""
    from .. import __main__ as backend_main

    if "--print-connection" in words:
        return _print_connection(with_device="--print-device" in words)
    return backend_main.main(["--idle", "inf", *words])


def _print_connection(*, with_device: bool) -> int:
    from . import remote

    try:
        print(remote.connection(with_device=with_device))
        return 0
    except AtelierError as error:
        print(f"atelier: {error}", file=sys.stderr)
        return 1


def _layers(options: argparse.Namespace) -> int:
    for layer, group in network_layers(options.network):
        print(f"{layer:<24}{_(GROUPS[group])}")
    return 0


def _classes(options: argparse.Namespace) -> int:
    for name in similar_classes(options.text, most=len(CLASSES)) if options.text else CLASSES:
        print(f"{CLASSES.index(name):>3}  {name}")
    return 0


def _stop(_options: argparse.Namespace) -> int:
    from .stop_backend import stop_backend

    print(_("The backend has stopped.") if stop_backend() else _("No backend is running."))
    return 0


def _remote(options: argparse.Namespace) -> int:
    from . import remote

    if options.off:
        print(remote.use_this_computer())
    else:
        print(remote.use(options.machine) if options.machine else remote.state())
    return 0


def _cluster(_options: argparse.Namespace) -> int:
    from . import cluster

    print(cluster.new())
    return 0


def _worker(options: argparse.Namespace) -> int:
    from . import cluster

    cluster.work(options.scheduler)
    return 0


def _doctor(options: argparse.Namespace) -> int:
    if options.sbom:
        from . import sbom

        sbom.write(options.sbom)
        return 0
    findings = []
    for finding in doctor.examine():
        print(finding)
        findings.append(finding)
    if options.bundle:
        doctor.write_bundle(findings, options.bundle)
    return 0 if all(finding.ok for finding in findings) else 1


def _completion(options: argparse.Namespace) -> int:
    import shtab

    parser = arguments.parser()
    arguments.complete_files(parser, shtab.FILE)
    print(shtab.complete(parser, shell=options.shell))
    return 0


def _man(_options: argparse.Namespace) -> int:
    from .man_page import man_page

    use_english()  # the language of the page's other texts
    print(man_page(arguments.parser(), version()))
    return 0


COMMANDS = {
    "layers": _layers,
    "classes": _classes,
    "stop": _stop,
    "remote": _remote,
    "cluster": _cluster,
    "worker": _worker,
    "doctor": _doctor,
    "completion": _completion,
    "man": _man,
}


if __name__ == "__main__":
    sys.exit(main())
