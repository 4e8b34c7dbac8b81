"""A worker's side of a cluster: a worker process whose pipe is carried to the scheduler over TLS.

The end of the connection ends the process, and the end of the process ends the connection. In both cases a
new process connects, after a pause if the scheduler cannot be reached.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from atelier_shared.deferred_translation import N_
from atelier_shared.errors import AtelierError

from ..serving import worker_process
from ..serving.worker_process import Load
from . import tcp_options
from .address import Address
from .certificates import has_same_version

CONNECT_S = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
"""Between attempts to reach the scheduler; each is twice the last."""
PIECE_BYTES = 1 << 20
CERTIFICATE_ALERTS = ("CERTIFICATE", "UNKNOWN_CA")
"""In OpenSSL's names of errors about certificates, own or received."""

log = logging.getLogger(__name__)


def run(address: Address, tls: ssl.SSLContext, load: Load) -> None:
    """Run the jobs of a scheduler until this process is ended.

    Raises:
        AtelierError: one side refused the other's certificate, or the versions differ.
    """
    asyncio.run(_keep(address, tls, load))


async def _keep(address: Address, tls: ssl.SSLContext, load: Load) -> None:
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            connecting = asyncio.open_connection(*address, ssl=tls, limit=PIECE_BYTES)
            reader, writer = await asyncio.wait_for(connecting, CONNECT_S)
            pause_s = FIRST_PAUSE_S
            await _work(reader, writer, load, address)
            log.info("the connection to %s has ended", address)
        except ssl.SSLError as error:
            if any(each in str(error.reason) for each in CERTIFICATE_ALERTS):
                raise AtelierError(_REFUSED, address=address) from error
            log.warning("the connection to %s failed: %s", address, error)
        except (OSError, asyncio.TimeoutError) as error:
            log.warning("%s cannot be reached: %s", address, str(error) or "no answer")
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


async def _work(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, load: Load, address: Address
) -> None:
    """Run a worker process on a connection until either ends.

    Raises:
        AtelierError: the scheduler has another version.
        OSError: the connection was lost, or the scheduler refused the certificate.
    """
    try:
        if not has_same_version(writer.get_extra_info("ssl_object")):
            raise AtelierError(_OTHER_VERSION, address=address)
        tcp_options.use(writer)
        with _process(load) as pipe:
            from_process, to_process = await asyncio.open_connection(sock=pipe, limit=PIECE_BYTES)
            log.info("connected to %s", address)
            copies = [_copy(reader, to_process), _copy(from_process, writer)]
            await _until_one_ends([asyncio.ensure_future(copy) for copy in copies])
            to_process.transport.abort()
    finally:
        writer.transport.abort()


@contextmanager
def _process(load: Load) -> Iterator[socket.socket]:
    """Start a worker process, yield our end of its pipe, and end it after the block."""
    process, pipe = worker_process.started(load)
    try:
        yield pipe
    finally:
        pipe.close()
        worker_process.end(process)


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while piece := await source.read(PIECE_BYTES):
        target.write(piece)
        await target.drain()


async def _until_one_ends(tasks: list[asyncio.Future[None]]) -> None:
    """Wait for the first of some tasks and stop the others. Raises its error."""
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


_REFUSED = N_(
    "{address} and this machine do not belong to the same cluster. Copy the worker's file from the "
    "scheduler's machine again."
)
_OTHER_VERSION = N_("{address} has another version of Atelier. Install both from the same download.")
