"""The server with the plug-in's own client and with libzmq's DEALER, over real sockets."""

from __future__ import annotations

import gc
import multiprocessing
import secrets
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from multiprocessing.context import SpawnProcess
from pathlib import Path

import echo_filter
import psutil
import pytest
import zmq
from conftest import eventually, installed_in
from echo_filter import FINISHING

from atelier_shared import launcher
from atelier_shared.client import BackendClient
from atelier_shared.codec import joined, pack, unpack
from atelier_shared.deepdream import DeepDream
from atelier_shared.errors import JobCancelled, JobFailed, ProtocolError, VersionMismatch
from atelier_shared.messages import (
    PROTOCOL_VERSION,
    Arrays,
    Beat,
    Cancel,
    Failed,
    Frame,
    Hello,
    Help,
    HelpBegins,
    HelpEnds,
    Message,
    Picture,
    Progress,
    Queued,
    Refused,
    Region,
    Result,
    Share,
    Submit,
    TileAnswer,
    TileTask,
    Welcome,
)
from atelier_shared.requests import Identity
from atelier_shared.signing import (
    DIGEST_PIECE_BYTES,
    NONCE_BYTES,
    PLAIN_USERNAME,
    Signer,
    backend_proof,
    frame_digest,
    plain_password,
    unsigned,
)
from backend.serving import worker_process
from backend.serving.authentication import AuthenticatedRouter
from backend.serving.server import Server
from backend.serving.worker import LocalWorker

PICTURE = Picture(3, 2, "RGB", "u8", bytes(range(18)))
WHOLE = Region(0, 0, 3, 2)
LITTLE_BYTES = 4_000_000
HANG_S = 7.0
"""The hang time-out in tests of it: longer than the start of a worker on a slow computer."""
LARGE, ALL_OF_IT = Picture(4000, 1500, "RGB", "u8", bytes(18_000_000)), Region(0, 0, 4000, 1500)


@dataclass
class Running:
    port: int
    key: bytes
    server: Server
    thread: threading.Thread

    def client(self) -> BackendClient:
        return BackendClient(self.port, self.key)


@pytest.fixture
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """Run a server with a worker and the scripted filter; the parameter may set constants of the worker."""
    options = getattr(request, "param", {})
    key = secrets.token_bytes(32)
    for name in ("HANG_S", "PATIENCE_S"):
        if name in options:
            monkeypatch.setattr(f"backend.serving.worker.{name}", options[name])
    load = options.get("load", echo_filter.load)
    worker, second = LocalWorker(load), LocalWorker(load, starts_at_once=False)
    with zmq.Context() as context, AuthenticatedRouter(context, key) as router:
        port = router.port
        server = Server(router, key, worker.start, second.start, idle_s=options.get("idle_s", 60.0))
        thread = threading.Thread(target=server.serve)
        thread.start()
        yield Running(port, key, server, thread)
        if thread.is_alive():
            with BackendClient(port, key) as client:
                client.stop_backend()
        thread.join(60)
        worker.close()
        second.close()
        assert not thread.is_alive()


class RawClient:
    """A libzmq DEALER with the key, for sending any frames."""

    def __init__(self, port: int, key: bytes) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVTIMEO, 20_000)
        self.socket.setsockopt_string(zmq.PLAIN_USERNAME, PLAIN_USERNAME)
        self.socket.setsockopt_string(zmq.PLAIN_PASSWORD, plain_password(key, port))
        self.socket.connect(f"tcp://127.0.0.1:{port}")

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        self.context.term()

    def send(self, frames: Sequence[Frame]) -> None:
        self.socket.send_multipart(frames)

    def receive(self) -> tuple[bytes, Message]:
        signature, *frames = self.socket.recv_multipart()
        return signature, unpack(frames)

    def shake_hands(self, key: bytes) -> Signer:
        nonce = secrets.token_hex(NONCE_BYTES)
        self.send(unsigned(pack(Hello(PROTOCOL_VERSION, nonce))))
        _, welcome = self.receive()
        assert isinstance(welcome, Welcome)
        assert welcome.proof == backend_proof(key, nonce, welcome.nonce)
        return Signer(key, nonce, welcome.nonce, backend=False)

    def next_unsigned(self, signer: Signer) -> Message:
        """Return the next unsigned message, after verifying the signed ones before it."""
        while True:
            signature, *frames = self.socket.recv_multipart()
            if not signature:
                return unpack(frames)
            signer.verify([signature, *frames])

    def next_except_beats(self, signer: Signer) -> Message:
        """Return the next message other than a beat, after verifying all signatures."""
        while True:
            message = unpack(signer.verify(self.socket.recv_multipart()))
            if not isinstance(message, Beat):
                return message


