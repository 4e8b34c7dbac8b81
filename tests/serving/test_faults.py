"""Real faults: processes are killed, suspended, cut off, or run out of memory.

docs/faults.md lists these and the faults in other test modules. After each the user has a sentence,
the next job works, and no process is left.
"""

from __future__ import annotations

import ast
import concurrent.futures
import contextlib
import os
import resource
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import echo_filter
import psutil
import pytest
from backend_jobs import assert_works, begin, echo_instead, make, run_instead, stop_all_backends
from conftest import (
    PICTURE,
    WHOLE,
    eventually,
    installed_in,
    is_at_work,
    jobs_ahead,
    prepared,
    processes_with,
)
from gimp_session import Gimp, filter_of, make_profile, started
from PIL import Image

from atelier_shared import client as client_module
from atelier_shared import launcher
from atelier_shared.client import BackendClient
from atelier_shared.deepdream import DeepDream
from atelier_shared.errors import AtelierError, BackendSilent, JobFailed
from atelier_shared.messages import Picture, Region, Result
from atelier_shared.requests import Identity
from backend.command import cli
from backend.command.picture_files import Canvas, PictureFileError

CHECKOUT = Path(__file__).parents[2]
PHOTO, STYLE = CHECKOUT / "samples" / "chelsea.jpg", CHECKOUT / "samples" / "starry_night.jpg"
LARGE, ALL_OF_IT = Picture(6000, 4000, "RGB", "u8", bytes(72_000_000)), Region(0, 0, 6000, 4000)
ENDLESS = DeepDream(iterations=500, octaves=4, size=64)
ENDLESS_ECHO = DeepDream(seed=echo_filter.ENDLESS)
HANG_S = 8
"""The time-out for a message in the tests of it, instead of up to a minute."""
START_S, END_S = 120.0, 60.0
"""Time-outs for GIMP to start a filter, and for the backend to drop the job of an ended filter."""

IMPATIENT = f"""
import sys
import backend.__main__ as backend
from backend.serving import worker
worker.HANG_S = {HANG_S}
sys.exit(backend.main([]))
"""
ECHO = "import echo_filter\nbackend.load_filters = echo_filter.load_instead\n"
IMPATIENT_ECHO = IMPATIENT.replace("sys.exit", f"{ECHO}sys.exit")


