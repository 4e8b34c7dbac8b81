"""A backend on another machine: two home folders, and a real SSH server between them."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import ssh_server
from backend_jobs import assert_works
from conftest import backends_of, eventually, installed_in, processes_with, stop_backend
from ssh_server import HOST, SshServer

from atelier_shared import estimate, launcher, remote
from atelier_shared.client import BackendClient
from atelier_shared.deepdream import DeepDream
from atelier_shared.errors import AtelierError, BackendSilent, BackendUnavailable
from atelier_shared.messages import Picture, Progress, Region
from backend.command import cli, doctor
from backend.remote import ssh

pytestmark = pytest.mark.slow

PHOTO, WHOLE = Picture(64, 48, "RGB", "u8", bytes(64 * 48 * 3)), Region(0, 0, 64, 48)
ENDLESS = DeepDream(iterations=500, octaves=1, size=64)
REPORTED_WITHIN_S = 10.0


@pytest.fixture(scope="module")
def running_server(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[SshServer]:
    """The other machine, with an installation of Atelier."""
    home, folder = tmp_path_factory.mktemp("there"), tmp_path_factory.mktemp("server")
    server = ssh_server.start(folder, installed_in(home, models))
    yield server
    server.stop()
    stop_backend(home)


@pytest.fixture
def server(running_server: SshServer) -> SshServer:
    """The other machine, as if new. Its backend may be running."""
    running_server.reset()
    return running_server


@pytest.fixture
def here(tmp_path: Path, server: SshServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The home folder of this computer, which has no weights. No process of it may be left at the end."""
    home = tmp_path / "here"
    home.mkdir(mode=0o700)
    (home / "venv").symlink_to(sys.prefix)
    monkeypatch.setenv("ATELIER_HOME", str(home))
    monkeypatch.setenv("PATH", f"{server.programs}{os.pathsep}{os.environ['PATH']}")
    yield home
    with contextlib.suppress(AtelierError):
        cli.main(["remote", "--off"])
    eventually(lambda: not processes_with("ATELIER_HOME", home), "no process is left")


def use(machine: str = HOST) -> int:
    return cli.main(["remote", machine])


def connect() -> None:
    """Use the machine as `atelier remote` does, but do not ask for its device: that loads PyTorch there."""
    remote.set_machine(HOST)
    launcher.connect().close()


def modules_of(home: Path) -> list[str]:
    """Return the modules that `launcher` has started for a home folder."""
    commands = [process.cmdline() for process in backends_of(home)]
    return sorted(command[3] for command in commands if command[1:3] == ["-I", "-m"])


def own_ssh(here: Path) -> psutil.Process:
    (found,) = [process for process in processes_with("ATELIER_HOME", here) if process.name() == "ssh"]
    return found


def begin_endless_job() -> tuple[BackendClient, Iterator[object]]:
    client = launcher.connect()
    messages = client.messages(client.submit(ENDLESS, PHOTO, WHOLE))
    assert any(isinstance(message, Progress) for message in messages)
    return client, messages


@contextlib.contextmanager
def job_suspended(server: SshServer) -> Iterator[None]:
    """Suspend the processes that compute on the server: the block does not need their results."""
    workers = [
        each for each in processes_with("ATELIER_HOME", server.home) if "spawn_main" in str(each.cmdline())
    ]
    assert workers
    for worker in workers:
        worker.suspend()
    try:
        yield
    finally:
        for worker in workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.resume()


# ── In use ───────────────────────────────────────────────────────────────────────────────────────


