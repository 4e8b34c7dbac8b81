"""The filters in real GIMPs, without windows, with real networks: `gimp_cases` checks them in there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import psutil
import pytest
from conftest import PICTURE, WHOLE, eventually, is_at_work, processes_with
from gimp_scenes import SCENES
from gimp_session import PYTHON_PATH, Gimp, filter_of, started

from atelier_shared import launcher
from atelier_shared.messages import Result
from atelier_shared.requests import Identity

TESTS = Path(__file__).parent
START_S, END_S = 120.0, 60.0
DREAM_FOR_LONG = "import gimp_cases; gimp_cases.dream_for_long_and_then_briefly()"
DREAM_FRAMES = "import gimp_cases; gimp_cases.dream_frames_until_killed()"
CASES = re.findall(r"^def (case_\w+)", (TESTS / "gimp_cases.py").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def outcomes(gimp: Gimp, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The tracebacks of what went wrong, by the names of scenes and cases; empty where all is well."""
    file = tmp_path_factory.mktemp("outcomes") / "outcomes.json"
    env = {**PYTHON_PATH, "OUTCOMES": str(file)}
    done = gimp.run_python("import gimp_cases; gimp_cases.main()", env=env, timeout_s=900)
    assert done.returncode == 0, done.stderr
    outcomes: dict[str, str] = json.loads(file.read_text())
    return outcomes


@pytest.mark.parametrize("name", [*SCENES, *CASES])
def test_in_gimp(outcomes: dict[str, str], name: str) -> None:
    if outcomes[name]:
        pytest.fail(outcomes[name], pytrace=False)


NOT_INSTALLED = """
from gimp_cases import Scene, call, staged
with staged(Scene()) as (image, source):
    print("SAID", call("deepdream", image, [source])[1])
"""


def test_without_an_installation_the_filter_says_what_to_do(gimp: Gimp, tmp_path: Path) -> None:
    env = {**PYTHON_PATH, "ATELIER_HOME": str(tmp_path)}
    done = gimp.run_python(NOT_INSTALLED, env=env)
    sentence = f"Atelier's backend is not installed in {tmp_path}. Run 'python3 install.py' first."
    assert f"SAID {sentence}\n" in done.stdout, done.stderr


def test_a_killed_filter_leaves_gimp_and_the_backend_working(
    gimp: Gimp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GIMP's own Cancel button kills the plug-in."""
    monkeypatch.setenv("ATELIER_HOME", str(gimp.atelier_home))
    with started(gimp, DREAM_FOR_LONG) as running:
        plugin = filter_of(running)
        with launcher.connect() as client:
            eventually(lambda: is_at_work(client), "the filter has the backend dream", START_S)
        plugin.kill()
        _, said = running.communicate(timeout=120)
    assert running.returncode == 0, said.decode()


def test_a_filter_killed_between_frames_leaves_no_layer(gimp: Gimp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(gimp.atelier_home))
    with started(gimp, DREAM_FRAMES) as running:
        plugin = filter_of(running)
        with launcher.connect() as client:
            eventually(lambda: is_at_work(client), "the filter has the backend dream", START_S)
            for _ in range(2):  # each has to wait for a frame
                list(client.messages(client.submit(Identity(), PICTURE, WHOLE)))
        plugin.kill()
        _, said = running.communicate(timeout=120)
    assert running.returncode == 0, said.decode()


def test_a_killed_gimp_takes_the_filter_and_its_job_along(
    gimp: Gimp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(gimp.atelier_home))
    with started(gimp, DREAM_FOR_LONG) as running:
        plugin = filter_of(running)
        with launcher.connect() as client:
            eventually(lambda: is_at_work(client), "the filter has the backend dream", START_S)
        backend = launcher.read_connection()
        assert plugin.is_running()
        running.kill()

    eventually(lambda: not processes_of(gimp), "all of GIMP has ended, the filter too", END_S)
    with launcher.connect() as client:
        eventually(lambda: not is_at_work(client), "the backend has dropped the long dream", END_S)
        *_, last = client.messages(client.submit(Identity(), PICTURE, WHOLE))
    assert isinstance(last, Result)
    assert last.picture == PICTURE
    assert launcher.read_connection() == backend, "it is another backend"


def processes_of(gimp: Gimp) -> list[psutil.Process]:
    """The processes that serve a GIMP's profile; the backend, which outlives GIMP, is not told of it."""
    return processes_with("GIMP3_DIRECTORY", gimp.profile)