def result(client: BackendClient, job: int) -> Result:
    *_, last = client.messages(job)
    assert isinstance(last, Result)
    return last


def assert_works(backend: Running) -> None:
    with backend.client() as client:
        assert result(client, client.submit(Identity(), PICTURE, WHOLE)).picture == PICTURE


def test_a_job_is_queued_reports_progress_and_returns_a_result(backend: Running) -> None:
    with backend.client() as client:
        job = client.submit(Identity(), PICTURE, WHOLE)
        assert list(client.messages(job)) == answers_to(job)


def test_jobs_of_other_clients_wait_in_a_queue(backend: Running) -> None:
    with backend.client() as first, backend.client() as second, backend.client() as third:
        endless = first.submit(DeepDream(seed=echo_filter.ENDLESS), PICTURE, WHOLE)
        progress = (message for message in first.messages(endless) if isinstance(message, Progress))
        next(progress)
        waiting = second.submit(Identity(), PICTURE, WHOLE)
        messages = second.messages(waiting)
        assert next(messages) == Queued(waiting, 1)
        last = third.submit(Identity(), PICTURE, WHOLE)
        third_messages = third.messages(last)
        assert next(third_messages) == Queued(last, 2)
        first.cancel(endless)
        with pytest.raises(JobCancelled):
            list(progress)
        assert list(messages) == answers_to(waiting)
        assert list(third_messages) == [Queued(last, 1), *answers_to(last)]


def answers_to(job: int) -> list[Message]:
    """Return the messages about a job from its start on."""
    return [Queued(job, 0), Progress(job, 1, 1), Result(job, PICTURE)]


def test_cancelling_a_waiting_job_moves_later_jobs_up(backend: Running) -> None:
    with backend.client() as client, backend.client() as other:
        endless = client.submit(DeepDream(seed=echo_filter.ENDLESS), PICTURE, WHOLE)
        next(message for message in client.messages(endless) if isinstance(message, Progress))
        waiting = client.submit(Identity(), PICTURE, WHOLE)
        assert next(client.messages(waiting)) == Queued(waiting, 1)
        last = other.submit(Identity(), PICTURE, WHOLE)
        messages = other.messages(last)
        assert next(messages) == Queued(last, 2)
        client.cancel(waiting)
        with pytest.raises(JobCancelled):
            list(client.messages(waiting))
        assert next(messages) == Queued(last, 1)


def test_a_preview_does_not_wait_for_a_run(backend: Running) -> None:
    with backend.client() as first, backend.client() as second:
        endless = first.submit(DeepDream(seed=echo_filter.ENDLESS), PICTURE, WHOLE)
        next(message for message in first.messages(endless) if isinstance(message, Progress))
        waiting = second.submit(Identity(), PICTURE, WHOLE)
        for _ in range(2):
            preview = second.submit(Identity(), PICTURE, WHOLE, is_preview=True)
            assert list(second.messages(preview)) == answers_to(preview)
        first.cancel(endless)
        assert list(second.messages(waiting)) == answers_to(waiting)


def test_a_run_takes_the_worker_from_a_preview_which_begins_again(backend: Running) -> None:
    with backend.client() as first, backend.client() as second:
        preview = first.submit(DeepDream(seed=echo_filter.ENDLESS), PICTURE, WHOLE, is_preview=True)
        messages = first.messages(preview)
        next(message for message in messages if isinstance(message, Progress))
        run = second.submit(Identity(), PICTURE, WHOLE)
        assert list(second.messages(run)) == [Queued(run, 1), *answers_to(run)]
        assert Queued(preview, 0) in messages, "the preview has not begun again"
        assert isinstance(next(messages), Progress)
        first.cancel(preview)
        with pytest.raises(JobCancelled):
            list(messages)
        assert_works(backend)


