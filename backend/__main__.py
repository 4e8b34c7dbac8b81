"""The backend process, `python -m backend`: connects the server, the worker and the filters.

One backend runs per home folder: a second one finds the lock taken and exits.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import logging
import os
import secrets
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import zmq
from filelock import FileLock, Timeout

from atelier_shared import remote
from atelier_shared.deferred_translation import N_
from atelier_shared.errors import AtelierError
from atelier_shared.home import (
    LOCK_FILE,
    MODELS_FOLDER,
    SCHEDULER_CERTIFICATE_FILE,
    atelier_home,
    check_home,
)
from atelier_shared.launcher import Connection
from atelier_shared.signing import KEY_BYTES

from .cluster import address, certificates, scheduler
from .cluster.address import Address
from .compat import allocator, open_files
from .serving.authentication import AuthenticatedRouter
from .serving.published_connection import published
from .serving.server import Server
from .serving.worker import LocalWorker
from .serving.worker_process import Run

IDLE_MINUTES = "10"
ENDING_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGBREAK")
"""Ctrl+C, the system, a closed terminal, Ctrl+\\, and Ctrl+Break on Windows."""


def main(arguments: list[str] | None = None) -> int:
    """Run a backend until it is stopped or idle, and return the exit status."""
    options = _options().parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    end_on_signals()
    os.umask(0o077)  # notes and logs are for this user only
    home = atelier_home()
    try:
        home.mkdir(parents=True, exist_ok=True)
        check_home(home)
        _check_machine()
        place = address.parse(options.scheduler) if options.scheduler else None
        with lock_of(home):
            _serve(home, 60 * options.idle, place)
    except Timeout:
        if options.scheduler:
            logging.error("a backend is already running; end it with 'atelier stop'")
            return 1
        logging.info("a backend is already running")
    except AtelierError as error:
        logging.error("%s", error)
        return 1
    return 0


def _check_machine() -> None:
    """Raise AtelierError if another machine computes: no backend takes its place unnoticed."""
    if machine := remote.machine():
        raise AtelierError(_COMPUTES_ELSEWHERE, machine=machine)


def end_on_signals() -> None:
    """Exit in order when a signal asks for the end."""
    _on_ending_signals(_end)


def _on_ending_signals(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for name in ENDING_SIGNALS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), handler)


def _end(_number: int, _frame: FrameType | None) -> None:
    """Exit in order, and ignore further signals meanwhile."""
    _on_ending_signals(signal.SIG_IGN)
    sys.exit(0)


def lock_of(home: Path, *, wait_s: float = 0) -> FileLock:
    """Return the lock held by the running backend. Only this user can open its file, and so hold it."""
    return FileLock(home / LOCK_FILE, timeout=wait_s, mode=0o600)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="atelier serve", description="Run Atelier's backend.")
    parser.add_argument(
        "--print-connection",
        action="store_true",
        help="start a backend in the background unless one is running, and print how to reach it, with its "
        "secret key: for 'atelier remote' on another computer",
    )
    parser.add_argument(
        "--print-device",
        action="store_true",
        help="with --print-connection, print the name of the compute device too; this loads PyTorch",
    )
    parser.add_argument(
        "--scheduler",
        metavar="tls://HOST:PORT",
        help="be the scheduler of a cluster: listen on this address for workers, which run the jobs",
    )
    parser.add_argument(
        "--idle",
        type=float,
        metavar="MINUTES",
        default=os.environ.get("ATELIER_IDLE_MINUTES", IDLE_MINUTES),
        help="exit after this time without a job (default: %(default)s, or ATELIER_IDLE_MINUTES if set)",
    )
    return parser


def _serve(home: Path, idle_s: float, place: Address | None) -> None:
    """Serve clients; with the place of a scheduler, the workers of its cluster run the jobs."""
    allocator.share_one_arena()
    open_files.raise_limit()
    key = secrets.token_bytes(KEY_BYTES)
    with (
        zmq.Context() as context,
        AuthenticatedRouter(context, key) as router,
        contextlib.ExitStack() as parts,
    ):
        parts.callback(logging.info, "ended")
        load = functools.partial(load_filters, home / MODELS_FOLDER)
        main = None if place else parts.enter_context(contextlib.closing(LocalWorker(load)))
        second = parts.enter_context(contextlib.closing(LocalWorker(load, starts_at_once=False)))
        server = Server(router, key, main.start if main else None, second.start, idle_s=idle_s)
        if place:
            tls = certificates.scheduler_context(home / SCHEDULER_CERTIFICATE_FILE)
            port = parts.enter_context(scheduler.listening(place, tls, server.join, server.leave))
            logging.info("workers can connect to %s", place._replace(port=port))
        connection = Connection(router.port, os.getpid(), key.hex(), is_scheduler=place is not None)
        with published(connection, on_lost=server.stop):
            logging.info("process %d is listening on port %d", os.getpid(), router.port)
            server.serve()


def load_filters(models: Path) -> Run:
    """Return the function that runs a job. Called in the worker process: torch is imported only there."""
    from .jobs import run

    return functools.partial(run.begin, models=models)


_COMPUTES_ELSEWHERE = N_(
    "{machine} computes for this computer. 'atelier remote --off' uses this computer again."
)

if __name__ == "__main__":
    # Imported by its full name, because the worker process imports `load_filters` by that name.
    sys.exit(importlib.import_module("backend.__main__").main())
