"""The backend process, `python -m backend`: connects the server, the worker and the filters.

One backend runs per home folder: a second one finds the lock taken and exits.
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
from atelier_shared.home import LOCK_FILE, MODELS_FOLDER, atelier_home, connection_file
from atelier_shared.launcher import Connection, read_connection, write_connection
from atelier_shared.signing import KEY_BYTES

from .compat import allocator
from .serving.authentication import AuthenticatedRouter
from .serving.server import Server
from .serving.worker import LocalWorker
from .serving.worker_process import Run

IDLE_MINUTES = "10"
RESTORE_S = 1.0


def main(arguments: list[str] | None = None) -> int:
    """Run a backend until it is stopped or idle."""
    options = _options().parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    home = atelier_home()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with FileLock(home / LOCK_FILE, blocking=False):
            _serve(home / MODELS_FOLDER, 60 * options.idle)
    except Timeout:
        logging.info("a backend is already running")
    return 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="atelier serve", description="Run Atelier's backend.")
    parser.add_argument(
        "--idle",
        type=float,
        metavar="MINUTES",
        default=os.environ.get("ATELIER_IDLE_MINUTES", IDLE_MINUTES),
        help="exit after this time without a job (default: %(default)s, or ATELIER_IDLE_MINUTES if set)",
    )
    return parser


def _serve(models: Path, idle_s: float) -> None:
    allocator.share_one_arena()
    key = secrets.token_bytes(KEY_BYTES)
    worker = LocalWorker(functools.partial(load_filters, models))
    with zmq.Context() as context, AuthenticatedRouter(context, key) as router:
        try:
            with _connection_published(Connection(router.port, os.getpid(), key.hex())):
                logging.info("listening on port %d", router.port)
                Server(router, key, worker.start, idle_s=idle_s).serve()
        except KeyboardInterrupt:
            logging.info("interrupted")
        finally:
            worker.close()
    logging.info("ended")


def load_filters(models: Path) -> Run:
    """Return the function that runs a job. Called in the worker process: torch is imported only there."""
    from .jobs import run

    return functools.partial(run.run, models=models)


@contextmanager
def _connection_published(connection: Connection) -> Iterator[None]:
    """Keep the connection file in place during the block: it is restored if it is lost or damaged."""
    ended = threading.Event()
    restorer = threading.Thread(target=_restore_connection, args=(connection, ended), daemon=True)
    try:
        write_connection(connection)
        restorer.start()
        yield
    finally:
        ended.set()
        if restorer.is_alive():
            restorer.join()
        _remove_connection()


def _restore_connection(connection: Connection, ended: threading.Event) -> None:
    while not ended.wait(RESTORE_S):
        try:
            if read_connection() is None:
                write_connection(connection)
        except (OSError, BackendUnavailable) as error:  # the user has to act
            logging.warning("the connection file is no longer restored: %s", error)
            return


def _remove_connection() -> None:
    try:
        connection = read_connection()
    except BackendUnavailable as error:  # the user has to act
        logging.warning("%s", error)
        return
    if connection and connection.pid == os.getpid():
        connection_file().unlink()


if __name__ == "__main__":
    # Imported by its full name, because the worker process imports `load_filters` by that name.
    sys.exit(importlib.import_module("backend.__main__").main())
