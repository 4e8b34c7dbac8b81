"""A scheduler and workers in processes of their own, over real TLS."""

from __future__ import annotations

import contextlib
import secrets
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import echo_filter
import psutil
import pytest
from conftest import eventually
from running_cluster import HERE, Cluster, running_cluster

from atelier_shared import launcher
from atelier_shared.client import BackendClient
from atelier_shared.deepdream import DeepDream
from atelier_shared.errors import AtelierError, JobCancelled, JobFailed
from atelier_shared.home import SCHEDULER_CERTIFICATE_FILE, WORKER_CERTIFICATE_FILE
from atelier_shared.messages import Picture, Progress, Queued, Region, Result
from atelier_shared.requests import Identity
from backend.cluster import certificates, scheduler, worker
from backend.cluster.address import Address, parse
from backend.command import parallel
from backend.serving import server
from backend.serving.worker_pipe import SIZES, with_sizes
from backend.serving.worker_process import READY

pytestmark = pytest.mark.slow

PICTURE, WHOLE = Picture(3, 2, "RGB", "u8", bytes(range(18))), Region(0, 0, 3, 2)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the certificates of a cluster."""
    folder = tmp_path_factory.mktemp("certificates")
    certificates.make(folder)
    return folder


@pytest.fixture(scope="module")
def other_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificates of another cluster."""
    folder = tmp_path_factory.mktemp("others")
    certificates.make(folder)
    return folder


@pytest.fixture
def cluster(files: Path) -> Iterator[Cluster]:
    with running_cluster(files) as running:
        yield running


def last_messages(
    client: BackendClient, jobs: set[int], after_first: Callable[[], None] = lambda: None
) -> dict[int, list[object]]:
    """Return the last message of each job; also a second one, which there must not be."""
    found: dict[int, list[object]] = {job: [] for job in jobs}
    while not all(found.values()):
        message = client.receive()
        if not isinstance(message, Queued | Progress) and (job := getattr(message, "job", 0)) in found:
            if not any(found.values()):
                after_first()
            found[job].append(message)
    return found


def assert_works(client: BackendClient) -> None:
    *_, last = client.messages(client.submit(Identity(), PICTURE, WHOLE))
    assert isinstance(last, Result) and last.picture == PICTURE


def cancel_after_a_step(client: BackendClient, seed: int) -> None:
    job = client.submit(DeepDream(seed=seed), PICTURE, WHOLE)
    next(message for message in client.messages(job) if isinstance(message, Progress))
    client.cancel(job)
    with pytest.raises(JobCancelled):
        list(client.messages(job))


# ── Jobs ─────────────────────────────────────────────────────────────────────────────────────────


def test_jobs_run_at_the_same_time_on_all_workers(cluster: Cluster) -> None:
    cluster.add_worker(2)
    with cluster.client() as client:
        jobs = {client.submit(DeepDream(seed=echo_filter.ENDLESS), PICTURE, WHOLE) for _ in range(3)}
        running = set[int]()
        while len(running) < 2:
            message = client.receive()
            if isinstance(message, Progress):
                running.add(message.job)
        (waiting,) = jobs - running
        for job in running:
            client.finish_early(job)
        assert all(isinstance(last, Result) for (last,) in last_messages(client, running).values())
        client.cancel(waiting)
        with pytest.raises(JobCancelled):
            list(client.messages(waiting))


def test_a_job_waits_for_the_first_worker(cluster: Cluster) -> None:
    with cluster.client() as client:
        job = client.submit(Identity(), PICTURE, WHOLE)
        first = next(client.messages(job))
        assert isinstance(first, Queued) and first.place == 1
        cluster.add_worker()
        *_, last = client.messages(job)
        assert isinstance(last, Result) and last.picture == PICTURE


def test_a_killed_worker_loses_and_doubles_nothing(cluster: Cluster) -> None:
    cluster.add_worker(2)
    with cluster.client() as client:
        brief = DeepDream(seed=echo_filter.BRIEF)
        jobs = {client.submit(brief, PICTURE, WHOLE) for _ in range(12)}
        found = last_messages(client, jobs, after_first=lambda: cluster.kill(cluster.workers[0]))
        assert all(len(last) == 1 and isinstance(last[0], Result) for last in found.values())
        eventually(lambda: cluster.capacity() == 1, "the lost worker has left")
        assert_works(client)


