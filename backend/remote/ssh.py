"""The system's ssh: a question to the other machine's backend, and a tunnel to its port.

ssh checks the machine's key and logs in. The backend's key travels inside ssh. The tunnel begins at a port
of the loopback here and ends at the backend's port on the loopback there.

Sources:
    ssh(1), option -L; ssh_config(5): BatchMode, ExitOnForwardFailure, ServerAliveInterval, ControlPath
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from atelier_shared import remote
from atelier_shared.errors import AtelierError
from atelier_shared.launcher import Connection
from atelier_shared.messages import PROTOCOL_VERSION

CONNECT_S, ALIVE_S, ALIVE_COUNT = 10, 3, 2
"""A machine without an answer for ALIVE_S · (ALIVE_COUNT + 1) seconds counts as lost."""
ASK_S = 180.0
"""Time for the other machine to start its backend with PyTorch, and to answer."""
ALONE = (
    "-T",
    "-x",
    "-a",
    *("-o", "ControlMaster=no"),
    *("-o", "ControlPath=none"),
    *("-o", "RemoteCommand=none"),
)
"""No terminal, no forwarded display or agent, and a connection of its own; it ends with this process."""
PRINT_CONNECTION = (
    "exec sh -c '\"${{ATELIER_HOME:-$HOME/.atelier}}/bin/atelier\" serve --print-connection {options}'"
)
ECHO = "exec cat"
"""Runs at the other end. Its echo shows that the tunnel is open, and measures its rate. It ends when
its input is closed, even if this process was killed."""
PROBE_BYTES = 1 << 19
SLOW_BITS_PER_S = 100e6
"""Below this, ssh compresses: zlib makes the pixels of a photo a quarter to a half shorter."""
NOT_FOUND, SSH_FAILED = 127, 255
"""Statuses of a shell without the command, and of ssh itself."""


class Unreachable(AtelierError):
    """A temporary failure: the network or the machine is down."""


@dataclass(frozen=True)
class RemoteBackend:
    """The answer of `atelier serve --print-connection`.

    Attributes:
        connection: port, process and key of the backend, on its machine.
        version: its version of the protocol.
        device: its default device, in words; empty if it was not asked for.
        slowness: its notes of its speed.
    """

    connection: Connection
    version: int
    device: str
    slowness: Mapping[str, object]

    def as_json(self) -> str:
        """Return it as a line of JSON."""
        return json.dumps(dataclasses.asdict(self))


def ask(machine: str, *, with_device: bool = False, may_prompt: bool = False) -> RemoteBackend:
    """Return the backend of a machine. The machine starts one if none is running.

    Args:
        machine: its name for ssh, such as user@host.
        with_device: ask for its device too. It loads PyTorch for this answer, which takes seconds.
        may_prompt: let ssh ask in the terminal, for example whether to trust a machine not seen before.

    Raises:
        Unreachable: the machine did not answer.
        AtelierError: ssh refused the machine or was refused by it, or Atelier is missing there or of another
            version; the text is the remedy.
    """
    options = () if may_prompt else ("-o", "BatchMode=yes")
    question = PRINT_CONNECTION.format(options="--print-device" if with_device else "")
    command = _command(machine, question, *options)
    stdin = None if may_prompt else subprocess.DEVNULL
    try:
        done = subprocess.run(command, stdin=stdin, capture_output=True, timeout=ASK_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise Unreachable(remote.SILENT, machine=machine) from error
    except OSError as error:
        raise AtelierError(remote.NO_SSH, reason=error.strerror) from error
    if done.returncode:
        raise _failure(machine, done.returncode, done.stderr.decode(errors="replace"))
    return _parse(machine, done.stdout)


def _command(machine: str, remote_command: str, *options: str) -> list[str]:
    alive = ("-o", f"ServerAliveInterval={ALIVE_S}", "-o", f"ServerAliveCountMax={ALIVE_COUNT}")
    return [
        "ssh",
        *ALONE,
        *alive,
        "-o",
        f"ConnectTimeout={CONNECT_S}",
        *options,
        "--",
        machine,
        remote_command,
    ]


def _failure(machine: str, status: int, messages: str) -> AtelierError:
    """Return the error for a failed ssh, by its status and its messages."""
    reason = (messages.strip().splitlines() or [f"status {status}"])[-1].rstrip(". ")
    if status == NOT_FOUND:
        return AtelierError(remote.NOT_INSTALLED, machine=machine)
    if status != SSH_FAILED:
        return AtelierError(remote.BACKEND_FAILED, machine=machine, reason=reason)
    if "IDENTIFICATION HAS CHANGED" in messages:
        return AtelierError(remote.OTHER_KEY, machine=machine)
    if "verification failed" in reason or "Permission denied" in reason:
        return AtelierError(remote.REFUSED, machine=machine, reason=reason)
    return Unreachable(remote.UNREACHABLE, machine=machine, reason=reason)


def _parse(machine: str, output: bytes) -> RemoteBackend:
    """Parse the last line of the output; a shell's start-up files may print others before it."""
    try:
        fields: dict[str, Any] = json.loads(output.splitlines()[-1])
        if fields["version"] != PROTOCOL_VERSION:
            raise AtelierError(remote.OTHER_VERSION, machine=machine)
        connection = Connection(**fields["connection"])
        backend = RemoteBackend(connection, PROTOCOL_VERSION, str(fields["device"]), dict(fields["slowness"]))
    except (LookupError, TypeError, ValueError) as error:
        raise AtelierError(remote.OTHER_VERSION, machine=machine) from error
    if not connection.is_valid():
        raise AtelierError(remote.OTHER_VERSION, machine=machine)
    return backend