def test_an_interrupted_preview_can_be_cancelled(backend: Running) -> None:
    with backend.client() as client:
        preview = client.submit(DeepDream(seed=echo_filter.SLUGGISH), PICTURE, WHOLE, is_preview=True)
        next(message for message in client.messages(preview) if isinstance(message, Progress))
        run = client.submit(Identity(), PICTURE, WHOLE)
        client.cancel(preview)
        with pytest.raises(JobCancelled):
            list(client.messages(preview))
        assert result(client, run).picture == PICTURE


def test_previews_wait_for_each_other_when_both_workers_are_busy(backend: Running) -> None:
    endless = DeepDream(seed=echo_filter.ENDLESS)
    with backend.client() as client, backend.client() as other:
        both = [client.submit(endless, PICTURE, WHOLE, is_preview=is_preview) for is_preview in (False, True)]
        seen = client.messages(both[1])
        next(message for message in seen if isinstance(message, Progress))
        third = other.submit(Identity(), PICTURE, WHOLE, is_preview=True)
        messages = other.messages(third)
        assert next(messages) == Queued(third, 1)
        client.cancel(both[1])
        assert list(messages) == answers_to(third)
        assert [job.submit.job for job in backend.server._running()] == both[:1]


def test_a_job_that_finishes_early_returns_its_current_result(backend: Running) -> None:
    with backend.client() as client, backend.client() as other:
        job = client.submit(DeepDream(seed=echo_filter.ENDLESS), PICTURE, WHOLE)
        messages = client.messages(job)
        next(message for message in messages if isinstance(message, Progress))
        behind = other.submit(Identity(), PICTURE, WHOLE)
        client.finish_early(job)
        *_, step, last = messages
        assert (step, last) == (Progress(job, 1, 1), Result(job, PICTURE))
        assert list(other.messages(behind))[-3:] == answers_to(behind)


def test_a_job_that_finishes_early_at_once_does_its_first_step(backend: Running) -> None:
    with backend.client() as client:
        job = client.submit(DeepDream(seed=echo_filter.ENDLESS), PICTURE, WHOLE)
        client.finish_early(job)
        begun, step, *_, last = client.messages(job)
        assert begun == Queued(job, 0)
        assert isinstance(step, Progress) and step.preview == PICTURE
        assert last == Result(job, PICTURE)


def test_finishing_a_waiting_job_early_drops_it(backend: Running) -> None:
    with backend.client() as client:
        endless = client.submit(DeepDream(seed=echo_filter.ENDLESS), PICTURE, WHOLE)
        next(message for message in client.messages(endless) if isinstance(message, Progress))
        waiting = client.submit(Identity(), PICTURE, WHOLE)
        client.finish_early(waiting)
        with pytest.raises(JobCancelled):
            list(client.messages(waiting))
        client.finish_early(endless)
        assert result(client, endless).picture == PICTURE


def test_finishing_twice_or_an_unknown_job_has_no_effect(backend: Running) -> None:
    with backend.client() as client, backend.client() as other:
        job = client.submit(DeepDream(seed=echo_filter.ENDLESS), PICTURE, WHOLE)
        messages = client.messages(job)
        next(message for message in messages if isinstance(message, Progress))
        other.finish_early(job)  # another client's number
        client.finish_early(job + 1)
        waiting = other.submit(Identity(), PICTURE, WHOLE)
        assert next(other.messages(waiting)) == Queued(waiting, 1)  # the messages before it were processed
        assert all(isinstance(next(messages), Progress) for _ in range(50))
        for _ in range(2):
            client.finish_early(job)
        assert [message.type for message in messages].count("result") == 1
        client.finish_early(job)
        assert list(client.messages(client.submit(Identity(), PICTURE, WHOLE)))[-1].type == "result"


