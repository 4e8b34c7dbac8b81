"""The filters in real GIMPs, without windows, with real networks: see `gimp_cases`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import psutil
import pytest
from conftest import PICTURE, WHOLE, eventually, is_at_work, processes_with
from gimp_scenes import SCENES
from gimp_session import PYTHON_PATH, Gimp, filter_of, started
from PIL import Image, ImageSequence

from atelier_shared import launcher
from atelier_shared.messages import Result
from atelier_shared.requests import Identity

TESTS = Path(__file__).parent
START_S, END_S = 120.0, 60.0
DREAM_FOR_LONG = "import gimp_cases; gimp_cases.dream_for_long_and_then_briefly()"
DREAM_FRAMES = "import gimp_cases; gimp_cases.dream_frames_until_killed()"
CASES = [
    case
    for file in ("gimp_cases.py", "animation_cases.py")
    for case in re.findall(r"^def (case_\w+)", (TESTS / file).read_text(encoding="utf-8"), re.MULTILINE)
]
DURATIONS_MS = [100, 40, 250]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the outcomes and the files that the cases write."""
    return tmp_path_factory.mktemp("outcomes")


@pytest.fixture(scope="module")
def outcomes(gimp: Gimp, folder: Path) -> dict[str, str]:
    """The outcome of every scene and case, by name: a traceback, or an empty text if it has passed."""
    file = folder / "outcomes.json"
    env = {**PYTHON_PATH, "OUTCOMES": str(file)}
    done = gimp.run_python("import gimp_cases; gimp_cases.main()", env=env, timeout_s=900)
    assert done.returncode == 0, done.stderr
    outcomes: dict[str, str] = json.loads(file.read_text())
    return outcomes


@pytest.mark.parametrize("name", [*SCENES, *CASES])
def test_in_gimp(outcomes: dict[str, str], name: str) -> None:
    if outcomes[name]:
        pytest.fail(outcomes[name], pytrace=False)


@pytest.mark.parametrize("ending", ["gif", "webp"])
def test_gimp_exports_an_animation_with_its_durations(
    outcomes: dict[str, str], folder: Path, ending: str
) -> None:
    assert not outcomes["case_an_animation_is_a_new_image_that_gimp_exports"]
    with Image.open(folder / f"animation.{ending}") as exported:
        frames = [frame.copy() for frame in ImageSequence.Iterator(exported)]
        durations = [_duration(exported, number) for number in range(len(frames))]
    assert durations == DURATIONS_MS
    assert {frame.size for frame in frames} == {(96, 64)}
    assert len({frame.convert("RGBA").tobytes() for frame in frames}) == len(DURATIONS_MS)


def _duration(exported: Image.Image, number: int) -> int:
    """Return the duration of a frame in milliseconds."""
    exported.seek(number)
    exported.load()
    return int(exported.info["duration"])


NOT_INSTALLED = """
from gimp_cases import Scene, call, staged
with staged(Scene()) as (image, source):
    print("ERROR", call("deepdream", image, [source])[1])
"""


def test_without_an_installation_the_error_names_the_command(gimp: Gimp, tmp_path: Path) -> None:
    env = {**PYTHON_PATH, "ATELIER_HOME": str(tmp_path)}
    done = gimp.run_python(NOT_INSTALLED, env=env)
    sentence = f"Atelier's backend is not installed in {tmp_path}. Run 'python3 install.py' first."
    assert f"ERROR {sentence}\n" in done.stdout, done.stderr


def test_a_killed_filter_leaves_gimp_and_the_backend_working(
    gimp: Gimp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kill the plug-in, as GIMP's own Cancel button does."""
    monkeypatch.setenv("ATELIER_HOME", str(gimp.atelier_home))
    with started(gimp, DREAM_FOR_LONG) as running:
        plugin = filter_of(running)
        with launcher.connect() as client:
            eventually(lambda: is_at_work(client), "the dream in the backend", START_S)
        plugin.kill()
        _, errors = running.communicate(timeout=120)
    assert running.returncode == 0, errors.decode()


def test_a_filter_killed_between_frames_leaves_no_layer(gimp: Gimp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(gimp.atelier_home))
    with started(gimp, DREAM_FRAMES) as running:
        plugin = filter_of(running)
        with launcher.connect() as client:
            eventually(lambda: is_at_work(client), "the dream in the backend", START_S)
            for _ in range(2):  # each waits for a frame
                list(client.messages(client.submit(Identity(), PICTURE, WHOLE)))
        plugin.kill()
        _, errors = running.communicate(timeout=120)
    assert running.returncode == 0, errors.decode()


def test_killing_gimp_ends_the_filter_and_its_job(gimp: Gimp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(gimp.atelier_home))
    with started(gimp, DREAM_FOR_LONG) as running:
        plugin = filter_of(running)
        with launcher.connect() as client:
            eventually(lambda: is_at_work(client), "the dream in the backend", START_S)
        backend = launcher.read_connection()
        assert plugin.is_running()
        running.kill()

    eventually(lambda: not processes_of(gimp), "the end of GIMP and the filter", END_S)
    with launcher.connect() as client:
        eventually(lambda: not is_at_work(client), "the end of the long dream", END_S)
        *_, last = client.messages(client.submit(Identity(), PICTURE, WHOLE))
    assert isinstance(last, Result)
    assert last.picture == PICTURE
    assert launcher.read_connection() == backend, "the backend was restarted"


def processes_of(gimp: Gimp) -> list[psutil.Process]:
    """Return the processes of a GIMP and its plug-ins. The backend does not inherit the variable."""
    return processes_with("GIMP3_DIRECTORY", gimp.profile)
