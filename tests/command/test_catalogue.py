"""The command line in another language than English."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from atelier_shared.client import job_event
from atelier_shared.errors import AtelierError, translated
from atelier_shared.messages import Failed
from installer.translations import compile_translations

CHECKOUT = Path(__file__).parents[2]
STYLE = ["style", "missing.jpg", "--style", "missing.jpg", "-o", "out.png"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--help"], "Aufruf: atelier"),
        (["--help"], "die Installation prüfen und sagen, wie Probleme zu beheben sind"),
        (["dream", "--help"], "Aufruf: atelier dream "),
        (["dream", "--help"], "Wie viel vom Traum zum Bild hinzukommt, 0.0 bis 1.0 (Vorgabe: 1.0)"),
        (["style", "a.jpg"], "diese Argumente fehlen: -o/--output"),
        ([*STYLE, "--strenght", "1"], "unbekannte Argumente: --strenght 1. Meinten Sie --strength?"),
        ([*STYLE, "--method", "galery"], "Meinten Sie gallery?"),
        ([*STYLE, "--quality", "95"], "Meinten Sie --jpeg-quality?"),
        (["layers", "vgg16"], "flach: Striche, Kanten"),
        (
            ["dream", "a.jpg", "-o", "b.jpg", "--octaves", "99"],
            "octaves muss von 1 bis 12 reichen, nicht 99.",
        ),
        (STYLE, "Es gibt keine Datei missing.jpg. Prüfen Sie den Namen."),
        (["man"], "Neural style transfer and DeepDream of picture files."),
    ],
)
def test_the_command_speaks_the_language_of_the_terminal(
    words: list[str], expected: str, tmp_path: Path
) -> None:
    compile_translations(tmp_path / "locale")
    environment = {**os.environ, "ATELIER_HOME": str(tmp_path), "LANGUAGE": "de", "COLUMNS": "500"}
    environment["PYTHONPATH"] = f"{CHECKOUT}:{CHECKOUT / 'plugin' / 'atelier'}"
    command = [sys.executable, "-m", "backend.command.cli", *words]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert expected in done.stdout.decode()


def test_a_failure_of_the_backend_is_translated_with_its_values() -> None:
    error = job_event(Failed(1, "bad-request", "There is no {name}.", {"name": "{x}"}))
    assert isinstance(error, AtelierError)
    assert str(error) == "There is no {x}."
    assert translated(error, {"There is no {name}.": "{name} fehlt."}.__getitem__) == "{x} fehlt."