@pytest.mark.parametrize("backend", [{"load": echo_filter.load_stubborn}], indirect=True)
def test_a_job_can_be_cancelled_after_finishing_early(backend: Running) -> None:
    with backend.client() as client:
        job = client.submit(DeepDream(seed=echo_filter.ENDLESS), PICTURE, WHOLE)
        messages = client.messages(job)
        client.finish_early(job)
        finishing = (
            message for message in messages if isinstance(message, Progress) and message.step == FINISHING
        )
        next(finishing)
        client.cancel(job)
        with pytest.raises(JobCancelled):
            list(messages)


@pytest.mark.parametrize("backend", [{"HANG_S": HANG_S}], indirect=True)
def test_thousands_of_end_requests_do_not_block_a_busy_worker(backend: Running) -> None:
    """The worker reads only between steps, and the pipe cannot hold all requests."""
    with backend.client() as client:
        job = client.submit(DeepDream(seed=echo_filter.SLOW), PICTURE, WHOLE)
        for _ in range(20_000):
            client.finish_early(job)
        assert result(client, job).picture == PICTURE


@pytest.mark.parametrize("backend", [{"PATIENCE_S": 1.0}], indirect=True)
def test_cancelling_interrupts_a_long_step(backend: Running) -> None:
    with backend.client() as client:
        job = client.submit(DeepDream(seed=echo_filter.SLUGGISH), PICTURE, WHOLE)
        messages = client.messages(job)
        next(message for message in messages if isinstance(message, Progress))
        (at_work,) = multiprocessing.active_children()
        client.cancel(job)
        with pytest.raises(JobCancelled):
            list(messages)
        assert not at_work.is_alive()
    assert_works(backend)


def test_many_clients_may_disconnect_at_once(backend: Running) -> None:
    with backend.client() as client:
        endless = client.submit(DeepDream(seed=echo_filter.ENDLESS), PICTURE, WHOLE)
        progress = (message for message in client.messages(endless) if isinstance(message, Progress))
        next(progress)
        for place in range(1, 6):
            with backend.client() as other:
                assert next(other.messages(other.submit(Identity(), PICTURE, WHOLE))).type == "queued", place
        client.cancel(endless)
        with pytest.raises(JobCancelled):
            list(progress)
    assert_works(backend)


