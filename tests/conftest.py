"""Fixtures and helpers of several test modules: weights, an installation of Atelier, GIMP, processes.

Also the order of the tests: they are divided among processes by groups, a group for each file and each
version of GIMP, so that a file's fixtures exist once. `--quick` leaves out the tests marked as slow.
"""

from __future__ import annotations

import contextlib
import gc
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
from gimp_session import Gimp, make_profile
from run import CACHE as CACHE
from run import use_this_checkout
from xdist.scheduler import LoadScopeScheduling

from atelier_shared.client import BackendClient
from atelier_shared.errors import JobCancelled
from atelier_shared.home import KERNELS_FILE, replacing
from atelier_shared.messages import Picture, Queued, Region
from atelier_shared.requests import Identity

# Compile every test and module once, outside the checkout. Each test process would take seconds for it.
sys.pycache_prefix, sys.dont_write_bytecode = str(CACHE / "bytecode"), False

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

EVENTUALLY_S = 60.0
PICTURE, WHOLE = Picture(3, 2, "RGB", "u8", bytes(range(18))), Region(0, 0, 3, 2)


def prepared(name: str) -> Path:
    """Return a folder that tests/run.py has made in the cache."""
    if not (CACHE / name).exists():
        pytest.fail(f"There is no {CACHE / name}. 'python3 tests/run.py' prepares it.")
    return CACHE / name


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the real weights, in a home folder whose files only this test process changes.

    The results of comparing convolution kernels are kept in the cache for the next run.
    """
    home, kept = tmp_path_factory.mktemp("home"), CACHE / KERNELS_FILE
    (home / "models").symlink_to(prepared("models"))
    if kept.exists():
        shutil.copy(kept, home)
    yield home / "models"
    if (home / KERNELS_FILE).exists():
        with replacing(kept) as draft:
            shutil.copy(home / KERNELS_FILE, draft)


@pytest.fixture(scope="session")
def atelier_home(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An installation of Atelier, one per test process; its backend ends with the tests."""
    home = installed_in(tmp_path_factory.mktemp("atelier"), models)
    yield home
    stop_backend(home)


def installed_in(home: Path, models: Path) -> Path:
    """Make an empty folder an installation of Atelier that uses the tests' own environment."""
    (home / "venv").symlink_to(sys.prefix)
    (home / "models").symlink_to(models)
    if (models.parent / KERNELS_FILE).exists():  # otherwise the backend compares the kernels again
        shutil.copy(models.parent / KERNELS_FILE, home)
    return home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Path]:
    """Return an installation with one backend for all clients of a module; some modules have their own."""
    home = installed_in(tmp_path_factory.mktemp("home"), models)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ATELIER_HOME", str(home))
        yield home
        stop_backend(home)


def processes_with(variable: str, value: Path) -> list[psutil.Process]:
    """Return the other processes that have an environment variable of that value."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError):
            is_meant = process.environ().get(variable) == str(value) and process.pid != os.getpid()
            if is_meant and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def backends_of(home: Path) -> list[psutil.Process]:
    """Return the processes that were started for an installation, without their own children."""
    processes = processes_with("ATELIER_HOME", home)
    numbers = {process.pid for process in processes}
    found = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.ppid() not in numbers:
                found.append(process)
    return found


def stop_backend(home: Path) -> None:
    """End the backend of an installation, and another one that may just be starting."""
    for backend in backends_of(home):
        with contextlib.suppress(psutil.NoSuchProcess):  # it may have ended by itself
            backend.terminate()
    eventually(lambda: not processes_with("ATELIER_HOME", home), "no process of the installation is left")


def heed_interrupts() -> None:
    """A shell starts background jobs with SIGINT ignored, and programs inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def eventually(holds: Callable[[], bool], what: str, within_s: float = EVENTUALLY_S) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"Timed out after {within_s:.0f} s. Waited until {what}."
        time.sleep(0.05)


def is_at_work(client: BackendClient) -> bool:
    """Whether the backend works for another client, so that a small job of ours would have to wait."""
    return jobs_ahead(client) > 0


def jobs_ahead(client: BackendClient) -> int:
    """Return the number of jobs at work or waiting: the place of a small job, which is cancelled at once."""
    job = client.submit(Identity(), PICTURE, WHOLE)
    messages = client.messages(job)
    first = next(messages)
    client.cancel(job)
    with contextlib.suppress(JobCancelled):
        list(messages)
    return first.place if isinstance(first, Queued) else 0


