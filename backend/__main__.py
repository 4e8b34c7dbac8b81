"""The backend's process: `python -m backend`. Joins server, worker and filters, and nothing else does.

Whoever starts it, one backend runs for a home folder: a second one finds the lock taken and ends.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import logging
import os
import secrets
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import zmq
from filelock import FileLock, Timeout

from atelier_shared.errors import BackendUnavailable
from atelier_shared.home import atelier_home, connection_file
from atelier_shared.launcher import Connection, read_connection, write_connection
from atelier_shared.signing import KEY_BYTES

from .compat import allocator
from .serving.authentication import AuthenticatedRouter
from .serving.server import Server
from .serving.worker import LocalWorker, Run

IDLE_MINUTES = "10"
ANNOUNCE_S = 1.0


def main(arguments: list[str] | None = None) -> int:
    """Run a backend until it is told to stop or nobody needs it."""
    options = _options().parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    home = atelier_home()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with FileLock(home / "backend.lock", blocking=False):
            _serve(home / "models", 60 * options.idle)
    except Timeout:
        logging.info("a backend runs already")
    return 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="atelier serve", description="Run Atelier's backend.")
    parser.add_argument(
        "--idle",
        type=float,
        metavar="MINUTES",
        default=os.environ.get("ATELIER_IDLE_MINUTES", IDLE_MINUTES),
        help="end after so long without a job (default: %(default)s, or the variable ATELIER_IDLE_MINUTES)",
    )
    return parser


def _serve(models: Path, idle_s: float) -> None:
    allocator.share_one_arena()
    key = secrets.token_bytes(KEY_BYTES)
    worker = LocalWorker(functools.partial(load_filters, models))
    with zmq.Context() as context, AuthenticatedRouter(context, key) as gate:
        try:
            with _announced(Connection(gate.port, os.getpid(), key.hex())):
                logging.info("listening on port %d", gate.port)
                Server(gate, key, worker.start, idle_s=idle_s).serve()
        except KeyboardInterrupt:
            logging.info("interrupted")
        finally:
            worker.close()
    logging.info("ended")


def load_filters(models: Path) -> Run:
    """What runs a job, in the worker's process: torch is imported there and nowhere else."""
    from .jobs import run

    return functools.partial(run.run, models=models)


@contextmanager
def _announced(connection: Connection) -> Iterator[None]:
    """Have the connection file say so; it is written again where it is lost or damaged meanwhile."""
    ended = threading.Event()
    keeper = threading.Thread(target=_keep_announced, args=(connection, ended), daemon=True)
    try:
        write_connection(connection)
        keeper.start()
        yield
    finally:
        ended.set()
        if keeper.is_alive():
            keeper.join()
        _retract_connection()


def _keep_announced(connection: Connection, ended: threading.Event) -> None:
    while not ended.wait(ANNOUNCE_S):
        try:
            if read_connection() is None:
                write_connection(connection)
        except (OSError, BackendUnavailable) as error:  # a person has to look at it
            logging.warning("the connection file is not looked after any more: %s", error)
            return


def _retract_connection() -> None:
    try:
        connection = read_connection()
    except BackendUnavailable as error:  # a person has to look at it
        logging.warning("%s", error)
        return
    if connection and connection.pid == os.getpid():
        connection_file().unlink()


if __name__ == "__main__":
    # Under its full name, by which the worker's process can find `load_filters`.
    sys.exit(importlib.import_module("backend.__main__").main())
