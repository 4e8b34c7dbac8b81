"""A process with a connection to another machine's backend, in the place of a backend here.

It holds the local backend's lock, so no backend starts on this computer, and writes the connection file
for the tunnel. A lost tunnel is opened again. When the other backend ends, because it is idle or was
stopped, this process ends too; the next job starts both again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import os
import select
import signal
import subprocess
import time

from atelier_shared import remote
from atelier_shared.client import BackendClient
from atelier_shared.errors import AtelierError, BackendSilent, ProtocolError
from atelier_shared.launcher import Connection

from ..serving.published_connection import published
from . import ssh

FIRST_PAUSE_S, LONGEST_PAUSE_S, GIVE_UP_S = 1.0, 30.0, 600.0
"""Pauses between attempts to open a lost tunnel, each twice the last, and the time after which it ends."""
ENDING_S = 2.0
"""Time for ssh to end after a lost tunnel. If it still runs then, the backend has ended instead."""

log = logging.getLogger(__name__)


class BackendEnded(Exception):
    """The backend on the other machine ended, while the tunnel was open."""


def keep(machine: str) -> None:
    """Keep a tunnel to the backend of `machine` open until that backend ends.

    Problems are noted for `launcher`.

    Raises:
        AtelierError: the machine cannot be reached at first, or not for GIVE_UP_S; the text is the remedy.
    """
    remote.note_state(None)
    lost_at, pause_s = -math.inf, FIRST_PAUSE_S
    while True:
        try:
            _use(machine)
            lost_at, pause_s = time.monotonic(), FIRST_PAUSE_S
        except BackendEnded:
            log.info("the backend on %s has ended", machine)
            return
        except ssh.Unreachable as error:
            remote.note_state(error)
            if time.monotonic() > lost_at + GIVE_UP_S:
                raise
            log.warning("%s", error)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        except AtelierError as error:
            remote.note_state(error)
            raise


def _use(machine: str) -> None:
    """Connect, publish the connection, and return when the tunnel is lost.

    Raises:
        AtelierError: the machine cannot be reached, or its backend does not answer.
        BackendEnded: the backend ended.
    """
    backend = ssh.ask(machine)
    with ssh.tunnel(machine, backend.connection.port) as tunnel:
        connection = dataclasses.replace(
            backend.connection,
            port=tunnel.port,
            pid=os.getpid(),
            backend_port=backend.connection.port,
            machine=machine,
        )
        with _client(connection) as client, published(connection, on_lost=_end_this_process):
            remote.note_state(None)
            remote.note_slowness(backend.slowness)
            log.info("connected to %s, port %d", machine, tunnel.port)
            _wait_for_the_end(client)
        try:
            tunnel.ssh.wait(ENDING_S)
        except subprocess.TimeoutExpired as still_open:
            raise BackendEnded from still_open
    log.warning("the tunnel to %s was lost", machine)


def _client(connection: Connection) -> BackendClient:
    try:
        return connection.open()
    except (OSError, ProtocolError) as error:
        raise ssh.Unreachable(remote.NO_ANSWER, machine=connection.machine, reason=error) from error


def _wait_for_the_end(client: BackendClient) -> None:
    """Read the backend's beats until the connection ends. An idle backend ends in spite of a connection."""
    with contextlib.suppress(BackendSilent):
        while True:
            select.select([client.fileno()], [], [])
            client.read()


def _end_this_process() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
