"""A cluster by its commands: a scheduler, two workers, and clients, with real processes and homes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from backend_jobs import assert_works
from conftest import eventually, installed_in, stop_backend

from atelier_shared import launcher
from atelier_shared.home import WORKER_CERTIFICATE_FILE

pytestmark = pytest.mark.slow


def atelier(home: Path, *words: str) -> list[str]:
    return ["env", f"ATELIER_HOME={home}", sys.executable, "-m", "backend.command.cli", *words]


def begin(home: Path, *words: str) -> subprocess.Popen[bytes]:
    """Start a command that goes on, with its messages in a file."""
    with (home / "messages.txt").open("wb") as messages:
        return subprocess.Popen(atelier(home, *words), stdout=messages, stderr=messages)


def messages(home: Path) -> str:
    return (home / "messages.txt").read_text()


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Path]:
    """The home of a running scheduler with two workers."""
    homes = [installed_in(tmp_path_factory.mktemp(name), models) for name in ("scheduler", "one", "two")]
    made = subprocess.run(atelier(homes[0], "cluster", "new"), capture_output=True, text=True, check=True)
    assert str(homes[0] / WORKER_CERTIFICATE_FILE) in made.stdout
    processes = [begin(homes[0], "serve", "--scheduler", "tls://127.0.0.1:0")]
    eventually(lambda: "can connect to" in messages(homes[0]), "the scheduler listens")
    (address,) = re.findall(r"tls://\S+", messages(homes[0]))
    for home in homes[1:]:
        shutil.copy(homes[0] / WORKER_CERTIFICATE_FILE, home)
        processes.append(begin(home, "worker", address))
    eventually(lambda: messages(homes[0]).count("joins") == 2, "two workers have joined")
    yield homes[0]
    for home in homes:
        stop_backend(home)
    assert [process.wait() for process in processes] == [0, 0, 0]


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
