"""EventLoopClient in a GLib main loop, with the Pythons of the real GIMPs: see `event_loop_client_cases`."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from backend_jobs import echo_instead
from conftest import installed_in, prepared, stop_backend

TESTS = Path(__file__).parent
FILE = TESTS / "event_loop_client_cases.py"
CASES = re.findall(r"^def (case_\w+)", FILE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def outcomes(
    gimp_version: str, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The outcome of every case, by name: a traceback, or an empty text if it has passed."""
    home, real_home = (installed_in(tmp_path_factory.mktemp(name), models) for name in ("echo", "real"))
    echo_instead(home)
    outcomes = home / "outcomes.json"
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "ATELIER_HOME": str(home),
        "REAL_HOME": str(real_home),
        "OUTCOMES": str(outcomes),
        "PYTHONPATH": f"{TESTS}:{TESTS / 'tick'}:{TESTS.parent.parent / 'plugin' / 'atelier'}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    enter = prepared(f"gimp-{gimp_version}") / "enter"
    command = [str(enter), "python3", str(FILE)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)
    print(done.stdout)
    assert done.returncode == 0, done.stderr
    yield json.loads(outcomes.read_text())
    for each in (home, real_home):
        stop_backend(each)


@pytest.mark.parametrize("name", CASES)
def test_event_loop_client(outcomes: dict[str, str], name: str) -> None:
    if outcomes[name]:
        pytest.fail(outcomes[name], pytrace=False)