@pytest.fixture(scope="session", params=["3.0", "3.2"])
def gimp_version(request: pytest.FixtureRequest) -> str:
    """Each version of GIMP, one after the other."""
    return str(request.param)


@pytest.fixture(scope="session")
def gimp(gimp_version: str, atelier_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Gimp:
    """A GIMP without windows, with the plug-in and few others."""
    gimp = _gimp(gimp_version, atelier_home, tmp_path_factory)
    make_profile(gimp, few_plugins=True)
    return gimp


def _gimp(version: str, home: Path, folders: pytest.TempPathFactory) -> Gimp:
    return Gimp(version, prepared(f"gimp-{version}"), folders.mktemp(f"gimp-{version}"), home)


# ── Groups, order and selection ──────────────────────────────────────────────────────────────────

SLOW_FIXTURES = (
    *({"atelier_home"}, {"gimp_version"}, {"home", "models"}),
    *({"pip_alone"}, {"package_folder"}, {"official"}),
)
"""Fixtures of tests with GIMP, with an installation whose backend starts, with pip, or with a checkpoint."""
LONGEST_FIRST = (
    *("test_install", "test_window", "test_in_gimp", "test_faults", "test_cli", "test_accelerator"),
    *("test_jobs", "test_previous_frame", "test_server", "test_fine_loss", "test_attack", "test_deepdream"),
    *("test_feature_networks", "test_packages", "test_fast", "test_remote", "test_launcher"),
    *("test_missing_backend", "test_preview", "test_event_loop_client"),
)
"""Files that take half a minute or more. If one of them began last, it would run alone in the end.

Files whose tests mostly wait, such as `test_server` and `test_attack`, alternate with files whose tests
compute, such as `test_jobs`. Otherwise all processes would wait at once.
"""
LEFT_OUT = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --quick."""
    parser.addoption("--quick", action="store_true", help="leave out the tests that are marked as slow")


def group_of(nodeid: str) -> str:
    """Return the name of a test's group: its file and its version of GIMP, which begins its parameters."""
    file, _, test = nodeid.partition("::")
    version = re.search(r"\[(3\.\d)\b", test)
    return f"{file} {version[1]}" if version else file


def pytest_configure() -> None:
    """Make the environment import this checkout, also in the backends that tests start; set up hypothesis."""
    use_this_checkout()
    import hypothesis  # here, because the worker processes of some tests import this file

    slow = [hypothesis.HealthCheck.too_slow]
    hypothesis.settings.register_profile("any machine", deadline=None, suppress_health_check=slow)
    hypothesis.settings.load_profile("any machine")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Give each process of pytest-xdist one group of tests after the other."""
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = group_of  # its mark xdist_group has no effect since pytest 9.2
    return scheduler


def pytest_collection() -> None:
    """Collect the tests without searching for garbage: nothing collected becomes garbage."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Search for garbage from now on, but not among the collected tests: it would take seconds each time."""
    gc.freeze()
    gc.enable()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark a test as slow if its folder or its fixtures show that."""
    fixtures = set(getattr(item, "fixturenames", ()))
    if item.path.parent.name == "serving" or any(slow <= fixtures for slow in SLOW_FIXTURES):
        item.add_marker("slow")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the slow tests on --quick, and put the longest files and their longest tests first."""
    if config.getoption("quick"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        items[:] = [item for item in items if not item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        if hasattr(config, "workeroutput"):
            config.workeroutput["left out"] = len(slow)
    groups = list(dict.fromkeys(group_of(item.nodeid) for item in items))

    def place(item: pytest.Item) -> tuple[int, int, bool]:
        name = item.path.stem
        rank = LONGEST_FIRST.index(name) if name in LONGEST_FIRST else len(LONGEST_FIRST)
        return rank, groups.index(group_of(item.nodeid)), not item.get_closest_marker("long")

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Keep the number of tests that a process of pytest-xdist has left out."""
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left out", 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the number of tests left out in other processes; pytest prints that of its own."""
    if left_out := config.stash.get(LEFT_OUT, 0):
        terminalreporter.line(f"--quick: {left_out} slow tests were deselected")


# ── Skipped tests ────────────────────────────────────────────────────────────────────────────────


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Count a skipped test, or one that was expected to fail, as failed."""
    report = yield
    return _must_run(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Count a skipped module as failed."""
    report = yield
    return _must_run(report)


def _must_run(report: Report) -> Report:
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = f"No test may be skipped, and this one was: {report.longrepr}"
    return report