def test_the_other_machine_makes_the_pictures(
    here: Path, server: SshServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert use() == 0
    assert f"{HOST} computes from now on: cpu" in capsys.readouterr().out
    assert_works()
    assert modules_of(here) == ["backend.remote"]
    assert modules_of(server.home) == ["backend"]
    connection = launcher.read_connection()
    assert connection and connection.machine == HOST
    listening = own_ssh(here).net_connections()
    assert {place.laddr.ip for place in listening if place.status == psutil.CONN_LISTEN} == {"127.0.0.1"}
    server_notes = estimate.read_slowness(server.home)
    assert estimate.read_slowness(here) == server_notes
    finding = doctor.examine_backend()
    assert finding.ok and HOST in finding.explanation
    assert cli.main(["remote"]) == 0
    assert f"{HOST} computes" in capsys.readouterr().out


def test_off_ends_the_tunnel_and_leaves_the_other_backend(here: Path, server: SshServer) -> None:
    assert use() == 0
    assert cli.main(["remote", "--off"]) == 0
    eventually(lambda: not processes_with("ATELIER_HOME", here), "the tunnel is closed")
    assert modules_of(server.home) == ["backend"]
    assert remote.machine() == ""
    assert not (here / "connection.json").exists()


def test_stop_leaves_the_other_backend_and_the_next_job_connects_again(here: Path, server: SshServer) -> None:
    connect()
    assert cli.main(["stop"]) == 0
    eventually(lambda: not modules_of(here), "the connection has ended")
    assert modules_of(server.home) == ["backend"]
    assert_works()
    assert modules_of(here) == ["backend.remote"]


def test_when_the_other_backend_ends_the_next_job_starts_it_again(here: Path, server: SshServer) -> None:
    connect()
    (backend,) = [process for process in backends_of(server.home) if process.cmdline()[1:2] == ["-I"]]
    backend.terminate()
    eventually(lambda: not modules_of(here), "the connection has ended with the backend")
    assert_works()
    assert modules_of(server.home) == ["backend"]


def test_no_backend_starts_here_meanwhile(here: Path, server: SshServer) -> None:
    connect()
    assert cli.main(["stop"]) == 0
    assert cli.main(["serve", "--idle", "0"]) == 1
    server.become_unreachable()
    with pytest.raises(BackendUnavailable, match=f"{HOST} cannot be reached .*atelier remote --off"):
        launcher.connect()
    eventually(lambda: not modules_of(here), "the connecting process has ended")


def test_a_slow_tunnel_is_compressed_and_a_fast_one_is_not(
    here: Path, server: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = []
    for rate in (0.0, math.inf):
        monkeypatch.setattr(ssh, "SLOW_BITS_PER_S", rate)
        with ssh.tunnel(HOST, server.port) as tunnel:
            options.append(psutil.Process(tunnel.ssh.pid).cmdline())
            with socket.create_connection(("127.0.0.1", tunnel.port)) as connection:
                assert connection.recv(4) == b"SSH-"  # the server itself is at the other end
        assert tunnel.ssh.returncode is not None
    assert ["Compression=yes" in words for words in options] == [False, True]


# ── Lost ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_killed_tunnel_is_reported_during_a_job_and_opened_again(here: Path, server: SshServer) -> None:
    connect()
    client, messages = begin_endless_job()
    own_ssh(here).kill()
    killed = time.monotonic()
    with client, pytest.raises(BackendSilent, match=f"connection to {HOST} was lost"):
        list(messages)
    assert time.monotonic() - killed < REPORTED_WITHIN_S
    assert_works()
    eventually(lambda: modules_of(here) == ["backend.remote"], "only the first process connects")


def test_a_silent_network_is_reported_within_seconds(here: Path, server: SshServer) -> None:
    connect()
    client, messages = begin_endless_job()
    for session in server.sessions():
        session.suspend()
    silent = time.monotonic()
    with job_suspended(server), client, pytest.raises(BackendSilent, match=f"connection to {HOST} was lost"):
        list(messages)
    assert time.monotonic() - silent < REPORTED_WITHIN_S
    assert_works()


def test_a_lost_machine_is_reported_and_used_again_once_it_is_back(here: Path, server: SshServer) -> None:
    connect()
    server.become_unreachable()
    own_ssh(here).kill()
    lost = time.monotonic()
    with pytest.raises(BackendUnavailable, match=f"{HOST} cannot be reached"):
        launcher.connect()
    assert time.monotonic() - lost < launcher.START_S / 2
    server.reset()
    eventually(lambda: launcher.read_connection() is not None, "the tunnel is open again")
    assert_works()


def test_a_killed_connecting_process_leaves_no_tunnel(here: Path, server: SshServer) -> None:
    connect()
    (keeper,) = backends_of(here)
    keeper.send_signal(signal.SIGKILL)
    eventually(lambda: not processes_with("ATELIER_HOME", here), "ssh has ended")
    assert_works()


# ── Refused ──────────────────────────────────────────────────────────────────────────────────────


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the sentence with which the command refuses the machine; nothing may have changed."""
    assert use() == 1
    assert remote.machine() == ""
    return capsys.readouterr().err


def test_another_host_key_is_refused(
    here: Path, server: SshServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.replace_host_key()
    assert f"The host key of {HOST} has changed" in refusal(capsys)
    assert not modules_of(here)


def test_a_key_that_changes_later_is_reported(here: Path, server: SshServer) -> None:
    connect()
    server.replace_host_key()
    assert cli.main(["stop"]) == 0
    with pytest.raises(BackendUnavailable, match=f"The host key of {HOST} has changed"):
        launcher.connect()
    eventually(lambda: not modules_of(here), "the connecting process has ended")


def test_a_missing_backend_is_reported(
    here: Path, server: SshServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.command.unlink()
    assert f"Atelier is not installed on {HOST}" in refusal(capsys)


def test_another_version_is_reported(
    here: Path, server: SshServer, capsys: pytest.CaptureFixture[str]
) -> None:
    script = server.command.read_text().replace("exec ", "")
    server.command.write_text(script.strip() + """ | sed 's/"version": [0-9]*/"version": 999/'\n""")
    assert f"{HOST} and this computer have different versions" in refusal(capsys)


def test_a_refused_login_is_reported(
    here: Path, server: SshServer, capsys: pytest.CaptureFixture[str]
) -> None:
    (server.folder / "authorized").write_text("")
    assert f"ssh could not log in to {HOST}" in refusal(capsys)


@pytest.mark.parametrize("name", ["-oProxyCommand=touch", "two words", "x" * 300])
def test_a_name_that_ssh_would_take_for_an_option_is_refused(
    name: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["remote", "--", name]) == 1
    assert "not the name of a machine" in capsys.readouterr().err


def test_a_damaged_note_never_means_this_computer(here: Path) -> None:
    (here / "remote.json").write_text("{")
    with pytest.raises(BackendUnavailable, match=r"remote\.json is damaged"):
        launcher.connect()
    assert not backends_of(here)


def test_a_client_needs_no_pytorch(here: Path) -> None:
    remote.set_machine(HOST)
    code = """
import sys
sys.modules.update(torch=None, torchvision=None, safetensors=None)
import backend.remote.__main__, backend.command.cli, backend.command.painting, backend.command.remote
from backend.command import doctor
print(doctor.examine_device(), doctor.examine_weights(None))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"ok  device: {HOST} computes. ok  weights: They are on {HOST}.\n"
