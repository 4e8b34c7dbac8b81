"""The scheduler's side of a cluster: a TLS port. Each worker that connects to it joins the server.

Sources:
    https://docs.python.org/3/library/asyncio-stream.html
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from atelier_shared.codec import MAX_FRAME_BYTES, MAX_MESSAGE_BYTES, unpack
from atelier_shared.deferred_translation import N_
from atelier_shared.errors import AtelierError, ProtocolError
from atelier_shared.messages import (
    Beat,
    Cancel,
    EndRequest,
    Failed,
    Help,
    Message,
    Progress,
    Queued,
    Share,
    Submit,
    TileAnswer,
    TileTask,
)

from ..serving.jobs import Start, Tell
from ..serving.worker import FINAL_MESSAGES, PATIENCE_S
from ..serving.worker_pipe import SIZES, with_sizes
from ..serving.worker_process import READY
from . import tcp_options
from .address import Address
from .certificates import has_same_version

HANDSHAKE_S = 10.0
SILENCE_S = 10.0
"""A worker with a job counts as lost after this time without a byte from it or to it."""
PIECE_BYTES, SENT_BYTES = 1 << 20, 1 << 16
BUFFER_BYTES = 4 << 20

Join = Callable[[Start], None]
Leave = Callable[[Start, bool], None]

log = logging.getLogger(__name__)


@contextlib.contextmanager
def listening(address: Address, tls: ssl.SSLContext, join: Join, leave: Leave) -> Iterator[int]:
    """Listen for workers during the block, and yield the port, which is a free one if the address has 0.

    `join` and `leave` are called from another thread, with the worker's function to start a job. The second
    argument of `leave` is True if the worker had a job.

    Raises:
        AtelierError: the port cannot be used.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    workers = _Workers(join, leave)
    try:
        begin = workers.listen(address, tls)
        port = asyncio.run_coroutine_threadsafe(begin, loop).result()
        yield port
    finally:
        asyncio.run_coroutine_threadsafe(workers.close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Workers:
    """The port and its connections. All methods run in the thread of the event loop."""

    def __init__(self, join: Join, leave: Leave) -> None:
        self._join, self._leave = join, leave
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def listen(self, address: Address, tls: ssl.SSLContext) -> int:
        try:
            self._server = await asyncio.start_server(
                self._connected,
                *address,
                ssl=tls,
                ssl_handshake_timeout=HANDSHAKE_S,
                limit=BUFFER_BYTES,
            )
        except OSError as error:
            raise AtelierError(_NO_PORT, address=address, reason=error.strerror or error) from error
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        if self._server:
            self._server.close()
        for writer in self._connections.values():
            writer.transport.abort()
        await asyncio.gather(*self._connections)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Run a connection of a peer with a certificate of the cluster, until it ends."""
        task = asyncio.current_task()
        assert task
        self._connections[task] = writer
        name = writer.get_extra_info("peername")[0]
        try:
            if has_same_version(writer.get_extra_info("ssl_object")):
                await self._relay(RemoteWorker(reader, writer), name)
            else:
                log.warning("refused a worker on %s with another version of Atelier", name)
        except (OSError, EOFError, ProtocolError) as error:
            log.info("the connection to %s ended: %s", name, error)
        finally:
            writer.transport.abort()
            del self._connections[task]

    async def _relay(self, worker: RemoteWorker, name: str) -> None:
        await worker.wait_until_ready()
        log.info("a worker on %s joins", name)
        self._join(worker.start)
        try:
            await worker.relay()
        finally:
            log.info("a worker on %s leaves", name)
            self._leave(worker.start, worker.has_job)


@dataclass(eq=False)
class RemoteJob:
    """A job that a worker runs: its number, the receiver of its messages, and the requests sent to end it."""

    number: int
    report: Tell
    end_requests: set[type[EndRequest]] = field(default_factory=set)


class RemoteWorker:
    """A worker process at the other end of a connection. It runs one job at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._loop = asyncio.get_running_loop()
        self._job: RemoteJob | None = None
        self._unsent: asyncio.Queue[Message] = asyncio.Queue()
        self._has_moved = False
        self._check: asyncio.TimerHandle | None = None
        writer.transport.set_write_buffer_limits(high=1)  # so that drain() waits until bytes have moved
        tcp_options.use(writer)

    @property
    def has_job(self) -> bool:
        """Whether a job was begun here and has not ended."""
        return self._job is not None

    def start(self, begin: Submit | Help, report: Tell) -> Tell:
        """Start a job and return a function for messages to its worker. Called from any thread."""
        job = RemoteJob(begin.job, report)

        def tell(message: Message) -> None:
            self._loop.call_soon_threadsafe(self._tell, job, message)

        self._loop.call_soon_threadsafe(self._begin, job, begin)
        return tell

    async def wait_until_ready(self) -> None:
        """Wait until the process has loaded."""
        while await self._receive() != READY:
            pass

    async def relay(self) -> None:
        """Pass on the messages of its jobs until the connection ends.

        Raises:
            OSError, EOFError: it has ended, or has to end because of an unexpected error in a job.
            ProtocolError: the worker sent something else.
        """
        sending = asyncio.ensure_future(self._send_all())
        try:
            while True:
                self._handle(await self._receive())
        finally:
            sending.cancel()
            self._stop_checking()

    # ── A job ────────────────────────────────────────────────────────────────────────────────────

    def _begin(self, job: RemoteJob, begin: Submit | Help) -> None:
        if self._writer.transport.is_closing():
            return  # `leave` follows, and the server begins the job again
        self._job = job
        self._send(begin)
        self._check_later()

    def _tell(self, job: RemoteJob, message: Message) -> None:
        if job is not self._job or type(message) in job.end_requests:
            return
        self._send(message)
        if isinstance(message, EndRequest):
            job.end_requests.add(type(message))
        if isinstance(message, Cancel):
            self._loop.call_later(PATIENCE_S, self._abandon, job)

    def _abandon(self, job: RemoteJob) -> None:
        """Close the connection if a cancelled job still runs: its process ends, and a new one connects."""
        if job is self._job:
            self._writer.transport.abort()

    def _handle(self, message: Message) -> None:
        if isinstance(message, Beat):
            return
        if self._job is None or getattr(message, "job", None) != self._job.number:
            raise ProtocolError(f"Received a {message.type} message of no job.")
        if isinstance(message, FINAL_MESSAGES):
            report, self._job = self._job.report, None
            self._stop_checking()
            report(message)
            if isinstance(message, Failed) and message.reason == "internal":
                raise ConnectionAbortedError("the state of its process is unknown after an unexpected error")
        elif isinstance(message, Progress | Share | TileTask | TileAnswer):
            self._job.report(message)
        elif not isinstance(message, Queued):
            raise ProtocolError(f"Received a {message.type} message, which workers must not send.")

    # ── Silence ──────────────────────────────────────────────────────────────────────────────────

    def _check_later(self) -> None:
        self._has_moved = False
        self._check = self._loop.call_later(SILENCE_S, self._check_now)

    def _check_now(self) -> None:
        """Close the connection if no byte has moved in either direction since the last check."""
        if self._has_moved:
            self._check_later()
        else:
            log.warning("a worker with a job was silent for %.0f seconds", SILENCE_S)
            self._writer.transport.abort()

    def _stop_checking(self) -> None:
        if self._check:
            self._check.cancel()

    # ── Messages ─────────────────────────────────────────────────────────────────────────────────

    def _send(self, message: Message) -> None:
        self._unsent.put_nowait(message)

    async def _send_all(self) -> None:
        """Send messages in the order of the calls, until the connection ends."""
        with contextlib.suppress(OSError):  # `relay` raises it
            while True:
                await self._write(await self._unsent.get())

    async def _write(self, message: Message) -> None:
        for frame in with_sizes(message):
            view = memoryview(frame)
            for start in range(0, len(view), SENT_BYTES):
                self._writer.write(view[start : start + SENT_BYTES])
                await self._writer.drain()
                self._has_moved = True

    async def _receive(self) -> Message:
        """Wait for the next message. A worker belongs to the cluster, but its sizes are checked first."""
        sizes = SIZES.unpack(await self._read(SIZES.size))
        if max(sizes) > MAX_FRAME_BYTES or sum(sizes) > MAX_MESSAGE_BYTES:
            raise ProtocolError("Received too large a message.")
        return unpack([await self._read(size) for size in sizes if size])

    async def _read(self, size: int) -> bytearray:
        data = bytearray()
        while len(data) < size:
            piece = await self._reader.read(min(PIECE_BYTES, size - len(data)))
            if not piece:
                raise EOFError("the worker has closed it")
            self._has_moved = True
            data += piece
        return data


_NO_PORT = N_("{address} cannot be used ({reason}). Choose another port, or an address of this machine.")