def test_a_job_that_ends_its_workers_fails_in_the_end(cluster: Cluster) -> None:
    cluster.add_worker()
    with cluster.client() as client:
        job = client.submit(DeepDream(seed=echo_filter.KILLED), PICTURE, WHOLE)
        with pytest.raises(JobFailed, match="3 workers stopped"):
            list(client.messages(job))
        assert_works(client)


def test_a_lost_job_is_shown_as_waiting_until_it_begins_again(cluster: Cluster) -> None:
    cluster.add_worker()
    with cluster.client() as client:
        job = client.submit(DeepDream(seed=echo_filter.ENDLESS), PICTURE, WHOLE)
        messages = client.messages(job)
        next(message for message in messages if isinstance(message, Progress))
        cluster.kill(cluster.workers[0])
        eventually(lambda: cluster.capacity() == 0, "the lost worker has left")
        cluster.add_worker()
        places = (message.place for message in messages if isinstance(message, Queued))
        assert next(places) == 1
        assert next(places) == 0


def test_a_new_process_replaces_one_with_an_unexpected_error(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MOST_ATTEMPTS", 1)
    cluster.add_worker()
    processes = psutil.Process(cluster.workers[0].pid).children()
    with cluster.client() as client:
        failing = client.submit(DeepDream(seed=echo_filter.LONG_ERROR), PICTURE, WHOLE)
        next_one = client.submit(Identity(), PICTURE, WHOLE)
        with pytest.raises(JobFailed, match="The filter failed"):
            list(client.messages(failing))
        assert isinstance([*client.messages(next_one)][-1], Result)
    assert not all(process.is_running() for process in processes)


def test_a_slow_connection_is_not_silent(
    cluster: Cluster, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "SILENCE_S", 0.5)
    large = Picture(3000, 1000, "RGBA", "u8", secrets.token_bytes(12_000_000))
    with slow_worker(cluster.cluster_port, files) as peer, cluster.client() as client:
        client.submit(Identity(), large, Region(0, 0, 3000, 1000))
        sizes = SIZES.unpack(peer.recv(SIZES.size))
        received = bytearray()
        while len(received) < sum(sizes) and (piece := peer.recv(1 << 18)):
            received += piece
            time.sleep(0.2 * len(piece) / 1_000_000)
        assert received[sizes[0] :] == large.pixels


@contextlib.contextmanager
def slow_worker(port: int, files: Path) -> Iterator[ssl.SSLSocket]:
    """Connect a worker with little room for what it has not read yet."""
    tls = certificates.worker_context(files / WORKER_CERTIFICATE_FILE)
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        plain.connect((HERE, port))
        with tls.wrap_socket(plain, server_hostname=HERE) as peer:
            peer.sendall(b"".join(with_sizes(READY)))
            yield peer


def test_a_silent_worker_is_replaced(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "SILENCE_S", 1.0)
    monkeypatch.setattr(server, "MOST_ATTEMPTS", 1)
    cluster.add_worker()
    with cluster.client() as client:
        job = client.submit(DeepDream(seed=echo_filter.HANG), PICTURE, WHOLE)
        with pytest.raises(JobFailed, match="1 workers stopped"):
            list(client.messages(job))
        assert_works(client)


def test_a_cancelled_job_ends_and_its_worker_goes_on(cluster: Cluster) -> None:
    cluster.add_worker()
    with cluster.client() as client:
        cancel_after_a_step(client, echo_filter.ENDLESS)
        assert_works(client)


def test_a_job_that_ignores_its_end_is_cut_off(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "PATIENCE_S", 0.5)
    cluster.add_worker()
    with cluster.client() as client:
        cancel_after_a_step(client, echo_filter.SLUGGISH)


def test_the_progress_counts_failed_jobs(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "connect", cluster.client)
    cluster.add_worker()
    done: list[float] = []
    list(parallel.in_order([task_without_result()], done.append))
    assert done[-1] == 1


def task_without_result() -> parallel.Task[None]:
    with pytest.raises(JobFailed):
        yield parallel.NewJob(DeepDream(seed=echo_filter.RAISE), PICTURE, WHOLE)


def test_previews_are_made_without_workers(cluster: Cluster) -> None:
    with cluster.client() as client:
        job = client.submit(Identity(), PICTURE, WHOLE, is_preview=True)
        assert isinstance([*client.messages(job)][-1], Result)


def test_large_pictures_arrive_unchanged(cluster: Cluster) -> None:
    cluster.add_worker()
    large = Picture(1500, 1000, "RGBA", "u8", secrets.token_bytes(6_000_000))
    with cluster.client() as client:
        *_, last = client.messages(client.submit(Identity(), large, Region(0, 0, 1500, 1000)))
        assert isinstance(last, Result) and bytes(last.picture.pixels) == large.pixels


# ── Who may connect ──────────────────────────────────────────────────────────────────────────────


def test_a_worker_of_another_cluster_is_refused(cluster: Cluster, other_files: Path) -> None:
    tls = certificates.worker_context(other_files / WORKER_CERTIFICATE_FILE)
    with pytest.raises(AtelierError, match="do not belong to the same cluster"):
        worker.run(Address(HERE, cluster.cluster_port), tls, echo_filter.load)
    assert cluster.capacity() == 0


def test_a_peer_without_a_certificate_reaches_nothing(cluster: Cluster) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    tls.set_alpn_protocols([certificates.VERSIONS])
    with (
        socket.create_connection((HERE, cluster.cluster_port)) as plain,
        tls.wrap_socket(plain) as peer,
        contextlib.suppress(ssl.SSLError, ConnectionError),  # an alert may come before the end
    ):
        assert peer.recv(1) == b""
    with socket.create_connection((HERE, cluster.cluster_port)) as plain:
        plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while plain.recv(4096):
                pass
    assert cluster.capacity() == 0


def test_a_worker_s_certificate_makes_no_scheduler(files: Path) -> None:
    stolen = certificates.scheduler_context(files / WORKER_CERTIFICATE_FILE)
    with socket.create_server((HERE, 0)) as listener:
        port = listener.getsockname()[1]

        def accept() -> None:
            with contextlib.suppress(OSError), stolen.wrap_socket(listener.accept()[0], server_side=True):
                pass

        thread = threading.Thread(target=accept)
        thread.start()
        tls = certificates.worker_context(files / WORKER_CERTIFICATE_FILE)
        with pytest.raises(AtelierError, match="do not belong to the same cluster"):
            worker.run(Address(HERE, port), tls, echo_filter.load)
        thread.join()


def test_a_worker_of_another_version_is_refused(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "VERSIONS", "atelier-cluster/0")
    tls = certificates.worker_context(cluster.files / WORKER_CERTIFICATE_FILE)
    with pytest.raises(AtelierError, match="another version"):
        worker.run(Address(HERE, cluster.cluster_port), tls, echo_filter.load)


# ── Certificates and addresses ───────────────────────────────────────────────────────────────────


def test_certificates_are_private_and_never_overwritten(tmp_path: Path) -> None:
    certificates.make(tmp_path)
    made = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert set(made) == {SCHEDULER_CERTIFICATE_FILE, WORKER_CERTIFICATE_FILE}
    assert all(file.stat().st_mode & 0o077 == 0 for file in tmp_path.iterdir())
    with pytest.raises(AtelierError, match="already"):
        certificates.make(tmp_path)
    assert made == {file.name: file.read_bytes() for file in tmp_path.iterdir()}


def test_an_unusable_file_of_certificates_is_explained(files: Path, tmp_path: Path) -> None:
    file = tmp_path / "worker.pem"
    with pytest.raises(AtelierError, match="missing"):
        certificates.worker_context(file)
    file.write_text("no certificate")
    file.chmod(0o600)
    with pytest.raises(AtelierError, match="no usable certificate"):
        certificates.worker_context(file)
    file.write_bytes((files / WORKER_CERTIFICATE_FILE).read_bytes())
    file.chmod(0o644)
    with pytest.raises(AtelierError, match="Other users can read"):
        certificates.worker_context(file)


def test_without_cryptography_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    monkeypatch.setitem(sys.modules, "cryptography.x509.oid", None)
    with pytest.raises(AtelierError, match=r"install.py --cluster"):
        certificates.make(tmp_path)
    assert not list(tmp_path.iterdir())


def test_addresses() -> None:
    assert parse("tls://192.168.1.5:8790") == ("192.168.1.5", 8790)
    assert parse("tls://[::1]:8790") == ("::1", 8790)
    for wrong in (
        "192.168.1.5:8790",
        "tcp://a:1",
        "tls://a",
        "tls://a:x",
        "tls://:1",
        "tls://a:1/b",
        "tls://u@a:1",
    ):
        with pytest.raises(AtelierError, match="not the address of a cluster"):
            parse(wrong)
