"""What the command line prints about its results: notes, lines of JSON, a table of many."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from gettext import gettext as _
from pathlib import Path
from typing import Any

from atelier_shared.deepdream import FRAMES
from atelier_shared.request import PaintingRequest

from .painting import Outcome


def complain(text: str) -> None:
    """Print an error or a note."""
    sys.stderr.write(f"atelier: {text}\n")
    sys.stderr.flush()


def print_outcome(outcome: Outcome, request: PaintingRequest, options: argparse.Namespace) -> None:
    """Print the error or the notes of a piece, and a line of JSON if asked for."""
    if outcome.error:
        complain(outcome.error)
    elif not options.quiet:
        for note in outcome.notes:
            complain(note)
    if options.json:
        sys.stdout.write(json.dumps(record(outcome, request, options)) + "\n")
        sys.stdout.flush()


def record(outcome: Outcome, request: PaintingRequest, options: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of a line of JSON: with them, --settings repeats the result."""
    made: dict[str, Any] = {"content": _path(outcome.piece.content), "filter": request.name}
    if outcome.error:
        return {**made, "output": str(outcome.piece.output), "error": outcome.error}
    made |= {"output": _path(outcome.outputs[0]), "seconds": round(outcome.seconds, 3)}
    made |= {"notes": outcome.notes, "settings": asdict(request)}
    if request.needs_picture and outcome.piece.styles:
        made["style"] = [_path(path) for path in outcome.piece.styles]
    for name in ("style_mask", "guide", "mask"):
        if value := getattr(options, name, None):
            made[name] = [_path(path) for path in value] if isinstance(value, list) else _path(value)
    if (count := getattr(options, FRAMES.name, 1)) > 1:
        made |= {FRAMES.name: count, "outputs": [_path(path) for path in outcome.outputs]}
    return made


def _path(path: Path) -> str:
    return "-" if str(path) == "-" else str(path.absolute())


def print_table(outcomes: Sequence[Outcome], count: int, seconds: float) -> None:
    """Print a table of many results; `count` of them were asked for."""
    rows = [
        (outcome.piece.content.name, outcome.error or f"{outcome.seconds:8.1f} s  {outcome.outputs[0]}")
        for outcome in outcomes
    ]
    width = max((len(name) for name, _ in rows), default=0)
    lines = [f"{name:<{width}}  {rest}" for name, rest in rows]
    made = sum(not outcome.error for outcome in outcomes)
    summary = _("{made} of {count} pictures made in {seconds} s")
    lines.append(summary.format(made=made, count=count, seconds=f"{seconds:.0f}"))
    sys.stderr.write("\n".join([*lines, ""]))