def test_a_job_beyond_the_queue_limit_is_refused(backend: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.serving.server.MAX_WAITING", 1)
    with backend.client() as client:
        endless = client.submit(DeepDream(seed=echo_filter.ENDLESS), PICTURE, WHOLE)
        next(message for message in client.messages(endless) if isinstance(message, Progress))
        client.submit(Identity(), PICTURE, WHOLE)
        with pytest.raises(JobFailed, match="Try again later") as failure:
            list(client.messages(client.submit(Identity(), PICTURE, WHOLE)))
    assert failure.value.reason == "busy"


def test_pictures_beyond_the_memory_limit_of_the_queue_are_refused(
    backend: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first waiting job is accepted however large it is."""
    monkeypatch.setattr("backend.serving.server.MAX_WAITING_BYTES", len(LARGE.pixels) + 100)
    with backend.client() as client:
        endless = client.submit(DeepDream(seed=echo_filter.ENDLESS), PICTURE, WHOLE)
        next(message for message in client.messages(endless) if isinstance(message, Progress))
        for picture, region in ((LARGE, ALL_OF_IT), (PICTURE, WHOLE)):
            job = client.submit(Identity(), picture, region)
            assert next(client.messages(job)).type == "queued"
        styles = [PICTURE] * 9
        with pytest.raises(JobFailed, match=r"take up too much memory.*Try again later") as failure:
            list(client.messages(client.submit(Identity(), PICTURE, WHOLE, styles)))
    assert failure.value.reason == "busy"


@pytest.mark.parametrize("backend", [{"load": echo_filter.load_slowly, "HANG_S": HANG_S}], indirect=True)
def test_a_slowly_loading_worker_does_not_count_as_hung(backend: Running) -> None:
    """The worker reads nothing meanwhile, and the picture is larger than the socket's buffer."""
    with backend.client() as client:
        assert result(client, client.submit(Identity(), LARGE, ALL_OF_IT)).picture == LARGE


@pytest.mark.parametrize("backend", [{"load": echo_filter.load_slowly}], indirect=True)
def test_cancelling_while_the_worker_starts_does_not_block_the_server(backend: Running) -> None:
    """The picture is larger than the socket's buffer, and the process does not read yet."""
    with backend.client() as client:
        job = client.submit(DeepDream(seed=echo_filter.ENDLESS), LARGE, ALL_OF_IT)
        assert next(client.messages(job)) == Queued(job, 0)
        client.cancel(job)
        backend.client().close()  # raises if the server waits for the worker
        with pytest.raises(JobCancelled):
            list(client.messages(job))
    assert_works(backend)


def test_the_job_of_a_disconnected_client_is_dropped(backend: Running) -> None:
    with backend.client() as client:
        job = client.submit(DeepDream(seed=echo_filter.ENDLESS), PICTURE, WHOLE)
        next(message for message in client.messages(job) if isinstance(message, Progress))
    assert_works(backend)


@pytest.mark.parametrize(
    ("seed", "reason"),
    [
        (echo_filter.RAISE, "bad-request"),
        (echo_filter.NO_MEMORY, "out-of-memory"),
        (echo_filter.LONG_ERROR, "internal"),
        (echo_filter.CRASH, "worker-died"),
        (echo_filter.KILLED, "worker-died"),
    ],
)
def test_after_a_failed_job_the_next_one_runs(backend: Running, seed: int, reason: str) -> None:
    with backend.client() as client, pytest.raises(JobFailed) as failure:
        list(client.messages(client.submit(DeepDream(seed=seed), PICTURE, WHOLE)))
    assert failure.value.reason == reason
    assert str(failure.value).endswith(".")
    assert_works(backend)


@pytest.mark.parametrize("backend", [{"HANG_S": HANG_S}], indirect=True)
def test_a_hung_worker_is_replaced(backend: Running) -> None:
    with backend.client() as client, pytest.raises(JobFailed) as failure:
        list(client.messages(client.submit(DeepDream(seed=echo_filter.HANG), PICTURE, WHOLE)))
    assert failure.value.reason == "worker-hung"
    assert_works(backend)


@pytest.mark.parametrize("backend", [{"idle_s": 5.0}], indirect=True)
def test_an_idle_server_exits(backend: Running) -> None:
    assert_works(backend)
    backend.thread.join(60)
    assert not backend.thread.is_alive()


def own_memory(process: psutil.Process) -> int:
    """Return the private memory of a process in bytes."""
    memory = process.memory_info()
    return memory.rss - memory.shared


def test_the_server_returns_the_memory_of_large_pictures(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This includes memory of other threads: libzmq's, and the one reading from the worker."""
    monkeypatch.setenv("ATELIER_HOME", str(installed_in(tmp_path, models)))
    with launcher.connect() as client:
        connection = launcher.read_connection()
        assert connection
        server = psutil.Process(connection.pid)
        before = own_memory(server)
        for _ in range(4):
            assert result(client, client.submit(Identity(), LARGE, ALL_OF_IT)).picture == LARGE
        eventually(lambda: own_memory(server) < before + LITTLE_BYTES, "the server returns its memory")
        client.stop_backend()
        client.wait_until_gone()


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid)


def test_a_released_worker_is_restarted_for_the_next_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.serving.worker.RELEASE_S", 0.1)
    worker = LocalWorker(echo_filter.load)
    for _ in range(2):
        done = threading.Event()

        def note(message: Message, done: threading.Event = done) -> None:
            if isinstance(message, Result):
                done.set()

        worker.start(Submit(1, Identity(), PICTURE, WHOLE), note)
        assert done.wait(60)
        process = worker._process
        assert process and process.pid
        # psutil is used because the worker's thread already waits for the process, and only one can.
        eventually(partial(is_gone, process.pid), "the worker has ended")
    worker.close()


def test_garbage_collection_is_off_only_while_modules_are_loaded() -> None:
    with pytest.raises(ImportError), worker_process._without_collection():
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled()


def test_an_idle_worker_returns_the_memory_of_its_jobs() -> None:
    worker, done = LocalWorker(echo_filter.load), threading.Event()

    def note(message: Message) -> None:
        if isinstance(message, Result):
            done.set()

    worker.start(Submit(1, DeepDream(seed=echo_filter.HOARD), PICTURE, WHOLE), note)
    assert done.wait(60)
    assert worker._process
    process = psutil.Process(worker._process.pid)
    eventually(lambda: own_memory(process) < echo_filter.HOARDED_BYTES, "the worker returns its memory")
    worker.close()


def test_a_worker_can_be_closed_while_its_process_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.serving.worker.RELEASE_S", 0.1)
    worker = LocalWorker(echo_filter.load)
    eventually(lambda: worker._pipe is None, "the worker is released")
    starting, killed, reported = threading.Event(), threading.Event(), list[Message]()
    start, kill = SpawnProcess.start, SpawnProcess.kill

    def start_slowly(process: SpawnProcess) -> None:
        starting.set()
        assert killed.wait(20)
        start(process)

    def kill_and_notify(process: SpawnProcess) -> None:
        if starting.is_set():  # not at the release before
            killed.set()
        kill(process)

    monkeypatch.setattr(SpawnProcess, "start", start_slowly)
    monkeypatch.setattr(SpawnProcess, "kill", kill_and_notify)
    worker.start(Submit(1, Identity(), PICTURE, WHOLE), reported.append)
    assert starting.wait(20)
    worker.close()
    assert isinstance(reported[-1], (Failed, Result))


# ── Protocol violations ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "frames",
    [
        [b""],
        [b"", b""],
        [b"", b"no json"],
        [b"", b"[]"],
        [b"", b'{"type": "hello", "version": 2, "nonce": "short"}'],
        [b"", *pack(Cancel(1))],
        [b"x" * 32, *pack(Cancel(1))],
        [b"", b"{}" * 60_000],
        [b""] * 40,
    ],
    ids=[
        "nothing",
        "empty",
        "not-json",
        "not-an-object",
        "bad-nonce",
        "unsigned",
        "not-verified",
        "large",
        "many",
    ],
)
def test_a_first_message_other_than_hello_is_refused(backend: Running, frames: list[bytes]) -> None:
    with RawClient(backend.port, backend.key) as raw_client:
        raw_client.send(frames)
        signature, answer = raw_client.receive()
        assert signature == b"" and isinstance(answer, Refused)
    assert_works(backend)


def test_another_protocol_version_is_refused_with_a_remedy(
    backend: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("atelier_shared.client.PROTOCOL_VERSION", PROTOCOL_VERSION + 1)
    with pytest.raises(VersionMismatch, match=r"install\.py"):
        backend.client()
    monkeypatch.undo()
    assert_works(backend)


def test_after_a_forged_message_the_genuine_one_is_accepted(backend: Running) -> None:
    with RawClient(backend.port, backend.key) as client:
        signer = client.shake_hands(backend.key)
        signed = signer.sign(pack(Submit(7, Identity(), PICTURE, WHOLE)))
        altered = [*signed[:-1], bytes(18)]
        for forged in ([b"x" * 32, *signed[1:]], altered, signed[:1], [*signed, b"more"]):
            client.send([bytes(frame) for frame in forged])
            assert isinstance(client.next_unsigned(signer), Refused)
        client.send([bytes(frame) for frame in signed])
        answers = [client.next_except_beats(signer) for _ in range(3)]
        assert answers == [Queued(7, 0), Progress(7, 1, 1), Result(7, PICTURE)]


def test_messages_between_the_workers_of_a_cluster_are_refused_from_clients(backend: Running) -> None:
    between_workers = (
        Share(1),
        Help(1, Identity()),
        HelpBegins(1, 1),
        HelpEnds(1, 1),
        TileTask(1, 1, 1, "sums", 0, WHOLE, Arrays({"image": (1,)}, bytes(4))),
        TileAnswer(1, 1, Arrays({}, b"")),
    )
    with RawClient(backend.port, backend.key) as client:
        signer = client.shake_hands(backend.key)
        for message in between_workers:
            client.send([bytes(frame) for frame in signer.sign(pack(message))])
            refused = client.next_except_beats(signer)
            assert isinstance(refused, Refused) and "clients must not send" in refused.sentence
    assert_works(backend)


def test_a_replayed_message_is_refused(backend: Running) -> None:
    with RawClient(backend.port, backend.key) as client:
        signer = client.shake_hands(backend.key)
        signed = [bytes(frame) for frame in signer.sign(pack(Submit(1, Identity(), PICTURE, WHOLE)))]
        client.send(signed)
        assert [client.next_except_beats(signer).type for _ in range(3)] == ["queued", "progress", "result"]
        client.send(signed)
        assert isinstance(client.next_except_beats(signer), Refused)
        with RawClient(backend.port, backend.key) as other:
            others = other.shake_hands(backend.key)
            other.send(signed)
            assert isinstance(other.next_unsigned(others), Refused)


def test_after_a_signed_but_invalid_message_the_connection_still_works(backend: Running) -> None:
    with RawClient(backend.port, backend.key) as client:
        signer = client.shake_hands(backend.key)
        header = bytes(pack(Submit(1, DeepDream(), PICTURE, WHOLE))[0])
        header = header.replace(b'"octaves": 4', b'"octaves": 4000')
        client.send([bytes(frame) for frame in signer.sign([header, PICTURE.pixels])])
        refused = client.next_except_beats(signer)
        assert isinstance(refused, Refused) and "octaves must be from" in refused.sentence
        client.send([bytes(frame) for frame in signer.sign(pack(Submit(2, Identity(), PICTURE, WHOLE)))])
        assert client.next_except_beats(signer) == Queued(2, 0)


def test_a_job_number_used_twice_is_refused(backend: Running) -> None:
    with RawClient(backend.port, backend.key) as client:
        signer = client.shake_hands(backend.key)
        for _ in range(2):
            submit = Submit(1, DeepDream(seed=echo_filter.ENDLESS), PICTURE, WHOLE)
            client.send([bytes(frame) for frame in signer.sign(pack(submit))])
        kinds = set()
        while "refused" not in kinds:
            kinds.add(client.next_except_beats(signer).type)
        assert "queued" in kinds


def test_the_oldest_unverified_clients_are_forgotten_first(
    backend: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.serving.server.MAX_CLIENTS", 4)
    with backend.client() as client, ExitStack() as crowd:
        assert result(client, client.submit(Identity(), PICTURE, WHOLE))
        raw_clients = [crowd.enter_context(RawClient(backend.port, backend.key)) for _ in range(5)]
        signers = [raw_client.shake_hands(backend.key) for raw_client in raw_clients]
        assert len(backend.server._clients) == 4
        for raw_client, signer in ((raw_clients[0], signers[0]), (raw_clients[-1], signers[-1])):
            raw_client.send(signer.sign(pack(Submit(1, Identity(), PICTURE, WHOLE))))
        assert isinstance(raw_clients[0].next_unsigned(signers[0]), Refused)
        assert raw_clients[-1].next_except_beats(signers[-1]) == Queued(1, 0)
        assert result(client, client.submit(Identity(), PICTURE, WHOLE))


def test_a_client_too_many_is_told_so(backend: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence is signed: a client believes no other."""
    monkeypatch.setattr("backend.serving.server.MAX_CLIENTS", 1)
    with backend.client() as client:
        assert result(client, client.submit(Identity(), PICTURE, WHOLE))
        with backend.client() as another:
            job = another.submit(Identity(), PICTURE, WHOLE)
            with pytest.raises(ProtocolError, match=r"programs are already connected.*Close one"):
                list(another.messages(job))
        assert result(client, client.submit(Identity(), PICTURE, WHOLE))
    monkeypatch.undo()


def test_a_message_is_verified_without_memory_for_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = secrets.token_bytes(2 * DIGEST_PIECE_BYTES + 5)
    expected = frame_digest(frame)

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert frame_digest(frame) == expected


def test_a_second_hello_on_a_connection_is_refused(backend: Running) -> None:
    with RawClient(backend.port, backend.key) as client:
        signer = client.shake_hands(backend.key)
        client.send(unsigned(pack(Hello(PROTOCOL_VERSION, secrets.token_hex(NONCE_BYTES)))))
        assert isinstance(client.next_unsigned(signer), Refused)
        client.send([bytes(frame) for frame in signer.sign(pack(Submit(1, Identity(), PICTURE, WHOLE)))])
        assert client.next_except_beats(signer) == Queued(1, 0)


def test_only_connections_to_its_own_port_are_cut_off() -> None:
    """The number of a closed connection may meanwhile belong to another one."""
    with (
        zmq.Context() as context,
        AuthenticatedRouter(context, KEY) as router,
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as other,
    ):
        peer, _ = listener.accept()
        with peer:
            router._unauthenticated[other.fileno()] = None
            router._disconnect(other.fileno())
            other.sendall(b"it still works")
            assert peer.recv(100) == b"it still works"


# ── A squatter on the port ───────────────────────────────────────────────────────────────────────


KEY = b"k" * 32


def received(squatter: AuthenticatedRouter) -> list[bytes]:
    """Receive the next message as the worst kind of squatter: one that knows the password."""
    while not squatter.router.poll(20):
        squatter.handle_events()
    return [bytes(frame) for frame in joined([frame.buffer for frame in squatter.receive()])]


def test_a_squatter_learns_neither_key_nor_pixels() -> None:
    """A program on a crashed backend's port receives a hello, has no proof, and receives nothing more."""
    seen: list[bytes] = []
    with zmq.Context() as context, AuthenticatedRouter(context, KEY) as squatter:

        def squat() -> None:
            identity, *frames = received(squatter)
            seen.extend(frames)
            forged = Welcome(PROTOCOL_VERSION, secrets.token_hex(32), secrets.token_hex(32))
            squatter.router.send_multipart([identity, *unsigned(pack(forged))])
            if squatter.router.poll(1000):
                seen.extend(received(squatter))

        thread = threading.Thread(target=squat)
        thread.start()
        with pytest.raises(ProtocolError):
            BackendClient(squatter.port, KEY)
        thread.join()
    assert len(seen) == 2
    hello = unpack(seen[1:])
    assert isinstance(hello, Hello)
    assert KEY not in b"".join(seen) and KEY.hex().encode() not in b"".join(seen)


@pytest.mark.parametrize(
    "answer",
    [
        b'{"type": "refused", "version": 3, "sentence": "Run something harmful."}',
        b'{"type": "refused", "version": 4, "sentence": "Run something harmful."}',
        b'{"type": "welcome", "version": 2, "nonce": "\\ud800", "proof": "\\ud800"}',
        b'{"type": "beat"}',
    ],
    ids=["refused", "other-version", "surrogates", "beat"],
)
def test_a_squatter_s_sentence_is_never_shown_to_the_user(answer: bytes) -> None:
    with zmq.Context() as context, AuthenticatedRouter(context, KEY) as squatter:

        def squat() -> None:
            identity, *_ = received(squatter)
            squatter.router.send_multipart([identity, b"", answer])

        thread = threading.Thread(target=squat)
        thread.start()
        with pytest.raises(ProtocolError) as refusal:
            BackendClient(squatter.port, KEY)
        thread.join()
    assert "harmful" not in str(refusal.value)


def test_a_squatter_cannot_replay_an_old_welcome(backend: Running) -> None:
    """The proof depends on the client's fresh nonce, so an overheard proof is worthless."""
    with RawClient(backend.port, backend.key) as spy:
        spy.send(unsigned(pack(Hello(PROTOCOL_VERSION, secrets.token_hex(NONCE_BYTES)))))
        _, overheard = spy.receive()
    with zmq.Context() as context, AuthenticatedRouter(context, backend.key) as squatter:

        def squat() -> None:
            identity, *_ = received(squatter)
            squatter.router.send_multipart([identity, *unsigned(pack(overheard))])

        thread = threading.Thread(target=squat)
        thread.start()
        with pytest.raises(ProtocolError):
            BackendClient(squatter.port, backend.key)
        thread.join()
