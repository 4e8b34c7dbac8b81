"""A real SSH server on a loopback port, in which another machine's home folder of Atelier is used."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
from conftest import eventually, prepared

HOST = "gpu"


@dataclass
class SshServer:
    """A server, and an ssh command that knows it as `gpu`.

    Attributes:
        folder: keys, settings and logs.
        port: its port on the loopback.
        home: Atelier's home folder on the server.
        process: the server; a session is a child of it.
    """

    folder: Path
    port: int
    home: Path
    process: subprocess.Popen[bytes]

    @property
    def programs(self) -> Path:
        """The folder with the command ssh."""
        return self.folder / "programs"

    def sessions(self) -> list[psutil.Process]:
        """Return the processes of the open sessions, without the programs that run in them."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if "sshd" in child.name()]

    @property
    def command(self) -> Path:
        """The command `atelier` on the server."""
        return self.home / "bin" / "atelier"

    def reset(self) -> None:
        """Undo the changes below, and those to the command and to the keys that may log in."""
        self._know("host")
        (self.folder / "authorized").write_text(public_key(self.folder / "own"))
        (self.folder / "ssh_config").write_text(client_settings(self.folder, self.port))
        self.command.parent.mkdir(exist_ok=True)
        self.command.write_text(f'#!/bin/sh\nexec {sys.executable} -m backend.command.cli "$@"\n')
        self.command.chmod(0o755)

    def replace_host_key(self) -> None:
        """Make the client know another key of this server than its own."""
        self._know("other")

    def become_unreachable(self) -> None:
        """Make the client use a port on which nothing listens."""
        (self.folder / "ssh_config").write_text(client_settings(self.folder, 1))

    def _know(self, key: str) -> None:
        (self.folder / "known").write_text(f"[127.0.0.1]:{self.port} {public_key(self.folder / key)}")

    def stop(self) -> None:
        """End the server and all sessions."""
        if self.process.poll() is None:
            for session in self.sessions():
                session.kill()
            self.process.kill()
            self.process.wait()


def make_key(file: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file], check=True)


def public_key(file: Path) -> str:
    return file.with_suffix(".pub").read_text()


def start(folder: Path, home: Path) -> SshServer:
    """Start a server in an empty folder; commands in its sessions use the home folder `home`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for key in ("host", "own", "other"):
        make_key(folder / key)
    (folder / "sshd_config").write_text(server_settings(folder, port, home))
    programs = folder / "programs"
    programs.mkdir()
    ssh = programs / "ssh"
    ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder / "ssh_config"} "$@"\n')
    ssh.chmod(0o755)
    root = prepared("sshd") / "root"
    (libraries,) = root.glob("usr/lib/*-linux-gnu")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*alone(folder), root / "usr/sbin/sshd", "-D", "-e", "-f", folder / "sshd_config"],
            env={**os.environ, "LD_LIBRARY_PATH": str(libraries)},
            stderr=log,
        )
    server = SshServer(folder, port, home, process)
    eventually(lambda: b"listening" in (folder / "log").read_bytes(), "the server listens")
    return server


def server_settings(folder: Path, port: int, home: Path) -> str:
    lines = [
        f"ListenAddress 127.0.0.1:{port}",
        f"HostKey {folder / 'host'}",
        f"AuthorizedKeysFile {folder / 'authorized'}",
        f"SetEnv ATELIER_HOME={home} OMP_NUM_THREADS=1",
        *("PidFile none", "StrictModes no", "UsePAM no", "PermitRootLogin yes", "PrintMotd no"),
    ]
    session = prepared("sshd") / "root/usr/lib/openssh/sshd-session"
    if session.exists():  # newer servers have several programs
        lines += [f"SshdSessionPath {session}", f"SshdAuthPath {session.with_name('sshd-auth')}"]
    return "\n".join([*lines, ""])


def client_settings(folder: Path, port: int) -> str:
    lines = [
        f"Host {HOST}",
        *("HostName 127.0.0.1", f"Port {port}", f"User {pwd.getpwuid(os.geteuid()).pw_name}"),
        *(f"IdentityFile {folder / 'own'}", "IdentitiesOnly yes", f"UserKnownHostsFile {folder / 'known'}"),
    ]
    return "\n".join([*lines, ""])


def alone(folder: Path) -> list[str]:
    """Return the beginning of a command that gives root's server the user and the folder it insists on.

    They exist for its processes alone. Another user's server needs neither.
    """
    if os.geteuid():
        return []
    users = folder / "passwd"
    users.write_text(Path("/etc/passwd").read_text() + "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n")
    script = (
        "mount -t tmpfs tmpfs /run && mkdir /run/sshd && mount --bind "
        f'{shlex.quote(str(users))} /etc/passwd && exec "$@"'
    )
    return ["unshare", "--mount", "sh", "-c", script, "sh"]
