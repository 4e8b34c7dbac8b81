"""What several test modules share: the models, an installation of Atelier, GIMP. Nothing may be skipped."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TypeVar

import hypothesis
import psutil
import pytest
from gimp_session import Gimp, make_profile

from atelier_shared import launcher
from atelier_shared.client import BackendClient
from atelier_shared.errors import JobCancelled
from atelier_shared.messages import Picture, Queued, Region
from atelier_shared.requests import Identity

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

STOP_S = EVENTUALLY_S = 60.0
PICTURE, WHOLE = Picture(3, 2, "RGB", "u8", bytes(range(18))), Region(0, 0, 3, 2)

hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")


def prepared(variable: str) -> Path:
    """A folder that tests/run.py has made."""
    if variable not in os.environ:
        pytest.fail(f"{variable} is not set: 'python3 tests/run.py' prepares what the tests need.")
    return Path(os.environ[variable])


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder of the real weights."""
    return prepared("ATELIER_TEST_MODELS")


@pytest.fixture(scope="session")
def atelier_home(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An installation of Atelier made of the tests' own environment; its backend ends with the tests."""
    home = installed_in(tmp_path_factory.mktemp("atelier"), models)
    yield home
    stop_backend(home)


def installed_in(home: Path, models: Path) -> Path:
    """An empty folder made an installation of Atelier, of the tests' own environment."""
    (home / "venv").symlink_to(sys.prefix)
    (home / "models").symlink_to(models)
    return home


def processes_with(variable: str, value: Path) -> list[psutil.Process]:
    """The processes, but this one, that have an environment variable of that value."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError):
            is_meant = process.environ().get(variable) == str(value) and process.pid != os.getpid()
            if is_meant and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def eventually(holds: Callable[[], bool], what: str, within_s: float = EVENTUALLY_S) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"It was waited {within_s:.0f} s in vain that {what}."
        time.sleep(0.05)


def stop_backend(home: Path) -> None:
    """End the backend that runs for an installation, if one does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATELIER_HOME", str(home))
        connection = launcher.read_connection()
    if connection:
        with contextlib.suppress(psutil.NoSuchProcess):  # it may have ended by itself
            backend = psutil.Process(connection.pid)
            backend.terminate()
            backend.wait(STOP_S)


def is_at_work(client: BackendClient) -> bool:
    """Whether the backend works for another client: a small job of ours would have to wait."""
    return jobs_ahead(client) > 0


def jobs_ahead(client: BackendClient) -> int:
    """How many jobs are at work or wait, as a small one of ours is told, which is cancelled at once."""
    job = client.submit(Identity(), PICTURE, WHOLE)
    messages = client.messages(job)
    first = next(messages)
    client.cancel(job)
    with contextlib.suppress(JobCancelled):
        list(messages)
    return first.place if isinstance(first, Queued) else 0


@pytest.fixture(scope="session", params=["3.0", "3.2"])
def gimp_version(request: pytest.FixtureRequest) -> str:
    """Each version of GIMP in its turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def gimp(gimp_version: str, atelier_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Gimp:
    """GIMP without windows, with the plug-in and few others."""
    gimp = _gimp(gimp_version, atelier_home, tmp_path_factory)
    make_profile(gimp, few_plugins=True)
    return gimp


def _gimp(version: str, home: Path, folders: pytest.TempPathFactory) -> Gimp:
    folder = prepared("ATELIER_TEST_CACHE") / f"gimp-{version}"
    return Gimp(version, folder, folders.mktemp(f"gimp-{version}"), home)


# ── A test that did not run is a test that failed ────────────────────────────────────────────────


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Take a skipped or an expected failure for a failure."""
    report = yield
    return _must_run(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Take a skipped module for a failure."""
    report = yield
    return _must_run(report)


def _must_run(report: Report) -> Report:
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = f"Nothing is skipped here, but this was: {report.longrepr}"
    return report
