"""Finding and starting the backend with real processes, and killing them during a job."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import echo_filter
import psutil
import pytest
from backend_jobs import assert_works, begin, echo_instead, make, stop_all_backends
from conftest import eventually, installed_in, processes_with

from atelier_shared import launcher
from atelier_shared.deepdream import DeepDream
from atelier_shared.errors import BackendSilent, BackendUnavailable, JobFailed
from atelier_shared.home import write_json_object
from atelier_shared.messages import Picture, Region
from backend.serving.published_connection import published

PICTURE = Picture(3, 2, "RGB", "u8", bytes(range(18)))
WHOLE = Region(0, 0, 3, 2)
PHOTO = Path(__file__).parents[2] / "samples" / "chelsea.jpg"
ENDLESS_ECHO = DeepDream(seed=echo_filter.ENDLESS)


@pytest.fixture
def home(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make an installation for one test. No process of it may be left at the end."""
    monkeypatch.setenv("ATELIER_HOME", str(installed_in(tmp_path, models)))
    yield tmp_path
    stop_all_backends(tmp_path)


@pytest.fixture
def echoing(home: Path) -> Path:
    """Return the same installation with a backend whose filter needs no PyTorch: seed 1 never ends."""
    echo_instead(home)
    return home


def processes_of(home: Path) -> list[psutil.Process]:
    """Return all processes of an installation."""
    return processes_with("ATELIER_HOME", home)


def backends_of(home: Path) -> list[int]:
    """Return the process ids of an installation's backends."""
    found = []
    for process in processes_of(home):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.cmdline()[1:] == ["-I", "-m", "backend"]:
                found.append(process.pid)
    return found


def backend_pid() -> int:
    connection = launcher.read_connection()
    assert connection
    return connection.pid


def worker_of(backend: int) -> psutil.Process:
    """Return the backend's worker process, and not multiprocessing's resource tracker."""
    return max(psutil.Process(backend).children(), key=lambda child: child.memory_info().rss)


# ── Starting ─────────────────────────────────────────────────────────────────────────────────────


def test_the_first_call_starts_a_backend_and_the_next_one_finds_it(home: Path) -> None:
    assert launcher.connect_if_running() is None
    assert_works()
    first = backend_pid()
    assert_works()
    assert backend_pid() == first
    assert (home / "connection.json").stat().st_mode & 0o777 == 0o600
    assert os.getsid(first) == first


def test_simultaneous_calls_start_one_backend(home: Path) -> None:
    call = "from atelier_shared import launcher as b; b.connect().close(); print(b.read_connection().pid)"
    calls = [subprocess.Popen([sys.executable, "-c", call], stdout=subprocess.PIPE) for _ in range(4)]
    pids = {process.communicate()[0] for process in calls}
    assert len(pids) == 1
    assert backend_pid() == int(pids.pop())
    eventually(lambda: backends_of(home) == [backend_pid()], "one backend is left")


def connection_json(**changes: object) -> str:
    """Return the content of a connection file with changed fields."""
    return json.dumps({"port": 1, "pid": 1, "key": "ab" * 32} | changes)


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", '{"port": 1}', "[" * 3000, " " * 5000 + connection_json(port=1)),
        *(
            connection_json(key="zz"),
            connection_json(port=0),
            connection_json(port="1"),
            connection_json(port=1e400),
            connection_json(pid=-1),
            connection_json(key=[1]),
        ),
    ],
    ids=[
        *("empty", "cut", "list", "part", "deep", "large"),
        *("bad-key", "no-port", "text", "infinite", "everybody", "no-key"),
    ],
)
def test_a_damaged_connection_file_counts_as_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path))
    (tmp_path / "connection.json").write_text(content)
    (tmp_path / "connection.json").chmod(0o600)
    assert launcher.read_connection() is None


def owned_by_another(file: Path) -> None:
    os.chown(file, 65534, 65534) if os.geteuid() == 0 else file.chmod(0o640)


def made_a_link(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


def made_a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


@pytest.mark.parametrize(
    "change",
    [
        *(lambda file: file.chmod(0o644), lambda file: file.chmod(0o602)),
        *(owned_by_another, made_a_link, made_a_pipe),
    ],
    ids=["readable", "writable", "owner", "link", "pipe"],
)
def test_a_connection_file_accessible_to_other_users_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path))
    launcher.write_connection(launcher.Connection(40_000, 1, "ab" * 32))
    assert launcher.read_connection() == launcher.Connection(40_000, 1, "ab" * 32)
    change(tmp_path / "connection.json")
    with pytest.raises(BackendUnavailable, match=r"connection\.json is not trusted.*Remove it"):
        launcher.connect()


