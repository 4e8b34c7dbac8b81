"""A scheduler in this process, and workers in processes of their own, over real TLS."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import secrets
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.context import SpawnProcess
from pathlib import Path

import echo_filter
import psutil
import zmq
from conftest import eventually

from atelier_shared.client import BackendClient
from atelier_shared.home import SCHEDULER_CERTIFICATE_FILE, WORKER_CERTIFICATE_FILE
from backend.cluster import certificates, scheduler, worker
from backend.cluster.address import Address
from backend.serving.authentication import AuthenticatedRouter
from backend.serving.server import Server
from backend.serving.worker import LocalWorker
from backend.serving.worker_process import Load

HERE = "127.0.0.1"


def run_worker(port: int, file: Path, load: Load) -> None:
    worker.FIRST_PAUSE_S = 0.1
    with contextlib.suppress(KeyboardInterrupt):
        worker.run(Address(HERE, port), certificates.worker_context(file), load)


@dataclass
class Cluster:
    """A scheduler in this process, and the workers started for it."""

    server: Server
    port: int
    key: bytes
    cluster_port: int
    files: Path
    load: Load
    workers: list[SpawnProcess] = field(default_factory=list)

    def client(self) -> BackendClient:
        return BackendClient(self.port, self.key)

    def capacity(self) -> int:
        return len(self.server._main)

    def add_worker(self, count: int = 1) -> None:
        """Start workers and wait until they have joined."""
        wanted = self.capacity() + count
        for _ in range(count):
            process = multiprocessing.get_context("spawn").Process(
                target=run_worker, args=(self.cluster_port, self.files / WORKER_CERTIFICATE_FILE, self.load)
            )
            process.start()
            self.workers.append(process)
        eventually(lambda: self.capacity() == wanted, f"there are {wanted} workers")

    def kill(self, process: SpawnProcess) -> None:
        """Kill a worker and its worker process, as if its machine were lost."""
        for each in (psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                os.kill(each.pid, signal.SIGKILL)
        process.join()
        self.workers.remove(process)


@contextlib.contextmanager
def running_cluster(files: Path, load: Load = echo_filter.load) -> Iterator[Cluster]:
    """Run a scheduler with the certificates in a folder; end it and its workers after the block."""
    key, tls = secrets.token_bytes(32), certificates.scheduler_context(files / SCHEDULER_CERTIFICATE_FILE)
    second = LocalWorker(load, starts_at_once=False)
    with zmq.Context() as context, AuthenticatedRouter(context, key) as router:
        server = Server(router, key, None, second.start, idle_s=600)
        with scheduler.listening(Address(HERE, 0), tls, server.join, server.leave) as port:
            thread = threading.Thread(target=server.serve)
            thread.start()
            running = Cluster(server, router.port, key, port, files, load)
            yield running
            for process in list(running.workers):
                running.kill(process)
            server.stop()
            thread.join(30)
            assert not thread.is_alive()
        second.close()
