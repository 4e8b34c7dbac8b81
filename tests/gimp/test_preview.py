"""The dialogs' parts inside real GIMPs, on a virtual screen, with a backend: see `preview_cases`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from backend_jobs import echo_instead
from conftest import installed_in, stop_backend
from gimp_session import Gimp
from gimp_window import HEIGHT, WIDTH, running

TESTS = Path(__file__).parent
CASES = re.findall(r"^def (case_\w+)", (TESTS / "preview_cases.py").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def outcomes(gimp: Gimp, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The traceback of each case, by name; empty if the case passed."""
    folder = tmp_path_factory.mktemp("preview")
    home = installed_in(tmp_path_factory.mktemp("echo"), models)
    echo_instead(home)
    file = folder / "outcomes.json"
    screen = ["Xvfb", "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "-nolisten", "tcp", "-displayfd", "1"]
    with (folder / "xvfb.log").open("wb") as log:
        enter = str(gimp.folder / "enter")
        with running([enter, *screen], gimp.environment, log.fileno()) as xvfb:
            assert xvfb.stdout
            env = {
                "DISPLAY": f":{xvfb.stdout.readline().decode().strip()}",
                "PYTHONPATH": f"{TESTS}:{TESTS.parent.parent / 'plugin' / 'atelier'}",
                "OUTCOMES": str(file),
                "EMPTY_HOME": str(folder),
                "ATELIER_HOME": str(home),
                "REAL_HOME": str(gimp.atelier_home),
            }
            done = gimp.run_python("import preview_cases; preview_cases.main()", env=env, timeout_s=400)
    assert done.returncode == 0, done.stderr
    yield json.loads(file.read_text())
    stop_backend(home)


@pytest.mark.parametrize("name", CASES)
def test_preview(outcomes: dict[str, str], name: str) -> None:
    if outcomes[name]:
        pytest.fail(outcomes[name], pytrace=False)