def test_a_connection_file_that_cannot_be_opened_is_reported_with_the_system_s_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path))
    launcher.write_connection(launcher.Connection(40_000, 1, "ab" * 32))
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        with pytest.raises(BackendUnavailable, match=r"connection\.json \(Too many open files\)"):
            launcher.read_connection()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("echoing")
def test_a_stale_connection_file_is_ignored(home: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        launcher.write_connection(launcher.Connection(unused.getsockname()[1], 1, "ab" * 32))
        assert_works()


@pytest.mark.usefixtures("echoing")
def test_another_program_on_the_port_is_ignored(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        launcher.write_connection(launcher.Connection(squatter.getsockname()[1], 1, "ab" * 32))
        thread = threading.Thread(target=answer_in_http, args=(squatter,))
        thread.start()
        assert_works()
        thread.join()


def answer_in_http(server: socket.socket) -> None:
    peer, _ = server.accept()
    with peer, contextlib.suppress(OSError):  # the client may have closed the connection
        peer.sendall(b"HTTP/1.1 400 Bad Request\r\n" * 9)


@pytest.mark.usefixtures("echoing")
def test_an_idle_backend_exits_and_the_next_call_restarts_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_IDLE_MINUTES", "0.08")
    assert_works()
    eventually(lambda: not processes_of(home), "no process is left")
    assert not (home / "connection.json").exists()
    assert_works()


@pytest.mark.usefixtures("echoing")
def test_the_backend_s_environment_has_none_of_gimp_s_variables(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LD_PRELOAD", "PYTHONHOME", "GI_TYPELIB_PATH", "GIMP3_DIRECTORY"):
        monkeypatch.setenv(name, "/nowhere")
    assert_works()
    assert "/nowhere" not in psutil.Process(backend_pid()).environ().values()


def test_a_missing_installation_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path))
    with pytest.raises(BackendUnavailable, match=r"install\.py"):
        launcher.connect()


def test_a_backend_that_fails_to_start_is_reported(home: Path) -> None:
    (home / "venv").unlink()
    (home / "venv" / "bin").mkdir(parents=True)
    (home / "venv" / "bin" / "python").symlink_to("/bin/false")
    with pytest.raises(BackendUnavailable, match=r"atelier doctor"):
        launcher.connect()


def without_a_place_for_the_log(home: Path) -> str:
    (home / "backend.log").mkdir()
    return "backend.log"


def with_a_python_that_may_not_be_run(home: Path) -> str:
    (home / "venv").unlink()
    (home / "venv" / "bin").mkdir(parents=True)
    (home / "venv" / "bin" / "python").write_text("no program")
    return "python"


@pytest.mark.parametrize("prevent", [without_a_place_for_the_log, with_a_python_that_may_not_be_run])
def test_a_system_error_at_the_start_is_reported(home: Path, prevent: Callable[[Path], str]) -> None:
    sentence = rf"refused access to .*{prevent(home)} \(.*\)\. Make sure that you own {home}"
    with pytest.raises(BackendUnavailable, match=sentence):
        launcher.connect()


def test_inside_a_snap_the_user_is_asked_to_start_the_backend(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNAP_NAME", "gimp")
    with pytest.raises(BackendUnavailable, match="atelier serve"):
        launcher.connect()
    assert not processes_of(home)


def test_the_waiting_callback_can_abort_connecting(home: Path) -> None:
    def give_up() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        launcher.connect(waiting=give_up)
    eventually(lambda: (home / "connection.json").exists(), "the backend starts nevertheless")


# ── The home folder ──────────────────────────────────────────────────────────────────────────────


def test_no_module_is_imported_from_the_home_folder(home: Path) -> None:
    (home / "filelock.py").write_text("open('was-run', 'w').close()")
    assert_works()
    assert not (home / "was-run").exists()


def test_a_link_in_place_of_the_log_is_not_followed(
    home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    victim = tmp_path_factory.mktemp("others") / "thesis.txt"
    victim.write_text("ten years of work" * 100_000)
    (home / "backend.log").symlink_to(victim)
    with pytest.raises(BackendUnavailable, match=r"refused access to .*backend\.log"):
        launcher.connect()
    assert victim.read_text() == "ten years of work" * 100_000


def given_to_another(home: Path) -> None:
    os.chown(home, 65534, 65534) if os.geteuid() == 0 else home.chmod(0o777)


@pytest.mark.parametrize(
    "change",
    [lambda home: home.chmod(0o720), lambda home: home.chmod(0o702), given_to_another],
    ids=["group", "everybody", "owner"],
)
@pytest.mark.usefixtures("echoing")
def test_no_program_is_run_from_a_home_folder_that_others_can_change(
    home: Path, change: Callable[[Path], object]
) -> None:
    before = home.stat()
    change(home)
    with pytest.raises(BackendUnavailable, match=rf"{home} is not trusted.*'chmod go-w' on it"):
        launcher.connect()
    assert not (home / "backend.log").exists()
    serve = [sys.executable, "-m", "backend.command.cli", "serve"]
    done = subprocess.run(serve, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"{home} is not trusted" in done.stderr
    os.chown(home, before.st_uid, before.st_gid)
    home.chmod(before.st_mode)
    assert_works()


@pytest.mark.usefixtures("echoing")
def test_files_of_the_home_folder_are_for_its_user_alone(home: Path) -> None:
    """The notes and logs of earlier versions, which all could read, become private too."""
    files = [home / name for name in ("backend.lock", "backend.log", "connection.json", "slowness.json")]
    for file in files[:2]:
        file.touch(0o666)
        file.chmod(0o666)
    before = os.umask(0)
    try:
        assert_works()
        write_json_object(files[-1], {})
    finally:
        os.umask(before)
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


# ── Killing processes during a job ───────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("echoing")
def test_a_killed_worker_is_reported_and_the_next_job_runs(home: Path) -> None:
    with launcher.connect() as client:
        job = begin(client, ENDLESS_ECHO)
        worker_of(backend_pid()).kill()
        with pytest.raises(JobFailed) as failure:
            list(client.messages(job))
        assert failure.value.reason == "worker-died"
        assert make(client) == PICTURE


@pytest.mark.usefixtures("echoing")
def test_a_killed_backend_is_reported_leaves_no_process_and_the_next_call_works(home: Path) -> None:
    with launcher.connect() as client:
        job = begin(client, ENDLESS_ECHO)
        os.kill(backend_pid(), signal.SIGKILL)
        with pytest.raises(BackendSilent):
            list(client.messages(job))
    eventually(lambda: not processes_of(home), "no process is left")
    assert_works()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGQUIT", "SIGINT"])
@pytest.mark.usefixtures("echoing")
def test_a_terminated_backend_leaves_no_process_and_no_file(home: Path, name: str) -> None:
    with launcher.connect() as client:
        begin(client, ENDLESS_ECHO)
        os.kill(backend_pid(), getattr(signal, name))
        client.wait_until_gone()
    eventually(lambda: not processes_of(home), "no process is left")
    assert not (home / "connection.json").exists()


def test_a_backend_terminated_while_writing_its_connection_file_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal arrives just after the start of the thread for restoring the file."""
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path))
    started, start = list[threading.Thread](), threading.Thread.start

    def start_and_terminate(thread: threading.Thread) -> None:
        start(thread)
        started.append(thread)
        raise SystemExit

    monkeypatch.setattr(threading.Thread, "start", start_and_terminate)
    connection = launcher.Connection(40_000, os.getpid(), "ab" * 32)
    with pytest.raises(SystemExit), published(connection, lambda: None):
        pass
    assert [thread.is_alive() for thread in started] == [False]
    assert list(tmp_path.iterdir()) == []


def test_a_killed_client_loses_its_job_and_leaves_no_file(home: Path, tmp_path: Path) -> None:
    """The command line is killed while waiting. The next client does not wait for the 500 steps."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    dream = ["dream", str(PHOTO), "-o", str(folder / "out.png"), "--iterations", "500"]
    command = subprocess.Popen([sys.executable, "-m", "backend.command.cli", *dream], stderr=subprocess.PIPE)
    assert command.stderr
    seen = b""
    while b"/2000" not in seen:
        said = os.read(command.stderr.fileno(), 4096)
        assert said, f"the command ended before its first step: {seen.decode()}"
        seen += said
    command.kill()
    command.wait()
    command.stderr.close()
    assert_works()
    assert list(folder.iterdir()) == []