@pytest.fixture
def home(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make an installation for one test. No process of it may be left at the end."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("ATELIER_HOME", str(installed_in(home, models)))
    yield home
    stop_all_backends(home)


@pytest.fixture
def echoing(home: Path) -> Path:
    """Return the same installation with a backend whose filter needs no PyTorch: seed 1 never ends."""
    echo_instead(home)
    return home


def backend() -> psutil.Process:
    connection = launcher.read_connection()
    assert connection
    return psutil.Process(connection.pid)


def worker() -> psutil.Process:
    """Return the backend's worker process, which may be starting."""
    eventually(lambda: bool(workers()), "the backend has a worker")
    (found,) = workers()
    return found


def workers() -> list[psutil.Process]:
    """Return the backend's worker processes, without multiprocessing's resource tracker."""
    found = []
    for child in backend().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
    return found


def assert_nothing_runs(home: Path) -> None:
    eventually(lambda: not processes_with("ATELIER_HOME", home), "no process is left")


# ── The backend is killed ────────────────────────────────────────────────────────────────────────


def while_its_worker_starts(client: BackendClient) -> int:
    worker().suspend()
    job = client.submit(Identity(), PICTURE, WHOLE)
    next(client.messages(job))
    return job


def while_the_job_waits(client: BackendClient) -> int:
    client.submit(ENDLESS_ECHO, PICTURE, WHOLE)
    job = client.submit(Identity(), PICTURE, WHOLE)
    assert next(client.messages(job)).type == "queued"
    return job


def while_it_sends_the_result(client: BackendClient) -> int:
    """Wait until part of the result has arrived: no other message here needs several reads."""
    job = client.submit(Identity(), LARGE, ALL_OF_IT)
    parts = 0
    while parts < 10:
        select.select([client], [], [])
        parts = 0 if client.read() else parts + 1
    return job


def while_the_job_runs(client: BackendClient) -> int:
    return begin(client, ENDLESS_ECHO)


@pytest.mark.parametrize(
    "reach_stage",
    [while_its_worker_starts, while_the_job_waits, while_the_job_runs, while_it_sends_the_result],
)
@pytest.mark.usefixtures("echoing")
def test_a_killed_backend_is_reported_at_every_stage_of_a_job(
    home: Path, reach_stage: Callable[[BackendClient], int]
) -> None:
    with launcher.connect() as client:
        job, suspended = reach_stage(client), worker()
        backend().kill()
        with contextlib.suppress(psutil.NoSuchProcess):  # it may have ended together with the backend
            suspended.resume()
        with pytest.raises(BackendSilent, match=r"stopped before .* finished\. Run the filter again"):
            list(client.messages(job))
    assert_nothing_runs(home)
    assert_works()


@pytest.mark.usefixtures("echoing")
def test_a_backend_killed_while_receiving_a_job_is_reported(home: Path) -> None:
    with launcher.connect() as client, concurrent.futures.ThreadPoolExecutor() as pool:
        backend().suspend()
        sending = pool.submit(client.submit, Identity(), LARGE, ALL_OF_IT)
        eventually(sending.running, "the job is being sent")
        backend().kill()
        with pytest.raises(BackendSilent, match="stopped before the picture was finished"):
            sending.result()
    assert_nothing_runs(home)
    assert_works()


@pytest.mark.usefixtures("echoing")
def test_a_command_whose_backend_is_killed_reports_it_and_leaves_no_file(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "pictures" / "out.png"
    out.parent.mkdir()
    with atelier("dream", PHOTO, "-o", out, "--seed", str(echo_filter.ENDLESS)) as command:
        with launcher.connect() as client:
            eventually(lambda: is_at_work(client), "the job is running")
        backend().kill()
        _, said = command.communicate(timeout=60)
    assert command.returncode == 1
    assert said.decode().splitlines()[-1].endswith("Run the filter again; this restarts the backend.")
    assert list(out.parent.iterdir()) == []
    assert_works()


def atelier(*words: str | Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "backend.command.cli", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


# ── The worker is killed, hangs, or has no memory ────────────────────────────────────────────────


@pytest.mark.parametrize("jobs_before", [0, 1], ids=["while it starts", "while it waits"])
@pytest.mark.usefixtures("echoing")
def test_a_worker_killed_before_its_job_starts_is_replaced(home: Path, jobs_before: int) -> None:
    with launcher.connect() as client:
        for _ in range(jobs_before):
            assert make(client) == PICTURE
        job, killed = while_its_worker_starts(client), worker()
        killed.kill()
        *_, last = client.messages(job)
        assert isinstance(last, Result)
        assert worker() != killed


@pytest.mark.usefixtures("echoing")
def test_a_second_worker_killed_before_the_job_starts_fails_the_job(home: Path) -> None:
    with launcher.connect() as client, concurrent.futures.ThreadPoolExecutor() as pool:
        job, stopped = while_its_worker_starts(client), threading.Event()
        killed = pool.submit(kill_workers_until, stopped)
        with pytest.raises(JobFailed, match="Choose a smaller working size or close") as failure:
            try:
                list(client.messages(job))
            finally:
                stopped.set()
        assert failure.value.reason == "worker-died"
        assert len(killed.result()) in (2, 3)  # the first may have died before the job and not count
        assert make(client) == PICTURE


def kill_workers_until(stopped: threading.Event) -> set[psutil.Process]:
    """Kill every worker process as soon as it appears, and return them all."""
    killed: set[psutil.Process] = set()
    while not stopped.wait(0.01):
        for found in set(workers()) - killed:
            found.kill()
            killed.add(found)
    return killed


@pytest.mark.usefixtures("echoing")
def test_a_worker_killed_between_jobs_is_replaced(home: Path) -> None:
    with launcher.connect() as client:
        assert make(client) == PICTURE
        killed = worker()
        killed.kill()
        eventually(lambda: killed.status() == psutil.STATUS_ZOMBIE, "the worker has ended")
        threads = Path(f"/proc/{killed.pid}/task")
        eventually(lambda: len(list(threads.iterdir())) == 1, "the worker's threads have ended")
        assert make(client) == PICTURE


def test_a_worker_that_hangs_during_a_job_is_reported_and_replaced(home: Path) -> None:
    run_instead(home, "-c", IMPATIENT_ECHO, PYTHONPATH=str(Path(echo_filter.__file__).parent))
    with launcher.connect() as client:
        job, hung = begin(client, ENDLESS_ECHO), worker()
        hung.suspend()
        with pytest.raises(JobFailed, match=f"did not respond for {HANG_S} seconds") as failure:
            list(client.messages(job))
        assert failure.value.reason == "worker-hung"
        assert not hung.is_running()
        assert make(client) == PICTURE


@pytest.mark.parametrize("megabytes", [10, 150], ids=["to take the picture", "to compute"])
def test_a_worker_without_memory_is_reported_and_the_next_job_works(home: Path, megabytes: int) -> None:
    """The process is limited to its present memory and a little more."""
    with launcher.connect() as client:
        assert make(client) == PICTURE
        starved = worker()
        limit = starved.memory_info().vms + megabytes * 1_000_000
        resource.prlimit(starved.pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        with pytest.raises(JobFailed, match="not enough memory for this picture") as failure:
            list(client.messages(client.submit(DeepDream(size=4096, octaves=1), LARGE, ALL_OF_IT)))
        assert failure.value.reason == "out-of-memory"
        if starved.is_running():
            resource.prlimit(starved.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
        assert make(client) == PICTURE


@pytest.mark.usefixtures("echoing")
def test_a_worker_that_cannot_be_started_is_reported_and_the_next_job_works(home: Path) -> None:
    """The worker is killed, as if memory had run out, and the server may not open another file."""
    with launcher.connect() as client:
        assert make(client) == PICTURE
        killed, server = worker(), backend()
        killed.kill()
        eventually(lambda: killed.status() == psutil.STATUS_ZOMBIE, "the worker has ended")
        before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (5, before[1]))
        with pytest.raises(JobFailed, match=r"could not start the computation \(Too many open files\)"):
            make(client)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)
        assert make(client) == PICTURE


@pytest.mark.parametrize("megabytes", [20, 100, 170], ids=["to receive", "to join", "for threads"])
@pytest.mark.usefixtures("echoing")
def test_a_server_without_memory_for_a_picture_says_so_and_lives(home: Path, megabytes: int) -> None:
    """The process is limited to its present memory and a little more. The last limit may just suffice."""
    with launcher.connect() as client:
        assert make(client) == PICTURE
        server = backend()
        limit = server.memory_info().vms + megabytes * 1_000_000
        resource.prlimit(server.pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        outcome = ""
        try:
            assert make(client, LARGE, ALL_OF_IT) == LARGE
        except AtelierError as error:
            outcome = str(error)
    assert "memory" in outcome or (megabytes == 170 and not outcome)
    resource.prlimit(server.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
    assert_works()
    assert backend() == server


# ── The network ──────────────────────────────────────────────────────────────────────────────────

WITHOUT_NETWORK = """
import sys
from backend.__main__ import main
sys.exit(main([]))
"""
WITHOUT_PORTS = """
import fcntl, socket, struct, sys
from backend.__main__ import main
with socket.socket() as any_socket:  # SIOCSIFFLAGS: the loopback is up
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh22x", b"lo", 0x41))
with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as ports:
    ports.write("40000 40001")
taken = [socket.create_server(("127.0.0.1", port)) for port in (40000, 40001)]
sys.exit(main([]))
"""


@pytest.mark.parametrize("code", [WITHOUT_NETWORK, WITHOUT_PORTS], ids=["no loopback", "no free port"])
def test_the_log_names_the_cause_of_a_backend_without_a_port(home: Path, code: str) -> None:
    """The backend runs in a network of its own."""
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    alone = ["unshare", "--net", *as_root, sys.executable, "-c", code]
    done = subprocess.run(alone, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "No port of 127.0.0.1 can be used (" in done.stderr
    assert "Traceback" not in done.stderr
    assert_nothing_runs(home)


# ── Suspension, and changes of the clock ─────────────────────────────────────────────────────────


@pytest.mark.usefixtures("echoing")
def test_a_suspended_backend_is_reported_and_can_be_stopped(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with launcher.connect() as client:
        job = begin(client, ENDLESS_ECHO)
        monkeypatch.setattr(client_module, "SILENCE_S", 2.0)
        backend().suspend()
        with pytest.raises(BackendSilent, match=r"not responded for 2 seconds\. Stop it with 'atelier stop'"):
            list(client.messages(job))
    assert cli.main(["stop"]) == 0
    assert capsys.readouterr().out == "The backend has stopped.\n"
    assert_nothing_runs(home)
    assert_works()


WAITING_CLIENT = f"""
from atelier_shared import client as client_module, launcher
client_module.SILENCE_S = {HANG_S}
from atelier_shared.deepdream import DeepDream
from atelier_shared.messages import Picture, Region
with launcher.connect() as client:
    picture = Picture(64, 64, "RGB", "u8", bytes(12288))
    request = DeepDream(network="squeezenet", iterations=150, octaves=1, size=256)
    for message in client.messages(client.submit(request, picture, Region(0, 0, 64, 64))):
        print(message.type, flush=True)
"""


def test_a_job_continues_after_the_computer_was_suspended(home: Path) -> None:
    """All processes are suspended for longer than either side's time-out."""
    run_instead(home, "-c", IMPATIENT)
    with subprocess.Popen([sys.executable, "-c", WAITING_CLIENT], stdout=subprocess.PIPE) as client:
        assert client.stdout
        while client.stdout.readline() != b"progress\n":
            assert client.poll() is None
        everything = [psutil.Process(client.pid), backend(), worker()]
        for process in everything:
            process.suspend()
        time.sleep(HANG_S + 2)
        for process in everything:
            process.resume()
        assert client.stdout.read().splitlines()[-1] == b"result"
    assert client.returncode == 0
    assert [backend(), worker()] == everything[1:]
    assert_works()


BACK_AND_FORTH = """
import itertools, time
real, jumps = time.time_ns, itertools.cycle((604_800, -604_800))
time.time_ns = lambda: real() + next(jumps) * 10**9
time.time = lambda: time.time_ns() / 1e9
"""


def test_a_jumping_clock_has_no_effect(home: Path, tmp_path: Path) -> None:
    """Each reading of the clock jumps by a week, alternately forwards and backwards."""
    (tmp_path / "sitecustomize.py").write_text(BACK_AND_FORTH)
    run_instead(home, "-m", "backend", PYTHONPATH=f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    with launcher.connect() as client:
        log = (home / "backend.log").read_text(encoding="utf-8")
        job = begin(client, ENDLESS)
        client.finish_early(job)
        *_, last = client.messages(job)
        assert isinstance(last, Result)
        assert make(client) == PICTURE
    assert log and time.strftime("%Y-%m-%d") not in log, "the clock did not jump"


@pytest.mark.parametrize("folder", ["backend", "plugin/atelier"])
def test_no_code_uses_a_clock_that_can_be_set(folder: str) -> None:
    for file in (CHECKOUT / folder).rglob("*.py"):
        names = {ast.unparse(node) for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))}
        assert not names & {"time.time", "time.time_ns", "datetime", "from time import time"}, file


# ── The connection file ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: os.truncate(file, 20)], ids=["lost", "cut"])
@pytest.mark.usefixtures("echoing")
def test_a_running_backend_restores_its_connection_file(home: Path, damage: Callable[[Path], None]) -> None:
    assert_works()
    before = backend()
    damage(home / "connection.json")
    assert_works()
    assert backend() == before
    assert sorted(path.name for path in home.glob("connection*")) == ["connection.json"]


@pytest.mark.usefixtures("echoing")
def test_a_connection_file_lost_while_the_disk_is_full_is_restored_once_there_is_room(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The backend's files are limited to ten bytes, so that it cannot write, as on a full disk."""
    assert_works()
    before = backend()
    resource.prlimit(before.pid, resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
    os.truncate(home / "connection.json", 0)
    assert cli.main(["stop"]) == 1
    assert "A backend is running, but it cannot write" in capsys.readouterr().err
    resource.prlimit(before.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    assert_works()
    assert backend() == before
    assert cli.main(["stop"]) == 0
    eventually(lambda: not before.is_running(), "the backend has ended")


# ── The home folder ──────────────────────────────────────────────────────────────────────────────


def replace_home(home: Path, models: Path) -> None:
    home.rename(home.with_name("earlier"))
    home.mkdir(mode=0o700)
    installed_in(home, models)


def replace_lock(home: Path, _: Path) -> None:
    (home / "backend.lock").unlink()


@pytest.mark.parametrize("replace", [replace_home, replace_lock])
@pytest.mark.usefixtures("echoing")
def test_a_backend_ends_when_its_home_or_lock_is_replaced(
    home: Path, models: Path, replace: Callable[[Path, Path], None]
) -> None:
    assert_works()
    before, its_worker = backend(), worker()
    replace(home, models)
    eventually(lambda: not before.is_running() and not its_worker.is_running(), "the backend has ended")
    assert launcher.read_connection() is None, "it has left no address in the new home"
    assert_works()
    assert backend() != before


def test_a_full_disk_leaves_no_partial_connection_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            launcher.write_connection(launcher.Connection(1, 1, "ab" * 32))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


# ── The client is killed, or is one of several ───────────────────────────────────────────────────

LARGE_CLIENT = """
from atelier_shared import launcher
from atelier_shared.messages import Picture, Region
from atelier_shared.requests import Identity
with launcher.connect() as client:
    print("ready", flush=True)
    input()
    picture = Picture(6000, 4000, "RGB", "u8", bytes(72_000_000))
    client.submit(Identity(), picture, Region(0, 0, 6000, 4000))
    print("sent", flush=True)
    input()
"""


@pytest.mark.parametrize("taken", [False, True], ids=["while it sends", "while its result is sent"])
@pytest.mark.usefixtures("echoing")
def test_a_client_killed_during_a_transfer_is_forgotten(home: Path, taken: bool) -> None:
    assert_works()
    before = backend()
    with subprocess.Popen([sys.executable, "-c", LARGE_CLIENT], stdin=-1, stdout=-1) as client:
        assert client.stdin and client.stdout
        assert client.stdout.readline() == b"ready\n"
        if not taken:
            before.suspend()
        client.stdin.write(b"\n")
        client.stdin.flush()
        if taken:
            assert client.stdout.readline() == b"sent\n"
            with launcher.connect() as other:
                assert make(other) == PICTURE  # so the large job is done, and its result is unread
        client.kill()
        client.wait()
        before.resume()
        client.stdin.close()
    assert_works()
    assert backend() == before


def quit_gimp(gimp: Gimp, _running: subprocess.Popen[bytes]) -> int:
    os.close(wait_at_fifo(gimp))
    return 0


def end_by_the_system(_gimp: Gimp, running: subprocess.Popen[bytes]) -> int:
    running.terminate()
    return 1


@pytest.mark.parametrize("end", [quit_gimp, end_by_the_system])
@pytest.mark.usefixtures("echoing")
def test_when_gimp_ends_during_a_job_the_filter_and_its_job_end(
    gimp_version: str, home: Path, tmp_path: Path, end: Callable[[Gimp, subprocess.Popen[bytes]], int]
) -> None:
    """The backend goes on. GIMP ends with the exit status returned by `end`."""
    gimp = new_gimp(gimp_version, home, tmp_path)
    assert_works()
    with started_at_fifo(gimp, "dream_for_long_until_gimp_quits") as running:
        asking = filter_of(running)
        with launcher.connect() as client:
            eventually(lambda: is_at_work(client), "the filter's job is running", START_S)
            before = [backend(), worker()]
            assert asking.is_running()
            status = end(gimp, running)
            eventually(lambda: not is_at_work(client), "the backend has dropped the job", END_S)
        _, said = running.communicate(timeout=END_S)
        assert running.returncode == status, said.decode()
        eventually(
            lambda: not processes_with("GIMP3_DIRECTORY", gimp.profile), "all processes of GIMP have ended"
        )
    assert [backend(), worker()] == before
    assert_works()


def test_two_gimps_and_a_command_started_at_once_share_one_backend(home: Path, tmp_path: Path) -> None:
    """No backend is running before."""
    out = tmp_path / "out.png"
    style = ("style", PHOTO, "--style", STYLE, "-o", out, "--method", "fast", "--size", "64")
    older, newer = new_gimp("3.0", home, tmp_path), new_gimp("3.2", home, tmp_path)
    with started_at_fifo(older, "dream_when_told") as one, started_at_fifo(newer, "dream_when_told") as other:
        waiting = [wait_at_fifo(older), wait_at_fifo(newer)]
        with atelier(*style) as command:
            for each in waiting:
                os.close(each)
            eventually(lambda: launcher.read_connection() is not None, "one of them starts a backend")
            before = [backend(), worker()]
            suspend_worker_until_jobs_wait(3)
            for process in (one, other, command):
                _, said = process.communicate(timeout=120)
                assert process.returncode == 0, said.decode()
    with Image.open(out) as painted, Image.open(PHOTO) as photo:
        assert painted.size == photo.size and painted.tobytes() != photo.tobytes()
    assert [backend(), worker()] == before
    assert_works()


def new_gimp(version: str, home: Path, folder: Path) -> Gimp:
    """Make a GIMP with a profile for one test."""
    gimp = Gimp(version, prepared(f"gimp-{version}"), folder / version, home)
    make_profile(gimp, few_plugins=True)
    return gimp


def started_at_fifo(gimp: Gimp, name: str) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    """Start a GIMP with a function of `gimp_cases` that blocks on a FIFO until the test continues it."""
    os.mkfifo(gimp.user / "waiting")
    code = f"import gimp_cases; gimp_cases.{name}()"
    return started(gimp, code, {"WAIT_AT": str(gimp.user / "waiting")})


def wait_at_fifo(gimp: Gimp) -> int:
    """Wait until GIMP blocks on its FIFO. Closing the descriptor returned continues it."""
    opened: list[int] = []

    def can_open() -> bool:
        with contextlib.suppress(OSError):  # GIMP has not opened the other end yet
            opened.append(os.open(gimp.user / "waiting", os.O_WRONLY | os.O_NONBLOCK))
        return bool(opened)

    eventually(can_open, "GIMP blocks on its FIFO", START_S)
    return opened[0]


def suspend_worker_until_jobs_wait(count: int) -> None:
    """Suspend the worker until `count` jobs of other clients are waiting."""
    suspended_worker = worker()
    suspended_worker.suspend()
    with launcher.connect() as client:
        job = client.submit(Identity(), PICTURE, WHOLE)
        try:
            eventually(
                lambda: jobs_ahead(client) == count + 1, f"{count} jobs of others are waiting", START_S
            )
        finally:
            suspended_worker.resume()
        *_, last = client.messages(job)
        assert isinstance(last, Result)


# ── A style file that changes during reading ─────────────────────────────────────────────────────


def test_a_picture_changed_during_reading_is_read_whole_or_refused(tmp_path: Path) -> None:
    """The file is overwritten in place, slowly, and read again and again until both have happened."""
    file, done = tmp_path / "style.png", threading.Event()
    Image.effect_noise((256, 256), 100).save(file)
    whole = file.read_bytes()

    def overwrite_repeatedly() -> None:
        while not done.is_set():
            with file.open("wb") as style:
                for start in range(0, len(whole), 4096):
                    style.write(whole[start : start + 4096])
                    style.flush()
            done.wait(0.05)  # so that a slow machine can read it whole

    writing = threading.Thread(target=overwrite_repeatedly)
    writing.start()
    outcomes: set[bytes | None] = set()
    try:
        deadline = time.monotonic() + 60
        while len(outcomes) < 2 and time.monotonic() < deadline:
            try:
                outcomes.add(bytes(Canvas.load(file).picture.pixels))
            except PictureFileError as error:
                assert str(file) in str(error) and str(error).endswith(".")
                outcomes.add(None)
    finally:
        done.set()
        writing.join()
    assert outcomes == {None, bytes(Canvas.load(file).picture.pixels)}
