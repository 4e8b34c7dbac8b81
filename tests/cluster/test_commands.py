"""A cluster by its commands: a scheduler, two workers, and clients, with real processes and homes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from backend_jobs import assert_works
from conftest import eventually, installed_in, processes_with, stop_backend
from made_clips import frames
from numpy.typing import NDArray
from PIL import Image

from atelier_shared import launcher
from atelier_shared.home import SLOWNESS_FILE, WORKER_CERTIFICATE_FILE
from backend.command.clips import animated_pictures

STYLE = Path(__file__).parents[2] / "samples" / "starry_night.jpg"
LIGHT = ("--style", str(STYLE), "--method", "light", "--size", "64", "-q")
DREAM = ("--network", "squeezenet", "--iterations", "2", "--octaves", "1", "-q")
pytestmark = pytest.mark.slow


def atelier(home: Path, *words: str) -> list[str]:
    return ["env", f"ATELIER_HOME={home}", sys.executable, "-m", "backend.command.cli", *words]


def begin(home: Path, *words: str) -> subprocess.Popen[bytes]:
    """Start a command that goes on, with its messages in a file."""
    with (home / "messages.txt").open("wb") as messages:
        return subprocess.Popen(atelier(home, *words), stdout=messages, stderr=messages)


def messages(home: Path) -> str:
    return (home / "messages.txt").read_text()


def address_of(scheduler: Path) -> str:
    (address,) = re.findall(r"tls://\S+", messages(scheduler))
    return str(address)


def workers_of(scheduler: Path) -> list[Path]:
    return [*scheduler.parent.glob("one*"), *scheduler.parent.glob("two*")]


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Path]:
    """The home of a running scheduler with two workers."""
    homes = [installed_in(tmp_path_factory.mktemp(name), models) for name in ("scheduler", "one", "two")]
    made = subprocess.run(atelier(homes[0], "cluster", "new"), capture_output=True, text=True, check=True)
    assert str(homes[0] / WORKER_CERTIFICATE_FILE) in made.stdout
    processes = [begin(homes[0], "serve", "--scheduler", "tls://127.0.0.1:0")]
    eventually(lambda: "can connect to" in messages(homes[0]), "the scheduler listens")
    address = address_of(homes[0])
    for home in homes[1:]:
        shutil.copy(homes[0] / WORKER_CERTIFICATE_FILE, home)
        processes.append(begin(home, "worker", address))
    eventually(lambda: messages(homes[0]).count("joins") == 2, "two workers have joined")
    yield homes[0]
    for home in homes:
        stop_backend(home)
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert not any("Traceback" in messages(home) for home in homes)


@pytest.fixture
def here(scheduler: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ATELIER_HOME", str(scheduler))
    return scheduler


def test_clients_of_the_scheduler_s_machine_use_the_workers(here: Path) -> None:
    assert_works()
    connection = launcher.read_connection()
    assert connection and connection.is_scheduler


def test_a_second_backend_is_refused_in_words(here: Path) -> None:
    command = atelier(here, "serve", "--scheduler", "tls://127.0.0.1:0")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "atelier stop" in done.stderr


def test_a_worker_without_a_certificate_names_the_remedy(tmp_path: Path) -> None:
    command = atelier(tmp_path, "worker", "tls://127.0.0.1:1")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "atelier cluster new" in done.stderr


# ── The same pictures as on one computer ─────────────────────────────────────────────────────────


def make(home: Path, *words: str | Path) -> None:
    done = subprocess.run(atelier(home, *map(str, words)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def pixels(path: Path) -> NDArray[np.int64]:
    """Return the frames of an animated picture, (frames, height, width, channels)."""
    clip = animated_pictures.AnimatedPicture.open(path)
    return np.array([frame.canvas.file.pixels.values for frame in clip.frames()], np.int64)


def two_scenes(path: Path) -> Path:
    """Write a clip of three frames of one scene and two of another one."""
    first, second = frames(3), [image.transpose(Image.Transpose.ROTATE_180) for image in frames(2)]
    images = [*first, *(Image.eval(image, lambda value: 255 - value) for image in second)]
    images[0].save(path, format="PNG", save_all=True, append_images=images[1:], duration=100)
    return path


def test_a_batch_is_made_as_on_one_computer(scheduler: Path, home: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number, image in enumerate(frames(5)):
        image.save(tmp_path / "in" / f"{number}.png")
    (tmp_path / "in" / "5.png").write_bytes(b"no picture")
    for name, place in {"alone": home, "together": scheduler}.items():
        command = atelier(place, "style", str(tmp_path / "in"), *LIGHT, "-o", f"{tmp_path / name}/")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1 and "5.png" in done.stderr
    made = {path.name: path.read_bytes() for path in (tmp_path / "alone").iterdir()}
    assert len(made) == 5
    assert made == {path.name: path.read_bytes() for path in (tmp_path / "together").iterdir()}
    assert all((worker / SLOWNESS_FILE).exists() for worker in workers_of(scheduler))  # both have worked
    assert not (scheduler / SLOWNESS_FILE).exists()


def test_frames_of_a_single_pass_are_those_of_one_computer(
    scheduler: Path, home: Path, tmp_path: Path
) -> None:
    """The workers' paintings are rounded to 8 bits before the blend, so a value may differ by some levels."""
    clip = two_scenes(tmp_path / "in.apng")
    for name, place in {"alone": home, "together": scheduler}.items():
        make(place, "style", clip, *LIGHT, "--coherence", "1", "-o", tmp_path / f"{name}.apng")
    alone, together = (pixels(tmp_path / f"{name}.apng") for name in ("alone", "together"))
    assert np.abs(alone - together).max() <= 4 and np.abs(alone - together).mean() < 0.5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone.apng", "in.apng", "together.apng"]


def test_shots_are_those_of_one_computer(scheduler: Path, home: Path, tmp_path: Path) -> None:
    clip = two_scenes(tmp_path / "in.apng")
    for name, place in {"alone": home, "together": scheduler}.items():
        make(place, "dream", clip, *DREAM, "--coherence", "1", "-o", tmp_path / f"{name}.apng")
    assert (pixels(tmp_path / "alone.apng") == pixels(tmp_path / "together.apng")).all()


def test_a_worker_killed_during_an_animation_loses_no_frame(
    scheduler: Path, home: Path, tmp_path: Path, models: Path
) -> None:
    clip, third = tmp_path / "in.apng", tmp_path / "third"
    third.mkdir(mode=0o700)
    installed_in(third, models)
    images = frames(12)
    images[0].save(clip, format="PNG", save_all=True, append_images=images[1:], duration=100)
    settings = (*DREAM, "--coherence", "0", "--iterations", "12")
    make(home, "dream", clip, *settings, "-o", tmp_path / "alone.apng")

    shutil.copy(scheduler / WORKER_CERTIFICATE_FILE, third)
    worker = begin(third, "worker", address_of(scheduler))
    eventually(lambda: messages(scheduler).count("joins") == 3, "the third worker has joined")
    out = tmp_path / "out.apng"
    process = subprocess.Popen(atelier(scheduler, "dream", str(clip), *settings, "-o", str(out)))
    eventually(lambda: (tmp_path / "out.apng.frames" / "000002.png").exists(), "two frames are written")
    for each in processes_with("ATELIER_HOME", third):
        each.kill()
    worker.wait()
    assert process.wait() == 0
    assert messages(scheduler).count("leaves") == 1
    assert (pixels(tmp_path / "alone.apng") == pixels(out)).all()