# ── The tunnel ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Tunnel:
    """An open tunnel: its port on the loopback here, and its ssh."""

    port: int
    ssh: subprocess.Popen[bytes]


@contextmanager
def tunnel(machine: str, remote_port: int) -> Iterator[Tunnel]:
    """Open a tunnel to a port of a machine's loopback, compressed if it is slow; close it after the block.

    Raises:
        Unreachable: it could not be opened.
    """
    with _opened(machine, remote_port) as plain:
        is_fast = bits_per_second(plain) > SLOW_BITS_PER_S
        if is_fast:
            yield plain
    if not is_fast:
        with _opened(machine, remote_port, "-o", "Compression=yes") as compressed:
            yield compressed


@contextmanager
def _opened(machine: str, remote_port: int, *options: str) -> Iterator[Tunnel]:
    port = _free_port()
    forward = ("-L", f"127.0.0.1:{port}:127.0.0.1:{remote_port}", "-o", "ExitOnForwardFailure=yes")
    ssh = subprocess.Popen(
        _command(machine, ECHO, *forward, "-o", "BatchMode=yes", *options),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert ssh.stdout and ssh.stderr
        _write(ssh, b"?")
        if not ssh.stdout.read(1):
            ssh.wait()
            raise _failure(machine, ssh.returncode, ssh.stderr.read().decode(errors="replace"))
        yield Tunnel(port, ssh)
    finally:
        ssh.terminate()
        with contextlib.suppress(BrokenPipeError):  # closing its input writes what it did not read
            ssh.communicate()


def _write(ssh: subprocess.Popen[bytes], content: bytes) -> None:
    """Write to the tunnel's command. If ssh has ended, its echo is missing."""
    assert ssh.stdin
    with contextlib.suppress(BrokenPipeError):
        ssh.stdin.write(content)
        ssh.stdin.flush()


def bits_per_second(open_tunnel: Tunnel) -> float:
    """Measure the rate of a tunnel, there and back, with random bytes, because ssh may compress others."""
    assert open_tunnel.ssh.stdout
    started = time.monotonic()
    writer = threading.Thread(target=_write, args=(open_tunnel.ssh, secrets.token_bytes(PROBE_BYTES)))
    writer.start()
    echoed = len(open_tunnel.ssh.stdout.read(PROBE_BYTES))
    writer.join()
    return 8 * echoed / (time.monotonic() - started)


def _free_port() -> int:
    """Return a free port of the loopback. If another program takes it first, ssh fails and is tried again."""
    with socket.socket() as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
