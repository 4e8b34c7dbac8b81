"""The link to the backend, in GLib's own main loop and the Pythons of the real GIMPs: see `link_cases`."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import eventually, installed_in, prepared, processes_with, stop_backend

TESTS = Path(__file__).parent
FILE = TESTS / "link_cases.py"
CASES = re.findall(r"^def (case_\w+)", FILE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def outcomes(
    gimp_version: str, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The tracebacks of what went wrong, by the names of cases; empty where all is well."""
    home = installed_in(tmp_path_factory.mktemp("link"), models)
    outcomes = home / "outcomes.json"
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "ATELIER_HOME": str(home),
        "OUTCOMES": str(outcomes),
        "PYTHONPATH": f"{TESTS}:{TESTS / 'tick'}:{TESTS.parent.parent / 'plugin' / 'atelier'}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    enter = prepared("ATELIER_TEST_CACHE") / f"gimp-{gimp_version}" / "enter"
    command = [str(enter), "python3", str(FILE)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)
    print(done.stdout)
    assert done.returncode == 0, done.stderr
    yield json.loads(outcomes.read_text())
    stop_backend(home)
    eventually(lambda: not processes_with("ATELIER_HOME", home), "no process is left")


@pytest.mark.parametrize("name", CASES)
def test_link(outcomes: dict[str, str], name: str) -> None:
    if outcomes[name]:
        pytest.fail(outcomes[name], pytrace=False)
